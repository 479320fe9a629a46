"""The states of a case, and who may change them: tests/cases/case_states.yaml by every door."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from extensions.cases.case import team_id
from extensions.cases.states import TRANSITIONS
from tests.workflows.clinic import DORA, NICK, Actor, Clinic, case

Json = dict[str, Any]
TABLE = yaml.safe_load((Path(__file__).parents[1] / "cases" / "case_states.yaml").read_text())
STATES = list(TABLE["steps"])
DOORS = ("put", "patch", "transaction")


def stored(clinic: Clinic, status: str, *workers: str) -> Json:
    """A case as it might have been loaded: in any state."""
    made = {**case(clinic.patient(), *workers), "id": f"case-{uuid4().hex[:12]}", "status": status}
    clinic.put(made)
    return made


async def write(actor: Actor, made: Json, status: str, door: str, expect: int) -> None:
    """Change the status by one of the doors."""
    path = f"Encounter/{made['id']}"
    after = {**made, "status": status}
    match door:
        case "put":
            await actor.put(after, expect=expect)
        case "patch":
            await actor.patch(path, {"op": "replace", "path": "/status", "value": status}, expect=expect)
        case _:
            entry = {"resource": after, "request": {"method": "PUT", "url": path}}
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
            await actor.ask("POST", "", bundle, expect=expect)


def steps() -> Iterator[tuple[str, str, int]]:
    for before, ways in TABLE["steps"].items():
        for after in STATES:
            if after != before:
                yield before, after, 200 if after in ways else 409


@pytest.mark.row("A-3")
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("before", STATES)
async def test_a_step_is_open_or_it_is_not(clinic: Clinic, before: str, door: str) -> None:
    async with clinic.acting("dora") as dora:
        for was, after, answer in steps():
            if was != before:
                continue
            made = stored(clinic, before, DORA)
            await write(dora, made, after, door, answer)
            now = await dora.get(f"Encounter/{made['id']}")
            assert now["status"] == (after if answer == 200 else before), after
            assert [one["status"] for one in now.get("statusHistory", ())] == ([before] if answer == 200 else [])


@pytest.mark.row("A-3")
@pytest.mark.parametrize("status", STATES)
async def test_where_a_case_begins(clinic: Clinic, status: str) -> None:
    async with clinic.acting("dora") as dora:
        answer = 201 if status in TABLE["begins"] else 422
        await dora.post("Encounter", {**case(clinic.patient(), DORA), "status": status}, expect=answer)


@pytest.mark.row("A-3")
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("line", TABLE["may"], ids=lambda line: line["who"])
async def test_who_may_change_a_case(clinic: Clinic, line: Json, door: str) -> None:
    made = stored(clinic, "in-progress", DORA, "PractitionerRole/saul-cardiology")
    clinic.put(
        {
            "resourceType": "CareTeam",
            "id": team_id(made["id"]),
            "status": "active",
            "subject": made["subject"],
            "encounter": {"reference": f"Encounter/{made['id']}"},
            "participant": [{"member": {"reference": NICK}}],
        }
    )
    async with clinic.acting(line["who"]) as actor:
        await write(actor, made, "onleave", door, line["answer"])


def test_the_table_is_the_rule() -> None:
    """What the page and the cases say is what the code does, no more and no less."""
    assert {before: list(ways) for before, ways in TRANSITIONS.items() if before} == {
        before: ways for before, ways in TABLE["steps"].items() if ways
    }
    assert list(TRANSITIONS[""]) == TABLE["begins"]
