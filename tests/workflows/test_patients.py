"""Patients: who makes, finds, sees, changes and deletes them, and what happens when two do so at once."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tests.workflows.clinic import Actor, Clinic

pytestmark = pytest.mark.row("A-2")

NUMBERS = "http://hospital.example/mrn"
BORN = "1984-02-29"


def newcomer(**more: Any) -> dict[str, Any]:
    """Somebody whom nobody else's test finds: a name and a number of their own."""
    unique = uuid4().hex[:10]
    return {
        "resourceType": "Patient",
        "identifier": [{"system": NUMBERS, "value": unique}],
        "name": [{"family": f"Meyer{unique}", "given": ["Katharina"]}],
        "birthDate": BORN,
        "telecom": [{"system": "phone", "value": "+1 555 0100"}],
        **more,
    }


async def registered(nick: Actor) -> dict[str, Any]:
    return await nick.post("Patient", newcomer())


async def found(actor: Actor, query: str) -> list[str]:
    return [one["id"] for one in await actor.found(f"Patient?{query}")]


async def test_a_nurse_registers_and_a_doctor_finds(clinic: Clinic) -> None:
    async with clinic.acting("nick") as nick, clinic.acting("dora") as dora:
        made = await registered(nick)
        family, number = made["name"][0]["family"], made["identifier"][0]["value"]
        for query in (
            f"name={family.lower()[:12]}",
            f"family:exact={family}&given=kath",
            f"identifier={NUMBERS}|{number}",
            f"family={family}&birthdate={BORN}",
            f"family={family}&birthdate=lt1985",
            f"family={family}&phone=%2B1 555 0100",
            f"family={family}&_sort=-birthdate&_count=1",
        ):
            assert await found(dora, query) == [made["id"]], query
        assert await found(dora, f"identifier={NUMBERS}|{number}&birthdate=gt1985") == []


async def test_a_name_is_found_as_it_sounds(clinic: Clinic) -> None:
    async with clinic.acting("nick") as nick, clinic.acting("dora") as dora:
        number = uuid4().hex
        named = newcomer(name=[{"family": "Meyer"}], identifier=[{"system": NUMBERS, "value": number}])
        made = await nick.post("Patient", named)
        assert await found(dora, f"phonetic=Maier&identifier={number}") == [made["id"]]
        assert await found(dora, f"phonetic=Schulz&identifier={number}") == []


async def test_a_change_keeps_what_was_before(clinic: Clinic) -> None:
    async with clinic.acting("nick") as nick, clinic.acting("dora") as dora:
        made = await registered(nick)
        path = f"Patient/{made['id']}"
        await nick.put({**made, "gender": "female"})
        await nick.patch(path, {"op": "replace", "path": "/telecom/0/value", "value": "+1 555 0199"})
        now = await dora.get(path)
        assert (now["gender"], now["telecom"][0]["value"], now["meta"]["versionId"]) == ("female", "+1 555 0199", "3")
        assert (await dora.get(f"{path}/_history/1"))["telecom"][0]["value"] == "+1 555 0100"


async def test_nobody_overwrites_what_they_have_not_seen(clinic: Clinic) -> None:
    """Two read the same version; the second one to write is told, and nothing of theirs is stored."""
    async with clinic.acting("nick") as nick, clinic.acting("dora") as dora:
        made = await registered(nick)
        path, seen = f"Patient/{made['id']}", {"If-Match": f'W/"{made["meta"]["versionId"]}"'}
        bodies = [{**made, "gender": "female"}, {**made, "gender": "male"}]
        answers = await asyncio.gather(
            *(
                actor.ask("PUT", path, body, expect=(200, 412), headers=dict(seen))
                for actor, body in zip((nick, dora), bodies, strict=True)
            )
        )
        stored = [answer for answer in answers if answer["resourceType"] == "Patient"]
        assert len(stored) == 1
        assert (await dora.get(path))["gender"] == stored[0]["gender"]
        await nick.ask("PATCH", path, [{"op": "remove", "path": "/gender"}], expect=412, headers=dict(seen))


