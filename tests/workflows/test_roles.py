"""Who may do what, by the table cases/workflow_roles.yaml, and a specialist's way into a patient's care and out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from tests.workflows.clinic import CARDIOLOGY, DORA, SARA, SAUL, Clinic, Refused, case

pytestmark = pytest.mark.row("A-13")

Json = dict[str, Any]
TABLE = yaml.safe_load((Path(__file__).parents[1] / "cases" / "workflow_roles.yaml").read_text())
CELLS = [(deed, role) for deed in TABLE["deeds"] for role in deed["status"]]
WRONG = [(deed, role) for deed in TABLE["wrong"] for role in deed["status"]]


def name(value: Any) -> str:
    return value["does"] if isinstance(value, dict) else str(value)


def filled(value: Any, given: dict[str, str]) -> Any:
    """The value with {patient} and the like in its texts."""
    if isinstance(value, dict):
        return {key: filled(one, given) for key, one in value.items()}
    if isinstance(value, list):
        return [filled(one, given) for one in value]
    for key, text in given.items() if isinstance(value, str) else ():
        value = value.replace(f"{{{key}}}", text)
    return value


def referral(patient: str, performer: str, **more: Any) -> Json:
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "code": {"text": "Opinion, please"},
        "subject": {"reference": patient},
        "requester": {"reference": DORA},
        "performer": [{"reference": performer}],
        **more,
    }


def chart(clinic: Clinic) -> dict[str, str]:
    """A patient, referred to Saul, with the resources of the table's chart; what their names stand for."""
    given = {"patient": clinic.patient("roles")} | {key: f"{key}-{uuid4().hex[:8]}" for key in TABLE["chart"]}
    clinic.put(*({**filled(one, given), "id": given[key]} for key, one in TABLE["chart"].items()))
    clinic.put({**referral(given["patient"], SAUL), "id": f"to-saul-{uuid4().hex[:8]}"})
    return given


async def play(clinic: Clinic, deed: Json, role: str) -> None:
    """Raises Refused when the answer is another than the table says."""
    given = chart(clinic)
    async with clinic.acting(TABLE["people"][role]) as actor:
        method, _, path = filled(deed["call"], given).partition(" ")
        body = filled(deed.get("body"), {**given, "me": actor.user, "now": datetime.now(UTC).isoformat()})
        await actor.ask(method, path, body, expect=deed["status"][role])


@pytest.mark.parametrize(("deed", "role"), CELLS, ids=name)
async def test_the_table(clinic: Clinic, deed: Json, role: str) -> None:
    await play(clinic, deed, role)


@pytest.mark.parametrize(("deed", "role"), WRONG, ids=name)
async def test_the_runner_can_fail(clinic: Clinic, deed: Json, role: str) -> None:
    with pytest.raises(Refused):
        await play(clinic, deed, role)


@pytest.mark.parametrize("whom", [SARA, CARDIOLOGY])
async def test_a_specialist_sees_whom_they_were_referred_and_no_longer(clinic: Clinic, whom: str) -> None:
    """By name or by the role that they have: not before the referral, and not after it was revoked."""
    given = chart(clinic)
    patient, condition = given["patient"], f"Condition/{given['condition']}"
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara:
        await sara.get(patient, expect=404)
        assert await sara.found(f"Condition?patient={patient}") == []
        made = await dora.post("ServiceRequest", referral(patient, whom))
        await sara.get(patient)
        assert {one["id"] for one in await sara.found(f"Condition?patient={patient}")} >= {given["condition"]}
        advice = {"resourceType": "ClinicalImpression", "status": "completed", "subject": {"reference": patient}}
        await sara.post("ClinicalImpression", {**advice, "assessor": {"reference": SARA}, "summary": "Step down."})
        await dora.patch(f"ServiceRequest/{made['id']}", {"op": "replace", "path": "/status", "value": "revoked"})
        await sara.get(patient, expect=404)
        await sara.get(condition, expect=404)


async def test_nobody_refers_a_patient_to_themselves(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("sara") as sara:
        await sara.post("ServiceRequest", referral(patient, SARA, requester={"reference": SARA}), expect=403)
        await sara.get(patient, expect=404)


async def test_a_specialist_consults_on_a_case_that_they_are_on(clinic: Clinic) -> None:
    """The case itself, and nothing else of the patient."""
    given = chart(clinic)
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara:
        made = await dora.post("Encounter", case(given["patient"], DORA, SARA))
        path = f"Encounter/{made['id']}"
        assert (await sara.get(path))["subject"]["reference"] == given["patient"]
        assert made["id"] in {one["id"] for one in await sara.found(f"Encounter?participant={SARA}")}
        await sara.get(f"Encounter/{given['case']}", expect=404)
        await sara.get(f"Condition/{given['condition']}", expect=404)


async def test_what_a_nurse_does_not_see_is_in_no_answer(clinic: Clinic) -> None:
    """Neither read, found, counted nor written over."""
    given = chart(clinic)
    patient, secret = given["patient"], given["secret"]
    async with clinic.acting("nick") as nick, clinic.acting("dora") as dora:
        query = f"Condition?patient={patient}"
        assert {one["id"] for one in await dora.found(query)} == {given["condition"], secret}
        assert {one["id"] for one in await nick.found(query)} == {given["condition"]}
        assert (await nick.get(f"{query}&_summary=count"))["total"] == 1
        await nick.get(f"Condition/{secret}/_history", expect=404)
        over = {**filled(TABLE["chart"]["condition"], given), "id": secret}
        await nick.put(over, expect=404)
        assert "security" in (await dora.get(f"Condition/{secret}"))["meta"]


async def test_two_roles_do_not_meet_halfway(clinic: Clinic) -> None:
    """Of a doctor and a nurse who change a condition at once, one is told that it has changed."""
    given = chart(clinic)
    path = f"Condition/{given['condition']}"
    async with clinic.acting("dora") as dora, clinic.acting("nick") as nick:
        seen = await nick.get(path)
        await dora.patch(path, {"op": "add", "path": "/note", "value": [{"text": "Worse at night"}]})
        headers = {"If-Match": f'W/"{seen["meta"]["versionId"]}"'}
        await nick.ask("PUT", path, {**seen, "note": [{"text": "Better"}]}, expect=412, headers=headers)
        assert (await nick.get(path))["note"] == [{"text": "Worse at night"}]
