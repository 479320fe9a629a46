"""search.html#composite: tests/cases/composite.yaml, all contexts by loop, and any components against their meaning."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.outcomes import FhirError
from fhir_server.search.expression import UnsupportedExpression
from fhir_server.search.extract import extract
from fhir_server.search.keys import Criterion, Draft, fit, range_clauses
from fhir_server.search.memory import matches
from fhir_server.search.query import Both, Either
from fhir_server.search.registry import SearchParameter, parameters
from fhir_server.search.types import composite
from fhir_server.search.types.values import Settings, split
from tests.search.finder import attempt

Json = dict[str, Any]
BASE = "http://example.org/fhir"
SETTINGS = Settings(BASE, 1_600_000_000_000_000)
GROUPS = yaml.safe_load((Path(__file__).parent.parent / "cases" / "composite.yaml").read_text())
CASES = [(group, case) for group in GROUPS for case in group["cases"]]
EVERY = [p for name in sorted(RESOURCE_TYPES) for p in parameters(name).values() if p.type == "composite"]
CONTEXTS = [p for p in EVERY if p.code.startswith("context-type-")]


def document(resource: Json) -> Json:
    """What is stored of a resource, its composites included."""
    index = extract(resource, base_url=BASE)
    draft = Draft(BASE + "/")
    for parameter in EVERY:
        if parameter.resource_type == resource["resourceType"] and (finish := composite.finisher(parameter)):
            finish(resource, draft)
    ranges = [{"k": key, "lo": low, "hi": high} for key, low, high in draft.ranges]
    return {"k": [*index.keys, *map(fit, draft.keys)], "r": [*index.ranges, *ranges]}


def holds(wanted: Criterion, stored: Json) -> bool:
    keys = set(stored["k"])
    return (
        not keys.isdisjoint(wanted.keys)
        or any(first <= key < last for key in keys for first, last in wanted.between)
        or any(matches(clause, stored) for bounds in wanted.bounds for clause in range_clauses(bounds))
    )


def fits(parameter: SearchParameter, values: str, stored: Json, modifier: str = "") -> bool:
    """Whether the document fits any value of a comma list."""
    criteria = [composite.criteria(parameter, modifier, value, SETTINGS) for value in split(values, ",")]
    return any(all(holds(one, stored) for one in together) for alternatives in criteria for together in alternatives)


def check(group: Json, case: Json) -> None:
    """Run one case; raises AssertionError when it does not come out as it says."""
    resource_type, _, search = case["search"].partition("?")
    pairs = [pair.split("=", 1) for pair in search.split("&")]
    names = [(*name.partition(":"), values) for name, values in pairs]
    asked = [(parameters(resource_type)[code], values, modifier) for code, _, modifier, values in names]
    stored = {name: document({**resource, "id": name}) for name, resource in group["resources"].items()}
    found = attempt(
        lambda: {
            name
            for name, one in stored.items()
            if all(fits(what, text, one, modifier) for what, text, modifier in asked)
        }
    )
    if isinstance(found, FhirError):
        assert found.status == 400
        assert case.get("error", "\0") in str(found), found
        return
    assert "error" not in case, "was not refused"
    assert found == set(case["finds"])


@pytest.mark.parametrize(("group", "case"), CASES, ids=[f"{c['search'][:70]} ({c['spec'][:40]})" for _, c in CASES])
def test_case(group: Json, case: Json) -> None:
    check(group, case)


@pytest.mark.parametrize(
    "wrong",
    [
        {"search": "Group?characteristic-value=a$b", "finds": []},
        {"search": "Group?characteristic-value=a$c", "finds": ["one"]},
        {"search": "Group?characteristic-value=a$b", "error": "refused"},
        {"search": "Group?characteristic-value=a", "error": "another reason"},
    ],
)
def test_a_wrong_case_fails(wrong: Json) -> None:
    characteristic = {"code": {"coding": [{"code": "a"}]}, "valueCodeableConcept": {"coding": [{"code": "b"}]}}
    with pytest.raises(AssertionError):
        check({"resources": {"one": {"resourceType": "Group", "characteristic": [characteristic]}}}, wrong)


def test_every_composite_has_a_case() -> None:
    named = {tuple(case["search"].partition("=")[0].split("?")) for _, case in CASES}
    assert {(p.resource_type, p.code) for p in EVERY if p not in CONTEXTS} <= named
    assert len(EVERY) > 60


# ---- useContext ----------------------------------------------------------------------------------------


def context(code: str, value: Json) -> Json:
    return {"code": {"system": "http://terminology.hl7.org/CodeSystem/usage-context-type", "code": code}, **value}


def contexts(parameter: SearchParameter) -> tuple[Json, dict[str, bool]]:
    """A resource used in two contexts, and what finds it or does not."""
    system = "http://terminology.hl7.org/CodeSystem/usage-context-type"
    if parameter.code == "context-type-value":
        focus = {"valueCodeableConcept": {"coding": [{"system": "http://snomed.info/sct", "code": "408934002"}]}}
        use = [context("focus", focus), context("venue", {"valueCodeableConcept": {"coding": [{"code": "ward"}]}})]
        asked = {
            "focus$http://snomed.info/sct|408934002": True,
            f"{system}|focus$408934002": True,
            f"{system}|VENUE$|ward": True,
            "|venue$ward": False,
            "focus$ward": False,
            "venue$408934002": False,
        }
    else:
        ages = {"low": {"value": 12, "unit": "a"}, "high": {"value": 18, "unit": "a"}}
        use = [context("age", {"valueRange": ages}), context("size", {"valueQuantity": {"value": 40}})]
        asked = {
            "age$ge18": True,
            f"{system}|age$lt13||a": True,
            "size$40": True,
            "age$40": False,
            "size$le18": False,
            "size$40||a": False,
        }
    return {"resourceType": parameter.resource_type, "id": "x", "useContext": use}, asked


@pytest.mark.parametrize("parameter", CONTEXTS, ids=lambda p: f"{p.resource_type}.{p.code}")
def test_contexts_do_not_mix(parameter: SearchParameter) -> None:
    resource, asked = contexts(parameter)
    stored = document(resource)
    assert {value: fits(parameter, value, stored) for value in asked} == asked
    assert not any(fits(parameter, value, document({**resource, "useContext": []})) for value in asked)


# ---- what is stored ------------------------------------------------------------------------------------


def test_what_is_indexed_once_is_not_indexed_again() -> None:
    stores = {p.code for p in EVERY if p.resource_type == "Observation" and composite.finisher(p) is not None}
    assert stores == {
        "code-value-quantity",
        "code-value-string",
        "component-code-value-concept",
        "component-code-value-quantity",
    }


def test_keys_are_readable() -> None:
    parameter = parameters("DocumentReference")["relationship"]
    finish = composite.finisher(parameter)
    assert finish is not None
    draft = Draft(BASE + "/")
    related = {"code": "replaces", "target": {"reference": "DocumentReference/a$b"}}
    finish({"resourceType": "DocumentReference", "relatesTo": [None, {"code": "signs"}, related]}, draft)
    assert list(draft.keys) == [f"{parameter.number}$=replaces$>DocumentReference/a$$b"]


def ranges(resource_type: str, code: str, content: Json) -> list[tuple[str, float, float]]:
    """What the composite stores, its keys from behind the number."""
    number = parameters(resource_type)[code].number
    index = extract({"resourceType": resource_type, **content}, base_url=BASE)
    assert not [key for key in index.keys if key.startswith(number)]
    return [(one["k"][3:], one["lo"], one["hi"]) for one in index.ranges if one["k"].startswith(number)]


def test_the_root_keeps_only_the_code() -> None:
    content = {"code": {"coding": [{"system": "http://s", "code": "A"}]}, "valueQuantity": {"value": 5, "unit": "u"}}
    assert ranges("Observation", "code-value-quantity", content) == [("$=a$", 5, 5), ("$=a$||u", 5, 5)]
    assert ranges("Observation", "code-value-quantity", {"code": content["code"]}) == []


def test_a_segment_does_not_end_before_it_starts() -> None:
    sequence = {"chromosome": {"coding": [{"code": "1"}]}}
    content = {"referenceSeq": sequence, "variant": [{"start": 1, "end": 3}, {"start": 4, "end": 2}]}
    assert ranges("MolecularSequence", "chromosome-variant-coordinate", content) == [("~$=1$", 1, 3)]


def test_a_condition_is_made_of_the_criteria() -> None:
    observation = parameters("Observation")
    single = composite.condition(observation["component-code-value-quantity"], "", "a$1", SETTINGS)
    assert isinstance(single, Criterion)
    both = composite.condition(observation["code-value-concept"], "", "a$b", SETTINGS)
    assert isinstance(both, Both)
    assert composite.condition(observation["combo-code-value-concept"], "", "a$b", SETTINGS) == Either(
        (both, composite.condition(observation["component-code-value-concept"], "", "a$b", SETTINGS))
    )


def broken(components: tuple[tuple[str, str], ...], expression: str = "Observation.component") -> SearchParameter:
    return SearchParameter("Observation", "mine", "composite", "zzz", expression, "http://mine", components=components)


@pytest.mark.parametrize(
    "parameter",
    [
        broken((("http://nowhere", "code"), ("http://nowhere", "value"))),
        broken((("http://hl7.org/fhir/SearchParameter/Observation-component-code", "code"),)),
        broken((("http://hl7.org/fhir/SearchParameter/Observation-component-code", "code"),) * 2, "Patient.contact"),
        broken((("http://hl7.org/fhir/SearchParameter/Observation-value-date", "value.as(Period)"),) * 2),
        broken((("http://hl7.org/fhir/SearchParameter/Observation-value-date", "code"),) * 2),
    ],
)
def test_what_cannot_be_fused_is_refused(parameter: SearchParameter) -> None:
    with pytest.raises(UnsupportedExpression):
        composite.finisher(parameter)


# ---- any components ------------------------------------------------------------------------------------

CODES = st.sampled_from(["a", "b", "a$b", "$", "=b", "b$=a", "|"])
SYSTEMS = st.sampled_from([None, "http://s", "x$y"])
CODINGS = st.builds(lambda code, system: {"code": code, "system": system}, CODES, SYSTEMS)
CONCEPTS = st.builds(lambda codings: {"coding": codings}, st.lists(CODINGS, max_size=2))
VALUES = st.one_of(
    CONCEPTS.map(lambda one: {"valueCodeableConcept": one}),
    st.integers(0, 3).map(lambda number: {"valueQuantity": {"value": number}}),
)
COMPONENTS = st.lists(st.builds(lambda code, value: {"code": code, **value}, CONCEPTS, VALUES), max_size=3)
ASKED_CODES = st.tuples(st.sampled_from(["", "http://s", "x$y", None]), CODES)


def text_of(asked: tuple[str | None, str]) -> str:
    system, code = ("".join("\\" + c if c in "\\$|," else c for c in part or "") for part in asked)
    return code if asked[0] is None else f"{system}|{code}"


def has(concept: Json, asked: tuple[str | None, str]) -> bool:
    system, code = asked
    return any(
        one["code"].lower() == code.lower() and (system is None or (one["system"] or "") == system)
        for one in concept["coding"]
    )


def alike(component: Json, code: tuple[str | None, str], value: Any) -> bool:
    if isinstance(value, int):
        return has(component["code"], code) and component.get("valueQuantity", {}).get("value") == value
    return has(component["code"], code) and has(component.get("valueCodeableConcept", {"coding": []}), value)


def elements(place: str, resource: Json) -> Iterator[Json]:
    if place in ("code-", "combo-code-"):
        yield {"code": {"coding": []}, **resource}
    if place != "code-":
        yield from resource.get("component", ())


@given(
    st.builds(lambda root, inner: {"component": inner, **(root[0] if root else {})}, COMPONENTS, COMPONENTS),
    st.sampled_from(["code-", "component-code-", "combo-code-"]),
    ASKED_CODES,
    st.one_of(ASKED_CODES, st.integers(0, 3)),
)
def test_any_components(content: Json, place: str, code: tuple[str | None, str], value: Any) -> None:
    resource = {"resourceType": "Observation", "id": "x", **content}
    is_number = isinstance(value, int)
    parameter = parameters("Observation")[place + ("value-quantity" if is_number else "value-concept")]
    text = f"{text_of(code)}${value if is_number else text_of(value)}"
    expected = any(alike(one, code, value) for one in elements(place, resource))
    assert fits(parameter, text, document(resource)) is expected


@given(st.sampled_from(EVERY), st.one_of(st.text(max_size=60), st.lists(st.text(max_size=9)).map("$".join)))
def test_a_value_is_understood_or_refused(parameter: SearchParameter, value: str) -> None:
    found = attempt(lambda: composite.criteria(parameter, "", value, SETTINGS))
    if isinstance(found, FhirError):
        assert found.status == 400
        assert parameter.code in str(found)
    else:
        assert found
