"""What is known to be valid is accepted, at the level of structure in the quick pass, and at that of profiles."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pytest
import yaml

from fhir_server.outcomes import Issue
from fhir_server.validation import validate
from fhir_server.validation.fast import is_surely_valid
from tests.validation.corpus import CASES, Json, examples, needs_shared, sample, synthea
from tests.validation.judge import Judge, us_core_examples

REFUSED = yaml.safe_load((CASES / "refused_examples.yaml").read_text())


@pytest.mark.parametrize("resource", sample(), ids=lambda r: f"{r['resourceType']}-{r.get('id')}")
def test_sample_is_valid(resource: dict[str, Any]) -> None:
    assert validate(resource) == []


def _key(resource: Json) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _told(issues: Iterable[Issue]) -> list[tuple[str, str]]:
    """The different issues, indexes left out."""
    return sorted({(issue.code, re.sub(r"\[\d+\]", "", issue.expression[0])) for issue in issues})


def _expected(package: str, *levels: str) -> dict[str, list[tuple[str, str]]]:
    """What is told of the published examples of R4 ("") or of another package that break these levels' rules."""
    found = {}
    for name, case in REFUSED.items():
        owner, _, key = name.rpartition(":")
        if owner == package and case.get("level", "structure") in levels:
            found[key] = sorted((code, where) for code, where in case["issues"])
    return found


@needs_shared
def test_published_examples_are_valid_but_for_those_that_break_a_rule() -> None:
    found: dict[str, list[tuple[str, str]]] = {}
    count = unsure = 0
    for example in examples():
        count += 1
        issues = validate(example)
        if issues:
            found[_key(example)] = _told(issues)
        else:
            unsure += not is_surely_valid(example)
    assert count == 755
    assert found == _expected("", "structure")
    assert unsure <= 8, "the quick pass is to be sure of nearly everything"


@needs_shared
def test_synthea_is_valid_in_the_quick_pass() -> None:
    count = 0
    for bundle in synthea():
        assert is_surely_valid(bundle)
        for entry in bundle["entry"]:
            count += 1
            assert validate(entry["resource"]) == []
    assert count == 18_294


async def _refused(judge: Judge, resources: Iterable[Json]) -> dict[str, list[tuple[str, str]]]:
    """What the validator says of those that it refuses at the level of profiles; they may refer to one another."""
    listed = {_key(one): one for one in resources}
    before, judge.others = judge.others, listed
    try:
        found = {key: _told(await judge.issues(one)) for key, one in listed.items()}
    finally:
        judge.others = before
    return {key: told for key, told in found.items() if told}


@needs_shared
@pytest.mark.asyncio(loop_scope="session")
async def test_published_examples_meet_the_profiles_they_claim(judge: Judge) -> None:
    assert await _refused(judge, examples()) == _expected("", "structure", "invariants", "profiles")


@pytest.mark.asyncio(loop_scope="session")
async def test_examples_of_us_core_meet_the_profiles_they_claim(us_core: Judge) -> None:
    resources = us_core_examples().values()
    assert len(resources) == 183
    assert sum("profile" in one.get("meta", {}) for one in resources) > 150
    assert await _refused(us_core, resources) == _expected("us-core", "structure", "invariants", "profiles")


@pytest.mark.asyncio(loop_scope="session")
async def test_synthea_is_valid_where_us_core_is_known(us_core: Judge) -> None:
    """All 18,294 resources: they claim no profile, but have extensions of US Core."""
    count = 0
    for bundle in synthea():
        resources = [entry["resource"] for entry in bundle["entry"]]
        count += len(resources)
        assert await _refused(us_core, resources) == {}
    assert count == 18_294
