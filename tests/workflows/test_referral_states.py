"""The table of a referral's states, over every door by which a task is written."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from tests.workflows.clinic import Clinic, Refused
from tests.workflows.referring import ACTIONS, DOORS, bundle, refer, request, stored, task

Json = dict[str, Any]
TABLE = yaml.safe_load((Path(__file__).parents[1] / "cases" / "referral_states.yaml").read_text())
STATES: dict[str, dict[str, str]] = TABLE["steps"]
THOROUGH = ("respond", "put")  # at the other doors each step by one of them, in turn
PEOPLE = {"requester": "dora", "owner": "sara", "administrator": "ada"}


def expected(before: str, after: str, who: str) -> int:
    if before == after:
        return 200
    step = STATES[before].get(after)
    return 409 if step is None else 200 if who in (step, "administrator") else 403


def test_every_state_has_its_line() -> None:
    assert (
        STATES.keys() == TABLE["request"].keys() == {one for steps in STATES.values() for one in steps} | {"requested"}
    )


@pytest.mark.row("A-9")
@pytest.mark.parametrize("door", DOORS)
async def test_every_step_by_everybody(door: str, clinic: Clinic) -> None:
    patient, name = clinic.patient(), str(uuid4())
    wrong: dict[tuple[str, str, str], str] = {}
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara, clinic.acting("ada") as ada:
        actors = dict(zip(PEOPLE, (dora, sara, ada), strict=True))
        for number, (before, after, who) in enumerate(product(STATES, STATES, PEOPLE)):
            if door == "respond" and after not in ACTIONS:
                continue
            if door not in THOROUGH and number % len(PEOPLE) != (number // len(PEOPLE)) % len(PEOPLE):
                continue
            clinic.put(*stored(patient, name, before, TABLE["request"][before]))
            there = await ada.get(f"Task/{name}")
            answer = expected(before, after, who)
            try:
                told = await DOORS[door](actors[who], there, after, expect=answer)
                if answer == 409:
                    assert f"The referral is {before} " in told["issue"][0]["diagnostics"]
                states = [(await ada.get(f"{type_}/{name}"))["status"] for type_ in ("Task", "ServiceRequest")]
                now = after if answer == 200 else before
                assert states == [now, TABLE["request"][now]]
            except (Refused, AssertionError) as error:
                wrong[before, after, who] = str(error)
    assert wrong == {}


async def test_the_test_of_steps_can_fail(clinic: Clinic) -> None:
    patient, name = clinic.patient(), str(uuid4())
    clinic.put(*stored(patient, name, "requested", "active"))
    async with clinic.acting("dora") as dora:
        with pytest.raises(Refused):
            await DOORS["put"](dora, await dora.get(f"Task/{name}"), "accepted", expect=200)


@pytest.mark.row("A-9")
@pytest.mark.parametrize("door", DOORS)
async def test_nobody_else_knows_of_it(door: str, clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("dan") as dan, clinic.acting("saul") as saul:
        made = await refer(dora, patient)
        for stranger in (dan, saul):
            await DOORS[door](stranger, made, "accepted", expect=404)


@pytest.mark.row("A-9")
@pytest.mark.parametrize("status", STATES)
async def test_where_a_task_begins(status: str, clinic: Clinic) -> None:
    asked = request(clinic.patient(), id=str(uuid4()))
    body = bundle(asked, task(f"urn:uuid:{asked['id']}", status=status))
    is_first = status in TABLE["begins"]
    async with clinic.acting("dora") as dora:
        told = await dora.post("", body, expect=200 if is_first else 422)
    if not is_first:
        assert told["issue"][0]["expression"] == ["Bundle.entry[1].resource.status"]


@pytest.mark.row("A-9")
@pytest.mark.parametrize("element", TABLE["fixed"])
async def test_what_stays_of_a_task(element: str, clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara, clinic.acting("ada") as ada:
        made = await refer(dora, patient)
        changed = {**made, element: TABLE["fixed"][element]}
        for who in (dora, sara, ada):
            told = await who.put(changed, expect=422)
            assert told["issue"][0]["expression"] == [f"Task.{element}"]
        assert (await dora.get(f"Task/{made['id']}")) == made


@pytest.mark.row("A-9")
@pytest.mark.parametrize("element", TABLE["fixed request"])
async def test_what_stays_of_a_request(element: str, clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("ada") as ada:
        made = await dora.post("ServiceRequest", request(patient))
        for who in (dora, ada):
            told = await who.put({**made, element: TABLE["fixed request"][element]}, expect=422)
            assert told["issue"][0]["expression"] == [f"ServiceRequest.{element}"]
        assert (await dora.get(f"ServiceRequest/{made['id']}")) == made
