"""Whatever a terminology operation is asked, it answers valid FHIR or refuses; it never fails."""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server import json
from fhir_server.operations.input import published
from fhir_server.validation import validate

Json = dict[str, Any]
PETS = "http://example.org/cs/fuzz"
VALUE_SET, CODING = ("url", "http://example.org/vs/fuzz"), ("coding", f"{PETS}|dog")
# Calls that are answered, and become others by what is added to them or changed.
CALLS = {
    "ValueSet/$expand": [VALUE_SET],
    "ValueSet/fuzz/$expand": [],
    "ValueSet/$validate-code": [VALUE_SET, CODING],
    "ValueSet/fuzz/$validate-code": [CODING],
    "CodeSystem/$validate-code": [("url", PETS), ("code", "dog")],
    "CodeSystem/fuzz/$validate-code": [("code", "dog")],
    "CodeSystem/$lookup": [("system", PETS), ("code", "dog")],
    "CodeSystem/$subsumes": [("system", PETS), ("codeA", "dog"), ("codeB", "poodle")],
    "CodeSystem/fuzz/$subsumes": [("codeA", "dog"), ("codeB", "poodle")],
    "ConceptMap/$translate": [CODING],
    "ConceptMap/fuzz/$translate": [CODING],
    "$closure": [("name", "fuzz")],
}
TEXTS = {
    "url": [
        PETS,
        "http://example.org/vs/fuzz",
        "http://example.org/vs/fuzz|1",
        "http://hl7.org/fhir/ConceptMap/101",
        "|",
    ],
    "system": [PETS, "http://unitsofmeasure.org", "urn:ietf:bcp:47", "http://snomed.info/sct", ""],
    "code": ["dog", "DOG", "poodle", "kg", "en", " ", "a b"],
    "coding": [f"{PETS}|dog", "dog", "|", f"{PETS}|", "http://unitsofmeasure.org|mg"],
    "filter": ["d", "dog po", "%", "", "\u00e9", "(", "*"],
    "count": ["0", "1", "-1", "2000000000", "x"],
    "offset": ["0", "5", "2000000000"],
    "displayLanguage": ["nl", "nl-BE", "*", "!"],
    "property": ["parent", "legs", "lang.nl", "*"],
    "designation": ["urn:ietf:bcp:47|nl", "|", "nl"],
    "date": ["2020", "2999-01-01", "0001-01-01", "x"],
    "name": ["fuzz", ""],
    "version": ["1", "0", "-1", "x"],
    "context": ["http://hl7.org/fhir/StructureDefinition/Patient#Patient.gender", "#", "x#y"],
    "targetsystem": ["http://example.org/cs/other"],
    "reverse": ["true", "false"],
    "abstract": ["true", "false"],
    "activeOnly": ["true", "false"],
    "inferSystem": ["true"],
    "system-version": [f"{PETS}|1", "|", "x"],
    "exclude-system": [PETS],
    "codeA": ["dog", "cow"],
    "codeB": ["poodle"],
}


def calls(path: str) -> st.SearchStrategy[tuple[str, dict[str, str]]]:
    """A path with a query of parameters that mostly are the operation's own."""
    type_, operation = re.fullmatch(r"(\w*).*[$](.*)", path).groups()  # type: ignore[union-attr]
    own = TEXTS.keys() & {one.name for one in published(operation, type_ or None)}
    pair = st.sampled_from(sorted({*own, "inferSystem", "property"})).flatmap(
        lambda name: st.tuples(st.just(name), st.sampled_from(TEXTS[name]))
    )
    return st.lists(pair, max_size=3).map(lambda more: (path, dict([*CALLS[path], *more])))


