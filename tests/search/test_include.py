"""What is included follows from the keys of the matches."""

from __future__ import annotations

from typing import Any

from fhir_server.search.include import MAX_KEYS, canonical_filter, referring_filters, wanted
from fhir_server.search.memory import matches
from fhir_server.storage.stored import Stored, from_document
from tests.search.finder import envelope, query

Json = dict[str, Any]

OBSERVATION = {
    "resourceType": "Observation",
    "id": "o",
    "subject": {"reference": "Patient/1"},
    "encounter": {"reference": "http://example.org/fhir/Encounter/2/_history/3"},
    "performer": [
        {"reference": "Practitioner/4"},
        {"reference": "http://elsewhere/Patient/5"},
        {"reference": "Patient/1"},
    ],
    "code": {"coding": [{"code": "c"}]},
}
ANSWERS = {"resourceType": "QuestionnaireResponse", "id": "q", "questionnaire": "http://a/q|2"}


def row(resource: Json) -> Stored:
    document = envelope(resource)
    document.pop("r", None)  # not fetched by searches
    return from_document(document)


def ids(search: str, *resources: Json) -> tuple[str, ...]:
    return wanted(query(search).includes, [row(resource) for resource in resources]).ids


def test_include() -> None:
    assert ids("Observation?_include=Observation:subject", OBSERVATION) == ("Patient/1",)
    assert ids("Observation?_include=Observation:patient", OBSERVATION) == ("Patient/1",)
    assert ids("Observation?_include=Observation:subject:Group", OBSERVATION) == ()
    assert ids("Observation?_include=Observation:encounter", OBSERVATION) == ("Encounter/2",)
    assert ids("Observation?_include=Observation:performer:Practitioner", OBSERVATION) == ("Practitioner/4",)
    assert set(ids("Observation?_include=*", OBSERVATION)) == {"Patient/1", "Encounter/2", "Practitioner/4"}
    assert set(ids("Observation?_include=Observation:*:Patient", OBSERVATION)) == {"Patient/1"}
    assert ids("Observation?_include=Encounter:subject", OBSERVATION) == ()


def test_include_by_canonical_url() -> None:
    found = wanted(query("QuestionnaireResponse?_include=QuestionnaireResponse:questionnaire").includes, [row(ANSWERS)])
    assert set(found.canonicals) == {("Questionnaire", "http://a/q|2"), ("Questionnaire", "http://a/q")}
    questionnaire = {"resourceType": "Questionnaire", "id": "x", "url": "http://a/q", "version": "2"}
    assert matches(canonical_filter(found.canonicals), envelope(questionnaire))
    assert not matches(canonical_filter(found.canonicals), envelope({**questionnaire, "url": "http://a/other"}))


def test_revinclude() -> None:
    patient = row({"resourceType": "Patient", "id": "1"})
    for search, fits in [
        ("Patient?_revinclude=Observation:subject", True),
        ("Patient?_revinclude=Observation:patient", True),
        ("Patient?_revinclude=Observation:performer", True),
        ("Patient?_revinclude=Observation:subject:Patient", True),
        ("Patient?_revinclude=Observation:*", True),
        ("Patient?_revinclude=Observation:device", None),
        ("Patient?_revinclude=Observation:subject:Group", None),
        ("Patient?_revinclude=Encounter:subject", False),
    ]:
        filters = list(referring_filters(query(search).revincludes, [patient]))
        assert len(filters) == (fits is not None), search
        for filter in filters:
            assert matches(filter, envelope(OBSERVATION)) == fits, search


def test_revinclude_of_very_many() -> None:
    """Whatever refers to any of a thousand patients is asked for in parts, and nothing twice."""
    patients = [row({"resourceType": "Patient", "id": str(number)}) for number in range(1000)]
    every = query("Patient?_revinclude=*&_revinclude=*&_revinclude=Observation:*").revincludes
    parts = [filter["k"]["$in"] for filter in referring_filters(every, patients)]
    assert len(parts) > 1
    assert max(map(len, parts)) <= MAX_KEYS
    keys = [key for part in parts for key in part]
    assert len(keys) == len(set(keys))
