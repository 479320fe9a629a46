"""What is left in clear of a sensitive resource, and that nothing that denies by the rest comes to permit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_server.access.consents import Caller, compile_consents, restriction
from fhir_server.access.principal import Principal
from fhir_server.encryption.index import reduced
from fhir_server.encryption.sensitive import declare, discloses, is_labelled, may_disclose, owner_of, patient_of
from fhir_server.outcomes import FhirError
from fhir_server.search.compile import compile
from fhir_server.search.extract import extract
from fhir_server.search.keys import SEALED
from fhir_server.search.memory import matches
from fhir_server.search.parse import conditional

Json = dict[str, Any]
LABEL = {"system": "http://fhir-server.example/ig/CodeSystem/record-label", "code": "sensitive"}
OURS = "http://fhir-server.example/ig/CodeSystem"
TERMS = "http://terminology.hl7.org/CodeSystem"
BASE = "http://server.example/fhir"


def stored(resource: Json) -> Json:
    """The document of a sensitive resource, as conditions are held against it."""
    resource = {"id": "1", "meta": {"security": [LABEL], "tag": [{"code": "t"}]}, **resource}
    type_ = resource["resourceType"]
    return {"_id": f"{type_}/1", "ty": type_, **reduced(type_, extract(resource, base_url=BASE).document())}


OBSERVATION: Json = {
    "resourceType": "Observation",
    "identifier": [{"value": "secret"}],
    "status": "final",
    "category": [{"coding": [{"system": f"{TERMS}/observation-category", "code": "laboratory"}]}],
    "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6", "display": "secret"}], "text": "secret"},
    "subject": {"reference": "Patient/1", "identifier": {"value": "secret"}},
    "performer": [{"reference": "Practitioner/1"}],
    "effectiveDateTime": "2026-01-01",
    "valueQuantity": {"value": 5, "unit": "mg"},
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">secret</div>'},
    "contained": [{"resourceType": "Specimen", "id": "s", "note": [{"text": "secret"}]}],
    "specimen": {"reference": "#s"},
}


def test_ids_labels_and_states_are_left() -> None:
    document = stored(OBSERVATION)
    assert set(document) == {"_id", "ty", "k", "s"}
    assert "secret" not in str(document).lower()
    assert "8480" not in str(document)
    assert SEALED in document["k"]
    found = ("patient=Patient/1", "subject=Patient/1", "performer=Practitioner/1", "status=final", "_tag=t")
    for criterion in (*found, f"_security={LABEL['system']}|sensitive"):
        assert matches(compile(conditional("Observation", criterion, BASE)).filter, document), criterion
    absent = ("code=8480-6", "category=laboratory", "date=2026-01-01", "identifier=secret", "value-quantity=5")
    for criterion in (*absent, "code:text=secret", "combo-code=8480-6", "_text=secret"):
        assert not matches(compile(conditional("Observation", criterion, BASE)).filter, document), criterion
    again = reduced("Observation", extract({**OBSERVATION, "id": "1"}, base_url=BASE).document())
    assert set(again["s"]) == set(document["s"])


@pytest.mark.parametrize(
    ("type_", "element", "codes", "is_found"),
    [
        ("Communication", "category", [f"{TERMS}/communication-category|alert"], True),
        ("Communication", "category", [f"{OURS}/message-kind|discussion"], True),
        ("Communication", "category", [f"{OURS}/message-kind|discussion", "http://x|hiv"], False),
        ("Communication", "category", [f"{OURS}/message-kind|discussion", "|hiv"], False),
        ("Condition", "category", [f"{OURS}/flag-category|emergency"], False),
        ("DocumentReference", "type", [f"{OURS}/flag-category|emergency"], False),
    ],
)
def test_kinds_of_work_are_left_where_all_of_them_are_ours(
    type_: str, element: str, codes: list[str], is_found: bool
) -> None:
    codings = [dict(zip(("system", "code"), one.rsplit("|", 1), strict=True)) for one in codes]
    codings = [{name: value for name, value in one.items() if value} for one in codings]
    concept: Any = [{"coding": [one]} for one in codings]
    resource: Json = {"resourceType": type_, "subject": {"reference": "Patient/1"}, "code": {"text": "x"}}
    document = stored({**resource, element: concept[0] if element == "type" else concept})
    filter = compile(conditional(type_, f"{element}={codes[0].rsplit('|', 1)[1]}", BASE)).filter
    assert matches(filter, document) is is_found


@pytest.mark.parametrize(
    "provision",
    [
        {"code": [{"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}]},
        {"dataPeriod": {"start": "2026-01-01", "end": "2026-01-02"}},
        {"securityLabel": [LABEL]},
        {"class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}]},
    ],
)
def test_what_a_consent_denies_stays_denied(provision: Json) -> None:
    consent = {
        "resourceType": "Consent",
        "id": "1",
        "status": "active",
        "patient": {"reference": "Patient/1"},
        "provision": {"type": "permit", "provision": [{"type": "deny", **provision}]},
    }
    caller = Caller(frozenset({"Practitioner/2"}))
    rules = compile_consents([consent], caller, datetime(2026, 2, 1, tzinfo=UTC), base_url=BASE)
    principal = Principal("nora", user="Practitioner/2", consents=rules)
    assert not matches(restriction(principal, "Observation", "r"), stored(OBSERVATION))


# ---- whose ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resource", "owner"),
    [
        ({"resourceType": "Patient", "id": "7"}, "Patient/7"),
        (OBSERVATION, "Patient/1"),
        ({"resourceType": "Condition", "subject": {"reference": f"{BASE}/Patient/2"}}, "Patient/2"),
        ({"resourceType": "Condition", "subject": {"reference": "Patient/2/_history/1"}}, "Patient/2"),
        ({"resourceType": "Condition", "subject": {"reference": "https://elsewhere.example/Patient/2"}}, None),
        ({"resourceType": "Condition", "subject": {"reference": "Group/2"}}, None),
        ({"resourceType": "Condition", "subject": {"display": "somebody"}}, None),
        ({"resourceType": "Task", "for": {"reference": "Patient/3"}}, "Patient/3"),
        ({"resourceType": "Coverage", "beneficiary": {"reference": "Patient/3"}}, "Patient/3"),
        (
            {
                "resourceType": "Communication",
                "subject": {"reference": "Patient/4"},
                "recipient": [{"reference": "Patient/5"}],
            },
            "Patient/4",
        ),
        ({"resourceType": "Communication", "recipient": [{"reference": "Patient/5"}]}, "Patient/5"),
        (
            {"resourceType": "Communication", "recipient": [{"reference": "Patient/5"}, {"reference": "Patient/6"}]},
            None,
        ),
        ({"resourceType": "Organization"}, None),
        ({"resourceType": "Bundle", "entry": [{"resource": OBSERVATION}, {"resource": OBSERVATION}]}, "Patient/1"),
        (
            {
                "resourceType": "Bundle",
                "entry": [{"resource": {"resourceType": "Parameters", "parameter": [{"resource": OBSERVATION}]}}],
            },
            "Patient/1",
        ),
        (
            {
                "resourceType": "Bundle",
                "entry": [{"resource": OBSERVATION}, {"resource": {"resourceType": "Patient", "id": "7"}}],
            },
            None,
        ),
    ],
)
def test_the_subjects_key_is_whose_it_is(resource: Json, owner: str | None) -> None:
    keys = extract(resource, base_url=BASE).keys
    assert patient_of(resource, keys, BASE) == owner
    if owner is None:
        with pytest.raises(FhirError, match="under its patient's key"):
            owner_of(resource, keys, BASE)


def test_a_consent_is_never_sealed() -> None:
    with pytest.raises(FhirError, match="cannot be labelled sensitive"):
        owner_of({"resourceType": "Consent", "patient": {"reference": "Patient/1"}}, (), BASE)


def test_labels_are_declared() -> None:
    hiv = {"meta": {"security": [{"system": "http://x|y", "code": "HIV"}]}}
    assert not is_labelled(hiv)
    try:
        declare("http://x|y|HIV, http://z|R")
        assert is_labelled(hiv)
        assert is_labelled({"meta": {"security": [LABEL]}})
        assert is_labelled({"resourceType": "Bundle", "entry": [{"resource": hiv}]})
        assert not is_labelled({"meta": {"security": [{"system": "http://x", "code": "HIV"}]}})
    finally:
        declare("")
    assert not is_labelled(hiv)


def test_who_lays_open_what_is_sensitive() -> None:
    labelled = {"meta": {"security": [LABEL]}, "recorder": {"reference": f"{BASE}/Practitioner/1"}}
    assert discloses(labelled, {})
    assert not discloses(labelled, labelled)
    context = {"securityContext": {"reference": "Condition/1"}}
    assert not discloses(context, {**context, "data": "eA=="})
    assert discloses(context, {"securityContext": {"reference": "Condition/2"}})
    assert discloses({**labelled, **context}, context)
    may = {
        Principal("a", user="Practitioner/1", roles=("doctor",)): True,
        Principal("b", user="Practitioner/2", roles=("doctor",)): False,
        Principal("c", user="Practitioner/2", roles=("privacy-officer",)): True,
        Principal("d", user="Practitioner/2", roles=("super-administrator",)): True,
        Principal("e", client="service"): False,
    }
    for principal, expected in may.items():
        assert may_disclose(principal, labelled) is expected, principal.name
