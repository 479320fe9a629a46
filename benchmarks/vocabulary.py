"""The words the load program's resources are made of: names, places, and codes of LOINC, SNOMED CT and RxNorm."""

from __future__ import annotations

HL7 = "http://terminology.hl7.org/CodeSystem"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition"
UCUM = "http://unitsofmeasure.org"
SNOMED = "http://snomed.info/sct"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GIVEN = _words(
    "Amara Bruno Chiara Dmitri Elif Farid Greta Hugo Ingrid Jamal Keiko Liam Mónica Nadia Omar Priya Quentin "
    "Rosa Sven Tariq Ursula Viktor Wanda Ximena Yusuf Zoë Anaïs Björn Cécile Dóra"
)
FAMILY = _words(
    "Abara Bianchi Castillo Dlamini Eriksen Fontaine Gupta Hartmann Ibrahim Jansen Kowalski Lindqvist Moreau "
    "Nakamura Okafor Petrov Quispe Rahman Sørensen Takahashi Underhill Vasquez Whitlock Xu Yilmaz Zielinski "
    "Achterberg Bellweather Crane Dunmore Ellery Farrow Grantham Holloway Ives Kessler Lockwood Marsh Norwood"
)
STREETS = ("Mill Lane", "Harbour Street", "Chestnut Avenue", "Station Road", "Orchard Close", "Quarry Hill")
CITIES = (
    ("Lawrence", "Massachusetts", "01840"),
    ("Worcester", "Massachusetts", "01602"),
    ("Providence", "Rhode Island", "02903"),
    ("Hartford", "Connecticut", "06103"),
    ("Concord", "New Hampshire", "03301"),
    ("Burlington", "Vermont", "05401"),
)
MARITAL = (("M", "Married"), ("S", "Never Married"), ("D", "Divorced"), ("W", "Widowed"))
LANGUAGES = (("en-US", "English (United States)"), ("es", "Spanish"), ("fr", "French"), ("pt", "Portuguese"))
RACES = (("2106-3", "White"), ("2054-5", "Black or African American"), ("2028-9", "Asian"))
ETHNICITIES = (("2186-5", "Not Hispanic or Latino"), ("2135-2", "Hispanic or Latino"))
IDENTIFIERS = {"MR": "Medical Record Number", "SS": "Social Security Number", "DL": "Driver's License"}
VITALS = (  # LOINC code, display, UCUM unit, usual range
    ("8867-4", "Heart rate", "/min", 60, 100),
    ("9279-1", "Respiratory rate", "/min", 12, 20),
    ("8310-5", "Body temperature", "Cel", 36.1, 37.8),
    ("8302-2", "Body height", "cm", 150, 195),
    ("29463-7", "Body weight", "kg", 48, 110),
    ("39156-5", "Body mass index (BMI) [Ratio]", "kg/m2", 18.5, 30),
    ("8480-6", "Systolic blood pressure", "mm[Hg]", 100, 150),
    ("8462-4", "Diastolic blood pressure", "mm[Hg]", 60, 95),
    ("2708-6", "Oxygen saturation in Arterial blood", "%", 94, 100),
)
PROBLEMS = (
    ("38341003", "Hypertensive disorder, systemic arterial (disorder)"),
    ("44054006", "Diabetes mellitus type 2 (disorder)"),
    ("195967001", "Asthma (disorder)"),
    ("36971009", "Sinusitis (disorder)"),
    ("10509002", "Acute bronchitis (disorder)"),
    ("55822004", "Hyperlipidemia (disorder)"),
    ("271737000", "Anemia (disorder)"),
)
VISITS = (
    ("185345009", "Encounter for symptom (procedure)"),
    ("185349003", "Encounter for check up (procedure)"),
    ("390906007", "Follow-up encounter (procedure)"),
)
DRUGS = (
    ("313782", "acetaminophen 325 MG Oral Tablet"),
    ("314076", "lisinopril 10 MG Oral Tablet"),
    ("860975", "24 HR metformin hydrochloride 500 MG Extended Release Oral Tablet"),
    ("617310", "atorvastatin 20 MG Oral Tablet"),
    ("310798", "hydrochlorothiazide 25 MG Oral Tablet"),
)
