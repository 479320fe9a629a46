"""Each kind of mutation of a valid resource is caught, at its level, with its code and at its place."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.outcomes import Issue
from fhir_server.validation import Level, validate
from tests.validation.corpus import Json, sample
from tests.validation.judge import Judge, us_core_examples
from tests.validation.mutation_table import bases, mutate, table


def of_level(level: str) -> list[Json]:
    return [case for case in table("mutations")["mutations"] if case.get("level", "structure") == level]


def pairs(issues: list[Issue]) -> list[list[str]]:
    """Code and expression of each issue, sorted."""
    return sorted([issue.code, *(issue.expression or [""])] for issue in issues)


def compare(case: Json, issues: list[Issue]) -> None:
    """The errors are those that the case expects, and no other."""
    errors = [issue for issue in issues if issue.severity in ("error", "fatal")]
    assert pairs(errors) == sorted(case["issues"]), [issue.diagnostics for issue in errors]
    assert "key" not in case or any(case["key"] in issue.diagnostics for issue in errors)


def name_of(case: Json) -> Any:
    return case["name"]


@pytest.mark.parametrize("case", of_level("structure"), ids=name_of)
def test_structure(case: Json) -> None:
    base = bases("mutations")[case["base"]]
    assert validate(base) == []
    compare(case, validate(mutate(base, case)))


async def verify(judge: Judge, case: Json, base: Json, below: Level, at: Level) -> None:
    """The base is right, the level below sees nothing in the mutation, and this level what the case expects."""
    assert pairs(await judge.issues(base)) == []
    mutated = mutate(base, case)
    assert mutated != base
    assert pairs(await judge.issues(mutated, below)) == []
    compare(case, await judge.issues(mutated, at))
    told = pairs([one for one in await judge.issues(mutated, at, thorough=True) if one.severity == "warning"])
    assert [one for one in case.get("warnings", []) if one not in told] == []


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("case", of_level("invariants"), ids=name_of)
async def test_invariants(judge: Judge, case: Json) -> None:
    await verify(judge, case, bases("mutations")[case["base"]], Level.STRUCTURE, Level.INVARIANTS)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("case", table("mutations_profiles")["mutations"], ids=name_of)
async def test_profiles(judge: Judge, case: Json) -> None:
    await verify(judge, case, bases("mutations_profiles")[case["base"]], Level.INVARIANTS, Level.PROFILES)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("case", table("mutations_us_core")["mutations"], ids=name_of)
async def test_us_core(us_core: Judge, case: Json) -> None:
    await verify(us_core, case, us_core_examples()[case["base"]], Level.INVARIANTS, Level.PROFILES)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("case", table("mutations_profiles")["planted"], ids=name_of)
async def test_planted_case_fails(judge: Judge, case: Json) -> None:
    with pytest.raises(AssertionError):
        await verify(judge, case, bases("mutations_profiles")[case["base"]], Level.INVARIANTS, Level.PROFILES)


def test_there_is_a_mutation_for_each_rule_and_each_has_a_name_of_its_own() -> None:
    """At least 40 kinds of rule, and no two mutations of a file are called the same."""
    rules = set()
    for name in ("mutations", "mutations_profiles", "mutations_us_core"):
        cases = table(name)["mutations"]
        assert len({case["name"] for case in cases}) == len(cases)
        rules |= {case.get("key", case["rule"]) for case in cases}
    assert len(rules) >= 40


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("resource", sample(), ids=lambda one: f"{one['resourceType']}-{one.get('id')}")
async def test_sample_is_valid(judge: Judge, resource: Json) -> None:
    assert pairs(await judge.issues(resource)) == []
