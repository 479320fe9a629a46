"""Whoever may store a profile decides how much work it is to check: that is bounded, and keeps nobody waiting."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fhir_server.fhirpath import root
from fhir_server.outcomes import TooCostly
from fhir_server.terminology.effort import Effort
from fhir_server.validation import answers, run, validator
from fhir_server.validation.knowledge import Knowledge
from fhir_server.validation.profiles.check import check_profile
from tests.validation.judge import Judge

pytestmark = pytest.mark.asyncio(loop_scope="session")
Json = dict[str, Any]
URL = "http://example.org/StructureDefinition/costly"
PATIENT: Json = {"resourceType": "Patient", "gender": "male", "name": [{"given": ["a", "b", "c"]}]}


def costly(*expressions: str) -> Json:
    constraints = [
        {"key": f"c-{n}", "severity": "error", "human": "Is so.", "expression": text}
        for n, text in enumerate(expressions)
    ]
    return {
        "resourceType": "StructureDefinition",
        "id": "costly",
        "url": URL,
        "name": "Costly",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "derivation": "constraint",
        "differential": {"element": [{"id": "Patient", "path": "Patient", "constraint": constraints}]},
    }


async def test_what_takes_long_is_done_beside_the_event_loop(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    await judge.learn([costly("name.given.count() = 4")])
    quick = await judge.issues(PATIENT, profiles=[URL])
    assert [(one.code, one.expression) for one in quick] == [("invariant", ("Patient",))]
    threads: list[bool] = []
    check = validator._check

    def watched(*given: Any) -> None:
        try:
            threads.append(bool(asyncio.get_running_loop()))
        except RuntimeError:
            threads.append(False)
        check(*given)

    monkeypatch.setattr(validator, "_check", watched)
    assert await judge.issues(PATIENT, profiles=[URL]) == quick
    monkeypatch.setattr(validator, "QUICK", 3)
    assert await judge.issues(PATIENT, profiles=[URL]) == quick
    assert threads == [True, True, False]


async def test_a_check_costs_so_much_and_no_more(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    await judge.learn([costly(*[f"{n}.repeat($this | $this + 1).exists()" for n in range(3)])])
    monkeypatch.setattr(validator, "QUICK", 1000)
    monkeypatch.setattr(validator, "MAX_EFFORT", 5000)
    with pytest.raises(TooCostly):
        await judge.issues(PATIENT, profiles=[URL])
    assert await judge.issues(PATIENT) == []


async def test_what_trials_and_codes_ask_counts() -> None:
    node = root({"resourceType": "Patient"})
    one = run.Run(Knowledge({}), node, check_profile, effort=Effort(3 * (run.STEP + 1))).trial()
    for _ in range(3):
        one.members("http://example.org/vs", node)
    with pytest.raises(TooCostly):
        one.members("http://example.org/vs", node)


async def test_a_large_definition_is_worked_on_beside_the_event_loop(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    await judge.learn([costly("name.given.count() = 3", "name.given.count() = 4")])
    small = await judge.issues(PATIENT, profiles=[URL])
    monkeypatch.setattr(answers, "MANY", 0)
    await judge.learn([costly("name.given.count() = 4", "name.given.count() = 3")])
    large = await judge.issues(PATIENT, profiles=[URL])
    assert [one.diagnostics[:4] for one in (*small, *large)] == ["c-1:", "c-0:"]


async def test_a_rule_that_takes_too_many_steps_is_no_rule_that_holds(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    await judge.learn([costly("name.given.select($this & 'x').where($this != 'a').count() = 3")])
    assert await judge.issues(PATIENT, profiles=[URL]) == []
    monkeypatch.setattr(run, "MAX_STEPS", 2)
    found = await judge.issues(PATIENT, profiles=[URL])
    assert ("too-costly", "error", ("Patient",)) in [(one.code, one.severity, one.expression) for one in found]
