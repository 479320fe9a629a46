"""The code systems the demo clinic uses, the codes by a short key, and the data types made from them."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from datetime import timezone as zone
from decimal import Decimal
from typing import Any

Json = dict[str, Any]

HL7 = "http://terminology.hl7.org/CodeSystem"
SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
ATC = "http://www.whocc.no/atc"
CVX = "http://hl7.org/fhir/sid/cvx"
OURS = "https://rowan-bay.example"
TIMEZONE = zone(timedelta(hours=-5))

PROBLEMS = {
    "hypertension": ("38341003", "Hypertensive disorder"),
    "diabetes-2": ("44054006", "Diabetes mellitus type 2"),
    "diabetes-1": ("46635009", "Diabetes mellitus type 1"),
    "lipids": ("55822004", "Hyperlipidemia"),
    "asthma": ("195967001", "Asthma"),
    "copd": ("13645005", "Chronic obstructive lung disease"),
    "heart-failure": ("84114007", "Heart failure"),
    "fibrillation": ("49436004", "Atrial fibrillation"),
    "kidney": ("433144002", "Chronic kidney disease stage 3"),
    "thyroid": ("40930008", "Hypothyroidism"),
    "migraine": ("37796009", "Migraine"),
    "depression": ("35489007", "Depressive disorder"),
    "anemia": ("87522002", "Iron deficiency anemia"),
    "pregnancy": ("77386006", "Pregnancy"),
    "otitis": ("65363002", "Otitis media"),
    "bronchitis": ("10509002", "Acute bronchitis"),
    "pneumonia": ("233604007", "Pneumonia"),
    "cystitis": ("68566005", "Urinary tract infectious disease"),
    "eczema": ("43116000", "Eczema"),
    "gout": ("90560007", "Gout"),
    "epilepsy": ("84757009", "Epilepsy"),
    "breast-cancer": ("254837009", "Malignant neoplasm of breast"),
    "parkinson": ("49049000", "Parkinson's disease"),
    "osteoporosis": ("64859006", "Osteoporosis"),
    "prostate": ("266569009", "Benign prostatic hyperplasia"),
}
DRUGS = {  # ATC code, name with strength, tablets or units, times a day
    "lisinopril": ("C09AA03", "Lisinopril 10 mg tablet", 1, 1),
    "amlodipine": ("C08CA01", "Amlodipine 5 mg tablet", 1, 1),
    "bisoprolol": ("C07AB07", "Bisoprolol 2.5 mg tablet", 1, 1),
    "furosemide": ("C03CA01", "Furosemide 40 mg tablet", 1, 2),
    "apixaban": ("B01AF02", "Apixaban 5 mg tablet", 1, 2),
    "atorvastatin": ("C10AA05", "Atorvastatin 20 mg tablet", 1, 1),
    "metformin": ("A10BA02", "Metformin 500 mg tablet", 1, 2),
    "glargine": ("A10AE04", "Insulin glargine 100 units/mL pen", 18, 1),
    "aspart": ("A10AB05", "Insulin aspart 100 units/mL pen", 6, 3),
    "salbutamol": ("R03AC02", "Salbutamol 100 micrograms inhaler", 2, 4),
    "fluticasone": ("R03BA05", "Fluticasone 125 micrograms inhaler", 2, 2),
    "tiotropium": ("R03BB04", "Tiotropium 18 micrograms capsule", 1, 1),
    "levothyroxine": ("H03AA01", "Levothyroxine 75 micrograms tablet", 1, 1),
    "sumatriptan": ("N02CC01", "Sumatriptan 50 mg tablet", 1, 1),
    "sertraline": ("N06AB06", "Sertraline 50 mg tablet", 1, 1),
    "iron": ("B03AA07", "Ferrous sulfate 325 mg tablet", 1, 1),
    "amoxicillin": ("J01CA04", "Amoxicillin 500 mg capsule", 1, 3),
    "nitrofurantoin": ("J01XE01", "Nitrofurantoin 100 mg capsule", 1, 2),
    "allopurinol": ("M04AA01", "Allopurinol 100 mg tablet", 1, 1),
    "levetiracetam": ("N03AX14", "Levetiracetam 500 mg tablet", 1, 2),
    "tamoxifen": ("L02BA01", "Tamoxifen 20 mg tablet", 1, 1),
    "levodopa": ("N04BA02", "Levodopa 100 mg with carbidopa 25 mg tablet", 1, 3),
    "alendronate": ("M05BA04", "Alendronic acid 10 mg tablet", 1, 1),
    "tamsulosin": ("G04CA02", "Tamsulosin 0.4 mg capsule", 1, 1),
}
SUBSTANCES = {  # SNOMED CT code, display, category, reaction code, reaction, severity
    "penicillin": ("764146007", "Penicillin", "medication", "126485001", "Urticaria", "moderate"),
    "peanut": ("256349002", "Peanut", "food", "39579001", "Anaphylaxis", "severe"),
    "latex": ("111088007", "Latex", "environment", "271807003", "Eruption of skin", "mild"),
    "pollen": ("256277009", "Grass pollen", "environment", "70076002", "Rhinitis", "mild"),
    "aspirin": ("387458008", "Aspirin", "medication", "267036007", "Dyspnea", "severe"),
    "milk": ("3718001", "Cow's milk", "food", "422587007", "Nausea", "mild"),
}
VACCINES = {
    "influenza": ("140", "Influenza, seasonal, injectable, preservative free"),
    "tdap": ("115", "Tdap"),
    "dtap": ("20", "DTaP"),
    "mmr": ("03", "MMR"),
    "varicella": ("21", "Varicella"),
    "polio": ("10", "IPV"),
    "zoster": ("187", "Zoster recombinant"),
    "pneumococcal": ("33", "Pneumococcal polysaccharide PPV23"),
}
VITALS = {  # LOINC code, display, UCUM unit
    "heart-rate": ("8867-4", "Heart rate", "/min"),
    "respiratory-rate": ("9279-1", "Respiratory rate", "/min"),
    "temperature": ("8310-5", "Body temperature", "Cel"),
    "oxygen": ("59408-5", "Oxygen saturation by pulse oximetry", "%"),
    "height": ("8302-2", "Body height", "cm"),
    "weight": ("29463-7", "Body weight", "kg"),
    "bmi": ("39156-5", "Body mass index", "kg/m2"),
}
LABS = {  # LOINC code, display, UCUM unit, low, high
    "hba1c": ("4548-4", "Hemoglobin A1c in blood", "%", "4.0", "5.6"),
    "glucose": ("2345-7", "Glucose in serum or plasma", "mg/dL", "70", "99"),
    "creatinine": ("2160-0", "Creatinine in serum or plasma", "mg/dL", "0.60", "1.20"),
    "potassium": ("2823-3", "Potassium in serum or plasma", "mmol/L", "3.5", "5.1"),
    "cholesterol": ("2093-3", "Total cholesterol in serum or plasma", "mg/dL", "100", "200"),
    "hdl": ("2085-9", "HDL cholesterol in serum or plasma", "mg/dL", "40", "80"),
    "triglycerides": ("2571-8", "Triglycerides in serum or plasma", "mg/dL", "40", "150"),
    "hemoglobin": ("718-7", "Hemoglobin in blood", "g/dL", "12.0", "16.0"),
    "leukocytes": ("6690-2", "Leukocytes in blood", "10*3/uL", "4.0", "11.0"),
    "platelets": ("777-3", "Platelets in blood", "10*3/uL", "150", "400"),
    "tsh": ("3016-3", "Thyrotropin in serum or plasma", "m[IU]/L", "0.40", "4.00"),
    "probnp": ("33762-6", "NT-proBNP in serum or plasma", "pg/mL", "0", "125"),
    "urate": ("3084-1", "Urate in serum or plasma", "mg/dL", "2.4", "7.0"),
}
VISITS = {  # class code, class display, SNOMED CT code, display, minutes
    "check-up": ("AMB", "ambulatory", "185349003", "Encounter for check up", 30),
    "symptom": ("AMB", "ambulatory", "185345009", "Encounter for symptom", 20),
    "follow-up": ("AMB", "ambulatory", "390906007", "Follow-up encounter", 20),
    "well-child": ("AMB", "ambulatory", "410620009", "Well child visit", 30),
    "emergency": ("EMER", "emergency", "50849002", "Emergency room admission", 240),
    "admission": ("IMP", "inpatient encounter", "32485007", "Hospital admission", 4 * 24 * 60),
}


def concept(system: str, code: str, display: str) -> Json:
    """A CodeableConcept with one coding."""
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}


def quantity(value: Decimal | int | str, unit: str) -> Json:
    """A Quantity in a UCUM unit."""
    return {"value": Decimal(value), "unit": unit, "system": UCUM, "code": unit}


def reference(kind: str, key: str, display: str | None = None) -> Json:
    """A reference to a resource of the clinic."""
    found: Json = {"reference": f"{kind}/demo-{key}"}
    return found | {"display": display} if display else found


def identifier(kind: str, value: str) -> Json:
    """A business identifier in one of the clinic's own namespaces."""
    return {"system": f"{OURS}/{kind}", "value": value}


def resource(kind: str, key: str, **elements: Any) -> Json:
    """A resource of the clinic under its readable id; elements that are None are left out."""
    found = {name.rstrip("_"): value for name, value in elements.items() if value is not None}
    return {"resourceType": kind, "id": f"demo-{key}"} | found


def moment(day: date, hour: int = 9, minute: int = 0) -> datetime:
    """A time of day at the clinic."""
    return datetime.combine(day, time(hour, minute), TIMEZONE)
