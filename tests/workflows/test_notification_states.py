"""The table of a notification's states, over every door by which one is written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import product
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from tests.workflows.clinic import MARY, Actor, Clinic, Refused
from tests.workflows.referring import bundle

Json = dict[str, Any]
TABLE = yaml.safe_load((Path(__file__).parents[1] / "cases" / "notification_states.yaml").read_text())
STATES: dict[str, dict[str, str]] = TABLE["steps"]
PEOPLE = {"recipient": "mary", "administrator": "ada"}


def notice(status: str = "in-progress", **more: Any) -> Json:
    """A notification of mary's, to be put by the server."""
    return {
        "resourceType": "Communication",
        "id": str(uuid4()),
        "status": status,
        "category": [{"coding": [{"system": SYSTEM, "code": "notification"}]}],
        "priority": "routine",
        "recipient": [{"reference": MARY}],
        "sent": "2026-01-01T10:00:00Z",
        "payload": [{"contentString": "Your room is booked."}],
        **more,
    }


SYSTEM = "http://terminology.hl7.org/CodeSystem/communication-category"


async def by_put(who: Actor, one: Json, status: str, expect: int) -> Json:
    return await who.put({**one, "status": status}, expect=expect)


async def by_patch(who: Actor, one: Json, status: str, expect: int) -> Json:
    operation = {"op": "replace", "path": "/status", "value": status}
    return await who.patch(f"Communication/{one['id']}", operation, expect=expect)


async def by_transaction(who: Actor, one: Json, status: str, expect: int) -> Json:
    return await who.post("", bundle({**one, "status": status}, method="PUT"), expect=expect)


async def by_mark_read(who: Actor, one: Json, status: str, expect: int) -> Json:
    return await who.ask("POST", f"Communication/{one['id']}/$mark-read", expect=expect)


DOORS: dict[str, Callable[[Actor, Json, str, int], Awaitable[Json]]] = {
    "put": by_put,
    "patch": by_patch,
    "transaction": by_transaction,
    "mark-read": by_mark_read,
}


def expected(before: str, after: str, who: str) -> int:
    if before == after:
        return 200
    step = STATES[before].get(after)
    return 409 if step is None else 200 if who in (step, "administrator") else 403


def test_every_state_has_its_line() -> None:
    assert STATES.keys() == {one for steps in STATES.values() for one in steps}


@pytest.mark.row("A-11")
@pytest.mark.parametrize("door", DOORS)
async def test_every_step_by_everybody(door: str, clinic: Clinic) -> None:
    wrong: dict[tuple[str, str, str], str] = {}
    async with clinic.acting("mary") as mary, clinic.acting("ada") as ada:
        actors = dict(zip(PEOPLE, (mary, ada), strict=True))
        for before, after, who in product(STATES, STATES, PEOPLE):
            if door == "mark-read" and after != "completed":
                continue
            read = {"received": "2026-01-02T10:00:00Z"} if before == "completed" else {}
            clinic.put(one := notice(before, **read))
            answer = expected(before, after, who)
            try:
                told = await DOORS[door](actors[who], one, after, answer)
                if answer == 409:
                    assert f"The notification is {before} " in told["issue"][0]["diagnostics"]
                now = await mary.get(f"Communication/{one['id']}")
                assert now["status"] == (after if answer == 200 else before)
                assert "received" in now or now["status"] != "completed"
            except (Refused, AssertionError) as error:
                wrong[before, after, who] = str(error)
    assert wrong == {}


@pytest.mark.row("A-11")
@pytest.mark.parametrize("door", DOORS)
async def test_nobody_else_knows_of_it(door: str, clinic: Clinic) -> None:
    clinic.put(one := notice())
    async with clinic.acting("nick") as nick:
        await DOORS[door](nick, one, "completed", 404)


@pytest.mark.row("A-11")
@pytest.mark.parametrize("element", TABLE["fixed"])
async def test_what_it_says_stays(element: str, clinic: Clinic) -> None:
    clinic.put(one := notice())
    async with clinic.acting("mary") as mary, clinic.acting("ada") as ada:
        for who in (mary, ada):
            await who.put({**one, "status": "completed", element: TABLE["fixed"][element]}, expect=403)
        assert (await mary.get(f"Communication/{one['id']}"))["meta"]["versionId"] == "1"