_coding = st.fixed_dictionaries(
    {},
    optional={
        "system": st.sampled_from([PETS, "x:y"]),
        "code": st.sampled_from(["dog", "cow"]),
        "display": st.just("Dog"),
    },
)
_filter = st.builds(
    lambda p, o, v: {"property": p, "op": o, "value": v},
    st.sampled_from(["concept", "legs", "code", "wings"]),
    st.sampled_from(["=", "is-a", "descendent-of", "regex", "in", "exists", "generalizes"]),
    st.sampled_from(["dog", "4", "d.*", "(", "true"]),
)
_include = st.fixed_dictionaries(
    {"system": st.sampled_from([PETS, "http://unitsofmeasure.org"])},
    optional={
        "version": st.sampled_from(["1", "9"]),
        "filter": st.lists(_filter, min_size=1, max_size=2),
        "concept": st.just([{"code": "dog"}, {"code": "cow", "display": "Cow"}]),
        "valueSet": st.just(["http://example.org/vs/fuzz"]),
    },
)
_value_set = st.builds(
    lambda include: {"resourceType": "ValueSet", "status": "draft", "compose": {"include": include}},
    st.lists(_include, min_size=1, max_size=2),
)
_part = (
    st.builds(
        lambda n, c: {"name": n, "valueCoding": c},
        st.sampled_from(["coding", "codingA", "codingB", "concept"]),
        _coding,
    )
    | st.builds(
        lambda c: {"name": "codeableConcept", "valueCodeableConcept": {"coding": c}}, st.lists(_coding, max_size=2)
    )
    | st.builds(lambda r: {"name": "valueSet", "resource": r}, _value_set)
    | st.just({"name": "valueSet", "resource": {"resourceType": "ValueSet"}})
    | st.just(
        {"name": "codeSystem", "resource": {"resourceType": "CodeSystem", "status": "draft", "content": "complete"}}
    )
    | st.just({"name": "conceptMap", "resource": {"resourceType": "ConceptMap", "status": "draft"}})
    | st.just({"name": "name", "valueString": "fuzz"})
    | st.just({"name": "dependency", "valueString": "happy"})
    | st.just({"name": "dependency", "part": [{"name": "element", "valueUri": "x:y"}]})
)
_parameters = st.builds(
    lambda p: {"resourceType": "Parameters", "parameter": p}, st.lists(_part, min_size=1, max_size=3)
)


@pytest.fixture(scope="module")
def filled(server: str) -> str:
    concepts = [
        {
            "code": "dog",
            "display": "Dog",
            "property": [{"code": "legs", "valueInteger": 4}],
            "concept": [{"code": "poodle"}],
        }
    ]
    fixed = {"id": "fuzz", "status": "active"}
    stored: list[Json] = [
        {"resourceType": "CodeSystem", "url": PETS, "content": "complete", "concept": concepts, **fixed},
        {
            "resourceType": "ValueSet",
            "url": "http://example.org/vs/fuzz",
            "compose": {"include": [{"system": PETS}]},
            **fixed,
        },
        {"resourceType": "ConceptMap", "url": "http://example.org/cm/fuzz", **fixed},
    ]
    for one in stored:
        assert httpx.put(f"{server}/{one['resourceType']}/fuzz", json=one, timeout=60).is_success
    return server


def test_any_call_is_answered(filled: str) -> None:
    @settings(max_examples=400, deadline=None, derandomize="CI" in os.environ, suppress_health_check=list(HealthCheck))
    @given(call=st.sampled_from(sorted(CALLS)).flatmap(calls), body=st.none() | st.none() | _parameters)
    def check(call: tuple[str, dict[str, str]], body: Json | None) -> None:
        path, query = call
        method = "GET" if body is None and path != "$closure" else "POST"
        response = client.request(method, f"/{path}", params=query, json=body)
        seen[response.status_code] += 1
        assert response.status_code in (200, 400, 404, 405, 422), response.text
        assert validate(json.decode(response.content)) == []

    seen: Counter[int] = Counter()
    with httpx.Client(base_url=filled, timeout=60) as client:
        check()
    assert seen[200] > 40
