"""Which resources are a patient's, and which are nobody's: as conditions on stored documents.

R4's Patient compartment, with what it leaves open decided here (docs/access.md): a Task is its `for` patient's, a
Device the patient's it is for; what is labelled as the team's own talk is not the patient's.
https://hl7.org/fhir/R4/compartmentdefinition-patient.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cache
from typing import Any

from fhir_server.access.labels import label_keys
from fhir_server.definitions import compartments
from fhir_server.search.compile import compartment_numbers
from fhir_server.search.fields import fields

Document = dict[str, Any]

NONE: Document = {"_id": {"$in": []}}

# What tells of no patient, and everybody who is signed in may read.
SHARED = frozenset(
    {
        "ActivityDefinition",
        "CapabilityStatement",
        "ChargeItemDefinition",
        "CodeSystem",
        "CompartmentDefinition",
        "ConceptMap",
        "Endpoint",
        "EventDefinition",
        "ExampleScenario",
        "GraphDefinition",
        "HealthcareService",
        "ImplementationGuide",
        "InsurancePlan",
        "Library",
        "Location",
        "Measure",
        "Medication",
        "MedicationKnowledge",
        "MessageDefinition",
        "NamingSystem",
        "ObservationDefinition",
        "OperationDefinition",
        "Organization",
        "OrganizationAffiliation",
        "PlanDefinition",
        "Practitioner",
        "PractitionerRole",
        "Questionnaire",
        "SearchParameter",
        "Slot",
        "SpecimenDefinition",
        "StructureDefinition",
        "StructureMap",
        "Substance",
        "TerminologyCapabilities",
        "ValueSet",
    }
)
# Not in R4's compartment, and a patient's all the same: by these search parameters.
_DECIDED = {
    "Task": ("patient",),
    "Device": ("patient",),
    "GuidanceResponse": ("patient",),
    "Contract": ("patient",),
}
# A Binary is whose its securityContext is, which is looked up when it is judged: no stored document has such a key.
BINARY, CONTEXT = "Binary", "#"
SUBSCRIPTION = "Subscription"  # is whose the server's extension says (search/keys.py)
# What the compartment takes in and must not: resources with this security label, ig/input/fsh/label.fsh.
TEAM = ("http://fhir-server.example/ig/CodeSystem/record-label", "team-discussion")
# Who somebody is, what they have decided and who looked at them: no label takes that from them.
_ALWAYS_THEIRS = frozenset({"Patient", "Consent", "AuditEvent"})


def of_patients(type_: str, patients: Collection[str]) -> Document | None:
    """The resources of a type that are these patients' ("Patient/1"); None when there can be none."""
    numbers = patient_numbers(type_)
    if not numbers or not patients:
        return None
    keys = [f"{number}>{patient}" for number in numbers for patient in sorted(patients)]
    theirs: Document = {"k": keys[0] if len(keys) == 1 else {"$in": keys}}
    return theirs if type_ in _ALWAYS_THEIRS else {"$and": [theirs, not_team_talk(type_)]}


@cache
def patient_numbers(type_: str) -> tuple[str, ...]:
    """The numbers of the reference keys that make a resource a patient's."""
    if type_ == BINARY:
        return (CONTEXT,)
    numbers = list(compartment_numbers("Patient", type_))
    for code in _DECIDED.get(type_, ()):
        if (field := fields(type_).get(code)) is not None:
            numbers += [source.number for source in field.sources if source.target in ("", "Patient")]
    return tuple(dict.fromkeys(numbers))


@cache
def not_team_talk(type_: str) -> Document:
    """All but what the team says among itself."""
    return {"k": {"$nin": list(label_keys(type_, [TEAM]))}}


def is_personal(type_: str) -> bool:
    """Whether resources of the type can be a patient's."""
    return type_ in compartments()["Patient"] or type_ in _DECIDED or type_ == BINARY


def context_keys(type_: str, keys: Iterable[str]) -> list[str]:
    """What a Binary is judged by beside its own keys: whose its context is, of this type and with these keys."""
    beginnings = tuple(f"{number}>Patient/" for number in patient_numbers(type_))
    return [f"{CONTEXT}>{key.partition('>')[2]}" for key in keys if key.startswith(beginnings)]
