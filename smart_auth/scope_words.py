"""What scopes mean, in the words of the people who are asked for them."""

from __future__ import annotations

import re

# Of each type: the group on the consent page, and what its resources are to a patient.
_TYPES = {
    "Personal details": {
        "Patient": "name, address and other personal details",
        "RelatedPerson": "family and other contacts",
        "Person": "links between personal records",
        "Coverage": "health insurance",
        "Consent": "privacy choices and consents",
        "Practitioner": "names of doctors and staff",
        "PractitionerRole": "what doctors and staff do",
        "Organization": "names of hospitals and practices",
        "Location": "places of care",
    },
    "Health": {
        "Condition": "diagnoses and health problems",
        "AllergyIntolerance": "allergies and intolerances",
        "Immunization": "vaccinations",
        "ImmunizationRecommendation": "recommended vaccinations",
        "Procedure": "operations and procedures",
        "FamilyMemberHistory": "health of the family",
        "ClinicalImpression": "doctors' assessments",
        "RiskAssessment": "health risks",
        "Flag": "warnings in the record",
        "AdverseEvent": "unwanted effects of treatment",
        "DetectedIssue": "detected problems, such as drug interactions",
        "Goal": "health goals",
        "NutritionOrder": "diets",
        "EpisodeOfCare": "periods of care",
    },
    "Results and measurements": {
        "Observation": "test results and measurements",
        "DiagnosticReport": "laboratory, imaging and other reports",
        "ImagingStudy": "medical images",
        "Media": "photos, audio and video",
        "Specimen": "samples",
        "QuestionnaireResponse": "answers to questionnaires",
    },
    "Medicines": {
        "MedicationRequest": "prescriptions",
        "MedicationStatement": "medicines that are taken",
        "MedicationDispense": "medicines from the pharmacy",
        "MedicationAdministration": "medicines that were given",
        "Medication": "descriptions of medicines",
        "VisionPrescription": "glasses and contact lenses",
    },
    "Visits and care": {
        "Encounter": "visits and hospital stays",
        "Appointment": "appointments",
        "AppointmentResponse": "replies to appointments",
        "CarePlan": "care plans",
        "CareTeam": "care teams",
        "ServiceRequest": "orders and referrals",
        "Task": "tasks",
        "Device": "implants and devices",
        "DeviceRequest": "orders of devices",
        "DeviceUseStatement": "use of devices",
        "Schedule": "opening times",
        "Slot": "free appointments",
    },
    "Documents and messages": {
        "DocumentReference": "letters and documents",
        "DocumentManifest": "collections of documents",
        "Composition": "letters and summaries",
        "Communication": "messages",
        "CommunicationRequest": "requests for messages",
        "Binary": "files and attachments",
        "List": "lists",
        "Provenance": "who entered what, and when",
        "AuditEvent": "who has looked at the record",
    },
    "Bills": {
        "Account": "accounts",
        "Claim": "insurance claims",
        "ClaimResponse": "insurers' answers",
        "ExplanationOfBenefit": "statements of what was paid",
        "ChargeItem": "charges",
        "Invoice": "invoices",
    },
}
EVERYTHING = "The whole record"
OTHER = "Other"
GROUPS = (EVERYTHING, *_TYPES, OTHER)
_OF_TYPE = {type_: (group, words) for group, types in _TYPES.items() for type_, words in types.items()}
# Not of one patient: nobody's "your".
_OF_NOBODY = frozenset(
    {"Practitioner", "PractitionerRole", "Organization", "Location", "Medication", "Schedule", "Slot"}
)

# What may be chosen of Observation and Condition: code, words, by code system.
_OBSERVATION = "http://terminology.hl7.org/CodeSystem/observation-category"
_CONDITION = "http://terminology.hl7.org/CodeSystem/condition-category"
_US_CORE = "http://hl7.org/fhir/us/core/CodeSystem"
CATEGORIES: dict[str, tuple[tuple[str, str], ...]] = {
    "Observation": (
        (f"{_OBSERVATION}|laboratory", "Laboratory results"),
        (f"{_OBSERVATION}|vital-signs", "Vital signs, such as blood pressure and weight"),
        (f"{_OBSERVATION}|social-history", "Way of life, such as smoking"),
        (f"{_OBSERVATION}|survey", "Results of questionnaires and tests"),
        (f"{_OBSERVATION}|imaging", "Findings in images"),
        (f"{_OBSERVATION}|exam", "Findings of examinations"),
        (f"{_OBSERVATION}|procedure", "Findings of procedures"),
        (f"{_OBSERVATION}|therapy", "Course of therapies"),
        (f"{_OBSERVATION}|activity", "Activity, such as steps"),
        (f"{_US_CORE}/us-core-category|sdoh", "Living conditions, such as housing and food"),
    ),
    "Condition": (
        (f"{_CONDITION}|problem-list-item", "The problem list: lasting illnesses and problems"),
        (f"{_CONDITION}|encounter-diagnosis", "Diagnoses made at visits"),
        (f"{_US_CORE}/condition-category|health-concern", "Health concerns"),
    ),
}


def group_of(type_: str) -> str:
    """The heading under which the consent page lists a type; "*" is all of them."""
    return EVERYTHING if type_ == "*" else _OF_TYPE.get(type_, (OTHER, ""))[0]


def things(type_: str, level: str, *, is_own: bool) -> str:
    """What the resources of a type are: "your test results", "test results of all patients you may see"."""
    if type_ == "*":
        if level == "user":
            return "everything in your own record" if is_own else "everything that you may see here yourself"
        return "everything in your health record" if is_own else "everything in this patient's health record"
    words = _OF_TYPE.get(type_, ("", _spaced(type_)))[1]
    if type_ in _OF_NOBODY:
        return words
    if is_own:
        return f"your {words}"
    return f"{words} of this patient" if level == "patient" else f"{words} of every patient you may see"


def category_words(criterion: str) -> str:
    """What a granular scope is limited to; "" when there are no words for it."""
    name, _, value = criterion.partition("=")
    if name != "category":
        return ""
    for known in CATEGORIES.values():
        for code, words in known:
            if value in (code, code.partition("|")[2]):
                return words
    return ""


def _spaced(type_: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type_).lower()
