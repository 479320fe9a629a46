"""A difference, applied as a FHIRPath Patch, makes one resource the other."""

from __future__ import annotations

import copy
import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server import json
from fhir_server.operations.difference import difference
from fhir_server.patching import fhirpath_patch
from fhir_server.validation import validate

Json = dict[str, Any]

_text = st.sampled_from(["a", "b", "c d", "ä"])
_extension = st.fixed_dictionaries({"url": st.sampled_from(["urn:x", "urn:y"]), "valueString": _text})
_extended = st.fixed_dictionaries({"extension": st.lists(_extension, min_size=1, max_size=2)})


def some(elements: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Json]:
    """An object with any of these elements, and at least one."""
    return st.fixed_dictionaries({}, optional=elements).filter(bool)


_period = some({"start": st.sampled_from(["2020", "2021-02-03"]), "end": st.just("2024")})
_name = some({"family": _text, "given": st.lists(_text, min_size=1, max_size=3), "period": _period, "_use": _extended})
_contact = some(
    {
        "name": _name,
        "gender": st.sampled_from(["male", "female"]),
        "extension": st.lists(_extension, min_size=1, max_size=2),
    }
)
_patient = st.fixed_dictionaries(
    {"resourceType": st.just("Patient"), "id": st.just("p")},
    optional={
        "active": st.booleans(),
        "birthDate": st.sampled_from(["2000", "2001-01-01"]),
        "_birthDate": _extended,
        "name": st.lists(_name, min_size=1, max_size=4),
        "contact": st.lists(_contact, min_size=1, max_size=3),
        "multipleBirthBoolean": st.booleans(),
        "maritalStatus": some({"text": _text, "coding": st.lists(some({"code": _text}), min_size=1, max_size=2)}),
        "extension": st.lists(_extension, min_size=1, max_size=3),
        "contained": st.lists(
            st.one_of(
                st.fixed_dictionaries(
                    {"resourceType": st.just("Basic"), "id": st.just("c"), "code": some({"text": _text})}
                ),
                st.fixed_dictionaries({"resourceType": st.just("Organization"), "id": st.just("c"), "name": _text}),
            ),
            min_size=1,
            max_size=2,
        ),
    },
)


def patch(parameters: Json) -> Json:
    """The difference as the server takes a patch: without what was there before."""
    plain = copy.deepcopy(parameters)
    for operation in plain.get("parameter", []):
        operation["part"] = [part for part in operation["part"] if part["name"] != "previousValue"]
    return plain


@settings(max_examples=300, deadline=None)
@given(before=_patient, after=_patient)
def test_a_difference_is_a_patch(before: Json, after: Json) -> None:
    found = difference(before, after)
    assert fhirpath_patch.apply(before, patch(found)) == after
    assert validate(found) == []


def test_nothing_differs() -> None:
    resource = {"resourceType": "Patient", "id": "p", "meta": {"versionId": "1"}, "active": True}
    other = {**resource, "meta": {"versionId": "2"}, "id": "q"}
    assert difference(resource, other) == {"resourceType": "Parameters"}
    assert len(difference(resource, other, meta=True)["parameter"]) == 1


@pytest.mark.parametrize(
    ("before", "after", "types"),
    [
        ({"valueString": "x"}, {"valueQuantity": {"value": 1}}, ["replace"]),
        ({"valueString": "x"}, {}, ["delete"]),
        ({"note": [{"text": "a"}, {"text": "b"}]}, {"note": [{"text": "b"}]}, ["delete"]),
        ({"note": [{"text": "a"}]}, {"note": [{"text": "b"}]}, ["replace"]),
        ({}, {"note": [{"text": "a"}, {"text": "b"}]}, ["add", "add"]),
    ],
)  # fmt: skip
def test_the_operations(before: Json, after: Json, types: list[str]) -> None:
    base = {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "c"}}
    found = difference({**base, **before}, {**base, **after})
    assert [one["part"][0]["valueCode"] for one in found["parameter"]] == types
    assert fhirpath_patch.apply({**base, **before}, patch(found)) == {**base, **after}


def test_what_is_there_once_is_kept_in_a_long_list() -> None:
    listed = [{"value": str(n)} for n in range(5000)]
    before = {"resourceType": "Basic", "id": "b", "identifier": listed}
    after = {**before, "identifier": [{"value": "x"}, *listed[:2500], {"value": "y"}, *listed[2600:], {"value": "z"}]}
    found = difference(before, after)["parameter"]
    types = Counter(one["part"][0]["valueCode"] for one in found)
    assert types == {"insert": 2, "replace": 1, "delete": 99}
    assert fhirpath_patch.apply(before, {**patch({"parameter": found}), "resourceType": "Parameters"}) == after


def test_the_published_examples(shared: Path) -> None:
    """Each example against the next of its type: whatever elements they have, the difference makes one the other."""
    last: dict[str, Json] = {}
    compared = 0
    with gzip.open(shared / "fhir-r4" / "examples.ndjson.gz") as lines:
        for line in lines:
            resource = json.decode(line)
            before = last.get(resource["resourceType"])
            last[resource["resourceType"]] = resource
            if before is None or len(line) > 30_000:
                continue
            found = patch(difference(before, resource, meta=True))
            listed = found.get("parameter", [])
            if len(listed) > fhirpath_patch.MAX_OPERATIONS or any(len(str(o["part"][1])) > 400 for o in listed):
                continue
            expected = {**resource, "id": before["id"]} if "id" in before else resource
            assert fhirpath_patch.apply(before, found) == expected, f"{before['id']} to {resource['id']}"
            compared += 1
    assert compared > 100
