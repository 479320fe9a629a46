"""Scopes as they are written: https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html (smart.md 14)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.access.scopes import ACTIONS, Scope, parse_scope, resource_scopes
from fhir_server.definitions import RESOURCE_TYPES

CASES = yaml.safe_load((Path(__file__).parent.parent / "cases" / "access_scopes.yaml").read_text())
LEVELS = ("patient", "user", "system")
TYPES = (*sorted(RESOURCE_TYPES), "*")
SUFFIXES = [
    "".join(letter for letter, on in zip(ACTIONS, f"{bits:05b}", strict=True) if on == "1") for bits in range(1, 32)
]


def run(case: dict[str, Any]) -> None:
    found = parse_scope(case["scope"])
    assert (None if found is None else str(found)) == case["is"]


@pytest.mark.parametrize("case", [pytest.param(one, id=repr(one["scope"])) for one in CASES])
def test_case(case: dict[str, Any]) -> None:
    run(case)


def test_the_runner_can_fail() -> None:
    with pytest.raises(AssertionError):
        run({"scope": "patient/Observation.sr", "is": "patient/Observation.rs"})


@given(st.sampled_from(LEVELS), st.sampled_from(TYPES), st.sampled_from(SUFFIXES))
def test_what_is_written_is_read(level: str, type_: str, actions: str) -> None:
    assert parse_scope(f"{level}/{type_}.{actions}") == Scope(level, type_, actions)


@given(st.sampled_from(LEVELS), st.sampled_from(TYPES), st.text(alphabet=ACTIONS + "x*", max_size=6))
def test_letters_come_in_order_and_once(level: str, type_: str, suffix: str) -> None:
    in_order = suffix in SUFFIXES or suffix == "*"
    assert (parse_scope(f"{level}/{type_}.{suffix}") is not None) is in_order


@settings(max_examples=500)
@given(st.text(max_size=40) | st.from_regex(r"(patient|user|system)/[A-Za-z*]{1,12}\.[a-z*]{0,6}(\?.{0,20})?"))
def test_any_text_is_a_scope_or_none(text: str) -> None:
    found = parse_scope(text)
    if found is not None:
        assert found.type == "*" or found.type in RESOURCE_TYPES
        assert re.fullmatch("c?r?u?d?s?", found.actions)
        assert found.actions
        assert parse_scope(str(found)) == found


@given(st.sampled_from(LEVELS), st.sampled_from(TYPES), st.sampled_from(SUFFIXES), st.sampled_from(TYPES[:-1]))
def test_a_scope_allows_its_actions_on_its_types(level: str, type_: str, actions: str, other: str) -> None:
    scope = Scope(level, type_, actions)
    for action in ACTIONS:
        assert scope.allows(other, action) is (action in actions and type_ in ("*", other))


def test_version_1_is_understood() -> None:
    read, write = resource_scopes("patient/*.read user/Patient.write")
    assert (read.actions, write.actions) == ("rs", "cud")


def test_other_scopes_in_a_list_are_passed_over() -> None:
    found = resource_scopes("openid fhirUser launch/patient patient/Observation.rs offline_access patient/Patient.sr")
    assert [str(one) for one in found] == ["patient/Observation.rs"]


def test_a_granular_scope_has_a_query_and_another_none() -> None:
    granular, plain = resource_scopes("patient/Observation.rs?category=laboratory patient/Observation.rs")
    query = granular.query("Observation")
    assert query is not None
    assert [one.name for one in query.filters] == ["category"]
    assert plain.query("Observation") is None