async def test_a_second_registration_finds_the_first(clinic: Clinic) -> None:
    """If-None-Exist with the number: of two at once one registers, the other is answered with the same."""
    async with clinic.acting("nick") as nick, clinic.acting("mary") as mary:
        for _ in range(10):
            wanted = newcomer()
            condition = f"identifier={NUMBERS}|{wanted['identifier'][0]['value']}"
            made = await asyncio.gather(
                *(
                    actor.ask("POST", "Patient", wanted, expect=(200, 201), headers={"If-None-Exist": condition})
                    for actor in (nick, mary)
                )
            )
            assert made[0]["id"] == made[1]["id"]
            assert await found(nick, condition) == [made[0]["id"]]
        # Two with one number already: nothing is made, and the caller is told.
        await nick.post("Patient", wanted)
        await mary.ask("POST", "Patient", wanted, expect=412, headers={"If-None-Exist": condition})


async def test_a_transaction_obeys_the_same_rules(clinic: Clinic) -> None:
    """Administrators delete patients, others do not: neither alone nor among other entries."""
    patient = clinic.patient()
    async with clinic.acting("nick") as nick, clinic.acting("dora") as dora:
        made = newcomer()
        entries = [
            {"resource": made, "request": {"method": "POST", "url": "Patient"}},
            {"request": {"method": "DELETE", "url": patient}},
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        await dora.ask("POST", "", bundle, expect=403)
        await dora.get(patient)
        assert await found(nick, f"identifier={made['identifier'][0]['value']}") == []


@pytest.mark.parametrize("name", ["dora", "nick", "sara", "pete", "mary", "olga"])
async def test_only_administrators_delete(clinic: Clinic, name: str) -> None:
    patient = clinic.patient()
    async with clinic.acting(name) as actor:
        await actor.ask("DELETE", patient, expect=403)
    async with clinic.acting("ada") as ada:
        await ada.get(patient)


async def test_an_administrator_deletes_and_brings_back(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("ada") as ada, clinic.acting("dora") as dora:
        before = await dora.get(patient)
        await ada.ask("DELETE", patient, expect=204, headers={"If-Match": 'W/"1"'})
        await dora.get(patient, expect=410)
        assert await found(dora, f"_id={before['id']}") == []
        assert (await dora.get(f"{patient}/_history/1"))["name"] == before["name"]
        await ada.ask("DELETE", patient, expect=204)  # again: it is gone already
        await ada.put(before, expect=201)
        assert (await dora.get(patient))["meta"]["versionId"] == "3"


async def test_who_is_to_be_deleted_has_changed_meanwhile(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("ada") as ada, clinic.acting("nick") as nick:
        await nick.patch(patient, {"op": "add", "path": "/gender", "value": "other"})
        await ada.ask("DELETE", patient, expect=412, headers={"If-Match": 'W/"1"'})
        await ada.get(patient)


async def test_a_patient_sees_and_changes_themselves_alone(clinic: Clinic) -> None:
    other = clinic.patient()
    async with clinic.acting("ben") as ben, clinic.acting("ann") as ann:
        assert await found(ben, "_count=50") == ["ben"]
        await ben.get(other, expect=404)
        await ben.ask("PUT", other, {"resourceType": "Patient", "id": other.partition("/")[2]}, expect=404)
        await ben.post("Patient", newcomer(), expect=403)
        await ben.ask("DELETE", "Patient/ben", expect=403)
        phone = [{"system": "phone", "value": "+1 555 0123"}]
        await ben.patch("Patient/ben", {"op": "add", "path": "/telecom", "value": phone})
        assert (await ben.get("Patient/ben"))["telecom"] == phone
        await ann.get("Patient/ben", expect=404)


async def test_a_paramedic_sees_who_it_is_and_registers_somebody_unknown(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("pete") as pete:
        assert (await pete.get(patient))["active"] is True
        assert await found(pete, f"_id={patient.partition('/')[2]}") == [patient.partition("/")[2]]
        await pete.patch(patient, {"op": "replace", "path": "/active", "value": False}, expect=403)
        await pete.post("Patient", newcomer())


async def test_what_is_no_patient_is_refused(clinic: Clinic) -> None:
    async with clinic.acting("nick") as nick:
        wrong = newcomer(birthDate="29.02.1984")
        outcome = await nick.post("Patient", wrong, expect=422)
        assert outcome["issue"][0]["expression"] == ["Patient.birthDate"]
        assert await found(nick, f"identifier={wrong['identifier'][0]['value']}") == []
