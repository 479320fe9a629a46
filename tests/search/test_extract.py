"""What becomes of a resource: keys, ranges and sort scalars."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_server import json
from fhir_server.outcomes import TooLarge
from fhir_server.search import extract as extracting
from fhir_server.search.extract import extract
from fhir_server.search.keys import MAX_KEY, OPEN_HIGH, OPEN_LOW
from fhir_server.search.registry import by_number, type_number
from tests.search import samples
from tests.search.finder import envelope, find, query

Json = dict[str, Any]


def named(resource: Json) -> set[str]:
    """The keys with the parameter's code in place of its number."""
    found = set()
    for key in extract(resource, base_url="http://here/fhir").keys:
        parameter = by_number().get(key[:3])
        found.add((parameter.code if parameter else "type") + key[3:])
    return found


def test_every_leaf_of_every_parameter_is_found() -> None:
    """1,700 pairs of type and parameter: a value at each place is found by it, another value is not."""
    wrong = []
    for field, leaf in samples.every():
        documents = [envelope(samples.resource(field, leaf))]
        code, where = field.parameter.code, f"{field.parameter.resource_type}.{field.parameter.code} at {leaf.type}"
        right, other = samples.searches(field, leaf)
        for value in right:
            if not find(query(f"{field.parameter.resource_type}?{code}={value}"), documents):
                wrong.append(f"{where}: {value} does not find it")
        if find(query(f"{field.parameter.resource_type}?{code}={other}"), documents):
            wrong.append(f"{where}: {other} finds it")
        missing = query(f"{field.parameter.resource_type}?{code}:missing=true")
        if find(missing, documents):
            wrong.append(f"{where}: missing")
    assert wrong == []


UNITS = [("", 176.3), ("||cm", 176.3), ("^m", 1.763)]


def test_observation() -> None:
    resource = {
        "resourceType": "Observation",
        "id": "a",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8302-2"}, {"code": "X"}]},
        "subject": {"reference": "http://here/fhir/Patient/1"},
        "encounter": {"reference": "urn:uuid:1"},
        "effectivePeriod": {"start": "2020-01-01T00:00:00Z"},
        "valueQuantity": {
            "value": Decimal("176.30"),
            "unit": "cm",
            "system": "http://unitsofmeasure.org",
            "code": "cm",
        },
    }
    assert named(resource) == {
        "type",
        "status=final",
        "code=8302-2",
        "code|http://loinc.org|8302-2",
        "code=x",
        "code||x",
        "subject>Patient/1",
        "encounter>urn:uuid:1",
        "subject+1ld>Patient/1=8302-2",
        "subject+1ld>Patient/1=x",
    }
    index = extract(resource)
    assert [(r["k"][3:], r["lo"], r["hi"]) for r in index.ranges] == [
        ("~", 1577836800000000, OPEN_HIGH),
        ("", 176.3, 176.3),
        ("||cm", 176.3, 176.3),
        ("^m", 1.763, 1.763),
        # the value together with each code
        *((f"$={code}${unit}", amount, amount) for code in ("8302-2", "x") for unit, amount in UNITS),
    ]
    assert index.sort["d"] == 1577836800000000


def test_sort_scalars() -> None:
    """Slots are always there; the others when there is a value. The smallest of several counts going up."""
    bare = extract({"resourceType": "Patient", "id": "a"})
    assert bare.sort == {"d": OPEN_LOW, "n": "", f"{_number('Patient', 'deceased')}": "false"}
    two = extract(
        {
            "resourceType": "Patient",
            "id": "a",
            "name": [{"family": "Zoë", "given": ["B", "A"]}, {"family": "Ärm"}],
            "birthDate": "1970-01-02",
        }
    )
    assert (two.sort["n"], two.sort["d"]) == ("arm", 86_400_000_000)
    goal = {"resourceType": "Goal", "target": [{"dueDate": "2020"}, {"dueDate": "2019"}, {"dueDate": "2021"}]}
    number = _number("Goal", "target-date")
    sort = extract(goal).sort
    assert sort[number] < sort[f"{number}-"]


def test_where_and_resolve() -> None:
    person = {
        "resourceType": "Person",
        "link": [{"target": {"reference": "Patient/1"}}, {"target": {"reference": "Practitioner/2"}}],
        "telecom": [{"system": "phone", "value": "1"}, {"system": "email", "value": "a@b"}, {"value": "3"}],
    }
    keys = named(person)
    assert {"link>Patient/1", "link>Practitioner/2", "phone=1", "email=a@b", "telecom=3"} <= keys
    assert not {"phone=a@b", "phone=3"} & keys


def test_what_is_null_or_empty_is_passed_over() -> None:
    patient = {
        "resourceType": "Patient",
        "name": [{"given": [None, "A"], "_given": [{"id": "x"}, None]}],
        "_birthDate": {"id": "x"},
        "telecom": [{"system": "phone"}],
        "generalPractitioner": [{"display": "Dr. B"}],
        "maritalStatus": {"text": "no coding"},
    }
    assert {key for key in named(patient) if key != "type"} == {
        "general-practitioner>",
        "name~a\tA",
        "given~a\tA",
        "phonetic~a000\t",
        "deceased=false",
    }


def test_long_values() -> None:
    long = "http://example.org/" + "x" * 500
    first, second = (
        extract({"resourceType": "ValueSet", "id": "a", "url": url}).keys for url in (long + "1", long + "2")
    )
    assert max(map(len, first + second)) <= MAX_KEY
    assert first != second
    text = {"resourceType": "ValueSet", "id": "a", "description": "word " * 400}
    assert max(map(len, extract(text).keys)) <= 3 + 1 + 128 + 1 + 64
    documents = [envelope(text)]
    assert find(query("ValueSet?description=word%20word"), documents)
    assert find(query("ValueSet?description:exact=" + "word%20" * 400), documents)
    assert not find(query("ValueSet?description:exact=" + "word%20" * 399), documents)
    assert find(query(f"ValueSet?url={long}1"), [envelope({"resourceType": "ValueSet", "id": "a", "url": long + "1"})])
    assert not find(
        query(f"ValueSet?url={long}2"), [envelope({"resourceType": "ValueSet", "id": "a", "url": long + "1"})]
    )


def test_too_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extracting, "MAX_KEYS", 10)
    members = [{"entity": {"reference": f"Patient/{i}"}} for i in range(11)]
    with pytest.raises(TooLarge, match="more than 10 searchable values"):
        extract({"resourceType": "Group", "id": "a", "member": members})


def test_no_base_url() -> None:
    """Without a base URL nothing absolute is taken for local."""
    keys = extract({"resourceType": "Observation", "subject": {"reference": "http://here/fhir/Patient/1"}}).keys
    assert any(key.endswith(">http://here/fhir/Patient/1") for key in keys)


def test_published_examples(shared: Path) -> None:
    """All the published examples are indexed; each is found by its type."""
    lines = gzip.decompress((shared / "fhir-r4" / "examples.ndjson.gz").read_bytes()).splitlines()
    for line in lines:
        resource = json.decode(line)
        index = extract(resource)
        assert index.keys[0] == type_number(resource["resourceType"])
        assert len(set(index.keys)) == len(index.keys)
        json.encode(index.ranges)


def _number(resource_type: str, code: str) -> str:
    return next(n for n, p in by_number().items() if (p.resource_type, p.code) == (resource_type, code))
