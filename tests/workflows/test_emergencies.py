"""Emergencies as they are played: raised, told to those on duty, answered, ended; by the roles' own tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from extensions.emergency.few import MOST
from tests.workflows.clinic import ANN, DAN, DORA, NICK, PAM, PETE, SECONDS, Actor, Clinic, case, role
from workflow.codes import EMERGENCY_FLAG, EMERGENCY_TASK, RESPOND_TASK, RESPONDER_STATUS, concept

Json = dict[str, Any]
PRIORITY = "http://hl7.org/fhir/StructureDefinition/flag-priority"
DETAIL = "http://hl7.org/fhir/StructureDefinition/flag-detail"


def flag(patient: str, **more: Any) -> Json:
    """An emergency, to be posted."""
    return {
        "resourceType": "Flag",
        "status": "active",
        "category": [concept(EMERGENCY_FLAG)],
        "code": {"text": "Chest pain"},
        "subject": {"reference": patient},
        **more,
    }


def response(task: str, status: str = "en-route", **more: Any) -> Json:
    """A responder's own Task, to be posted."""
    return {
        "resourceType": "Task",
        "partOf": [{"reference": f"Task/{task}"}],
        "status": "requested",
        "intent": "order",
        "code": concept(RESPOND_TASK),
        "businessStatus": {"coding": [{"system": RESPONDER_STATUS, "code": status}]},
        **more,
    }


def to(status: str) -> Json:
    return {"op": "replace", "path": "/status", "value": status}


def on(status: str) -> Json:
    return {"op": "replace", "path": "/businessStatus/coding/0/code", "value": status}


def said(task: Json) -> str:
    return str(task["businessStatus"]["coding"][0]["code"])


async def state(actor: Actor, flag_id: str) -> Json:
    """The Task that carries the state of an emergency."""
    (found,) = await actor.found(f"Task?focus=Flag/{flag_id}&code={'|'.join(EMERGENCY_TASK)}")
    return found


async def responses(actor: Actor, flag_id: str) -> list[Json]:
    return await actor.found(f"Task?focus=Flag/{flag_id}&code={'|'.join(RESPOND_TASK)}&_sort=_lastUpdated")


async def raised(actor: Actor, patient: str, **more: Any) -> tuple[str, str]:
    """An emergency: the ids of its Flag and its Task."""
    made = await actor.post("Flag", flag(patient, **more))
    return made["id"], (await state(actor, made["id"]))["id"]


async def nobody_is_there(clinic: Clinic) -> None:
    """Wait until those who were connected in tests before are gone; a receptionist, who looks, is not told of any."""
    async with clinic.acting("mary") as mary, mary.connect() as ear, asyncio.timeout(SECONDS):
        while (await ear.ask("user:online")).get("users") != [mary.user]:
            await asyncio.sleep(0.1)  # who asks more often is told no more


@pytest.fixture
def pete_on_duty(clinic: Clinic) -> Iterator[None]:
    duty = role("pete-duty", PETE, availableTime=[{"allDay": True}])
    clinic.put(duty)
    yield
    clinic.put({**duty, "active": False})


# ---- the journey -----------------------------------------------------------------------------------------


@pytest.mark.row("A-10", "A-15")
@pytest.mark.usefixtures("pete_on_duty")
async def test_an_emergency_from_the_call_to_its_end(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with (
        clinic.acting("dora") as dora,
        clinic.acting("pete") as pete,
        clinic.acting("pam") as pam,
        pam.connect() as pams,
    ):
        assert (await pams.ask("emergency:join"))["ok"]
        made = await dora.post("Flag", flag(patient))
        assert made["author"] == {"reference": DORA}
        assert made["period"]["start"]
        assert made["extension"][0]["valueCodeableConcept"]["coding"][0]["code"] == "PH"
        task = await state(dora, made["id"])
        assert (task["status"], task["priority"], task["for"]) == ("requested", "stat", {"reference": patient})

        # Who is connected hears of it at once; who is on duty by schedule finds it when they look.
        (alert,) = await pams.hears("emergency:alert", lambda data: data["id"] == made["id"])
        assert (alert["priority"], alert["message"], alert["escalated"]) == ("high", "Chest pain", 0)
        await pams.hears("notification", lambda data: f"Flag/{made['id']}" in data["about"])
        about = f"about=Flag/{made['id']}"
        (petes,) = await pete.until(f"Communication?recipient={PETE}&{about}")
        (pams_own,) = await pam.found(f"Communication?recipient={PAM}&{about}")
        assert petes["reasonCode"] == [{"text": "on duty by schedule"}]
        assert pams_own["reasonCode"] == [{"text": "online"}]
        assert "Chest" not in petes["payload"][0]["contentString"]
        assert (await pete.found(f"Flag?category=emergency&status=active&patient={patient}"))[0]["id"] == made["id"]

        first = await pete.post("Task", response(task["id"]))
        assert (first["status"], first["owner"]) == ("in-progress", {"reference": PETE})
        task = await state(dora, made["id"])
        assert (task["status"], task["owner"]) == ("accepted", {"reference": PETE})
        second = await pam.post("Task", response(task["id"], "on-scene"))
        assert (await state(dora, made["id"]))["status"] == "in-progress"
        await pete.patch(f"Task/{first['id']}", on("on-scene"))
        there = [{"userId": PETE, "status": "on-scene"}, {"userId": PAM, "status": "on-scene"}]
        await pams.hears("emergency:update", lambda data: data["responders"] == there)

        ended = await pete.patch(f"Flag/{made['id']}", to("inactive"))
        assert ended["period"]["end"]
        assert (await state(dora, made["id"]))["status"] == "completed"
        found = await responses(dora, made["id"])
        assert [(one["status"], said(one)) for one in found] == [("completed", "finished")] * 2
        await pams.hears("emergency:alert", lambda data: data["id"] == made["id"] and data["resolved"])
        # Nobody needs to read of it any more, and nothing of it begins again.
        await pete.until(f"Communication?recipient={PETE}&{about}&status=not-done")
        await pete.until(f"Communication?{about}&status=in-progress", lambda found: not found)
        await pete.patch(f"Flag/{made['id']}", to("active"), expect=409)
        await pete.patch(f"Task/{second['id']}", on("on-scene"), expect=403)
        await pam.patch(f"Task/{second['id']}", on("on-scene"), expect=409)
        await dora.post("Task", response(task["id"]), expect=409)


@pytest.mark.row("A-10", "A-15")
async def test_a_patient_calls_for_help_and_tells_where_they_are(clinic: Clinic) -> None:
    async with (
        clinic.acting("ann") as ann,
        clinic.acting("ben") as ben,
        clinic.acting("pete") as pete,
        ann.connect() as anns,
        pete.connect() as petes,
    ):
        await petes.ask("emergency:join")
        position = {"latitude": 52.52, "longitude": 13.405}
        answer = await anns.ask("emergency:alert", {"message": "Help", "priority": "medium", "position": position})
        assert answer["ok"], answer
        id_ = answer["id"].partition("/")[2]
        (alert,) = await petes.hears("emergency:alert", lambda data: data["id"] == id_)
        assert (alert["position"], alert["patient"], alert["priority"]) == (position, ANN, "medium")
        task = await state(pete, id_)
        assert task["contained"][0]["position"] == position
        assert task["location"] == {"reference": "#position"}
        # Of others' emergencies a patient learns nothing; of the staff's alerts not even in their own.
        await ben.get(f"Flag/{id_}", expect=404)
        await ben.get(f"Task/{task['id']}", expect=404)
        await pete.until(f"Communication?recipient={PETE}&about=Flag/{id_}")
        assert await ann.found(f"Communication?about=Flag/{id_}") == []
        # Taken back by a mistake, as long as nobody comes.
        await ann.patch(f"Flag/{id_}", to("inactive"), expect=403)
        await ann.patch(f"Flag/{id_}", to("entered-in-error"))
        assert (await state(pete, id_))["status"] == "cancelled"

        id_, task_id = await raised(ann, ANN)
        await pete.patch(f"Task/{task_id}", to("accepted"))
        (mine,) = await responses(ann, id_)
        assert (mine["owner"], said(mine)) == ({"reference": PETE}, "en-route")
        await ann.patch(f"Flag/{id_}", to("entered-in-error"), expect=409)
        await ann.patch(f"Task/{task_id}", to("cancelled"), expect=409)
        await pete.patch(f"Task/{task_id}", to("completed"))
        assert (await ann.get(f"Flag/{id_}"))["status"] == "inactive"


async def test_a_location_of_its_own_in_a_transaction(clinic: Clinic) -> None:
    patient = clinic.patient()
    location = {"resourceType": "Location", "mode": "instance", "position": {"latitude": 1.5, "longitude": 2.5}}
    url = "urn:uuid:6f9619ff-8b86-4011-b42d-00c04fc964ff"
    detail = [{"url": DETAIL, "valueReference": {"reference": url}}]
    entries = [
        {"resource": flag(patient, extension=detail), "request": {"method": "POST", "url": "Flag"}},
        {"fullUrl": url, "resource": location, "request": {"method": "POST", "url": "Location"}},
    ]
    async with clinic.acting("pete") as pete, pete.connect() as ear:
        await ear.ask("emergency:join")
        answer = await pete.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries}, expect=200)
        id_ = answer["entry"][0]["response"]["location"].split("/Flag/")[1].split("/")[0]
        (alert,) = await ear.hears("emergency:alert", lambda data: data["id"] == id_)
        assert alert["position"] == {"latitude": 1.5, "longitude": 2.5}
        assert (await state(pete, id_))["location"]["reference"].startswith("Location/")


@pytest.mark.parametrize(
    "position", [{"latitude": 91, "longitude": 0}, {"latitude": 1}, "here", {"latitude": True, "longitude": 0}]
)
async def test_a_position_that_is_none(clinic: Clinic, position: Any) -> None:
    async with clinic.acting("ann") as ann, ann.connect() as ear:
        answer = await ear.ask("emergency:alert", {"message": "Help", "position": position})
        assert (answer["ok"], answer["status"]) == (False, 400)


# ---- who may, and what stays -----------------------------------------------------------------------------


@pytest.mark.row("A-10", "A-13")
async def test_who_may_not(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with (
        clinic.acting("dora") as dora,
        clinic.acting("dan") as dan,
        clinic.acting("mary") as mary,
        clinic.acting("ann") as ann,
        clinic.acting("pete") as pete,
    ):
        id_, task = await raised(dora, patient)
        await mary.post("Flag", flag(patient), expect=403)
        await mary.post("Task", response(task), expect=403)
        await mary.get(f"Task/{task}", expect=404)
        await ann.post("Flag", flag(patient), expect=403)
        await ann.post("Task", response(task), expect=403)
        await pete.post("Flag", flag(patient, author={"reference": DORA}), expect=403)
        await pete.post("Task", response(task, owner={"reference": PAM}), expect=403)
        await pete.patch(f"Task/{task}", {"op": "add", "path": "/owner", "value": {"reference": PAM}}, expect=403)
        # Whoever has nothing to do with it does not end it.
        await dan.patch(f"Flag/{id_}", to("inactive"), expect=403)
        await dan.patch(f"Task/{task}", to("completed"), expect=403)
        await pete.post("Task", response(task, "declined"))
        await pete.patch(f"Flag/{id_}", to("inactive"), expect=403)
        await dora.patch(f"Flag/{id_}", to("inactive"))


async def test_the_team_of_the_case_and_administrators_end_it(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("nick") as nick, clinic.acting("ada") as ada:
        encounter = await dora.post("Encounter", case(patient, DORA, NICK))
        id_, _ = await raised(dora, patient, encounter={"reference": f"Encounter/{encounter['id']}"})
        await nick.patch(f"Flag/{id_}", to("inactive"))
        id_, _ = await raised(dora, patient)
        await ada.patch(f"Flag/{id_}", to("entered-in-error"))


async def test_what_stays(clinic: Clinic) -> None:
    patient, other = clinic.patient(), clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("ada") as ada:
        id_, task = await raised(dora, patient)
        for path, value in (
            ("/subject", {"reference": other}),
            ("/author", {"reference": NICK}),
            ("/period/start", "2026-01-01T00:00:00Z"),
            ("/category/0/coding/0/code", "none"),
        ):
            await dora.patch(f"Flag/{id_}", {"op": "replace", "path": path, "value": value}, expect=422)
        await dora.patch(f"Flag/{id_}", {"op": "add", "path": "/period/end", "value": "2030-01-01"}, expect=422)
        await dora.patch(
            f"Task/{task}", {"op": "replace", "path": "/restriction", "value": {"repetitions": 1}}, expect=422
        )
        await dora.patch(f"Task/{task}", {"op": "add", "path": "/businessStatus", "value": {"text": "x"}}, expect=422)
        # A PUT that leaves out what the server filled in keeps it.
        kept = await dora.put({**flag(patient), "id": id_})
        assert kept["author"] == {"reference": DORA}
        assert kept["period"]["start"]
        # Nobody makes the Task by hand, or takes it away while it lasts.
        made = {"resourceType": "Task", "status": "requested", "intent": "order", "code": concept(EMERGENCY_TASK)}
        await dora.post("Task", made, expect=422)
        await ada.ask("DELETE", f"Task/{task}", expect=409)
        await dora.post("Flag", flag(patient, status="inactive"), expect=403)
        await dora.post("Flag", flag(patient, period={"start": "2020-01-01"}), expect=422)
        await dora.post("Flag", flag("Group/1"), expect=422)
        await dora.post("Task", response("nowhere"), expect=404)
        await dora.post("Task", response(task, focus={"reference": "Flag/other"}), expect=422)
        await dora.post("Task", response(task, "finished"), expect=422)


@pytest.mark.row("A-10")
async def test_nobody_becomes_a_responder_on_the_side(clinic: Clinic) -> None:
    """Who answered an emergency may annul it: not who makes a Task look as if they had."""
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("pete") as pete:
        over, task = await raised(dora, patient)
        lasting, another = await raised(pete, patient)
        await dora.patch(f"Flag/{over}", to("inactive"))
        plain = {**response(task, "finished"), "code": {"text": "Errand"}, "owner": {"reference": PETE}}
        made = await pete.post("Task", plain)
        await pete.put({**made, "code": concept(RESPOND_TASK)}, expect=422)
        coming = {"coding": [{"system": RESPONDER_STATUS, "code": "en-route"}]}
        await pete.put({**made, "code": concept(RESPOND_TASK), "businessStatus": coming}, expect=409)
        two = [{"reference": f"Task/{one}"} for one in (another, task)]
        await pete.post("Task", {**response(another), "partOf": two}, expect=422)
        await pete.patch(f"Flag/{over}", to("entered-in-error"), expect=403)
        # What becomes one of an emergency that lasts is one like any other.
        errand = await pete.post("Task", {**plain, "partOf": [{"reference": f"Task/{another}"}]})
        await pete.put({**errand, "code": concept(RESPOND_TASK), "businessStatus": coming})
        assert (await state(dora, lasting))["status"] == "accepted"
        await pete.patch(f"Flag/{lasting}", to("inactive"))


@pytest.mark.row("A-10")
async def test_its_case_and_its_end_stay(clinic: Clinic) -> None:
    """The people of its case may end an emergency: who may not, does not make a case of theirs its."""
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("dan") as dan:
        await dora.post("Flag", flag(patient, period={"end": "2030-01-01"}), expect=422)
        id_, _ = await raised(dora, patient)
        his = await dan.post("Encounter", case(patient, DAN))
        hang = {"op": "add", "path": "/encounter", "value": {"reference": f"Encounter/{his['id']}"}}
        await dan.patch(f"Flag/{id_}", hang, expect=403)
        await dora.patch(f"Flag/{id_}", hang)
        await dan.patch(f"Flag/{id_}", to("inactive"))
        end = {"op": "replace", "path": "/period/end", "value": "2031-01-01"}
        await dan.patch(f"Flag/{id_}", end, expect=422)


@pytest.mark.row("A-10")
async def test_a_patient_calls_so_many_times_at_once(clinic: Clinic) -> None:
    async with clinic.newcomer() as ann:
        answers = await asyncio.gather(*(ann.http.post("Flag", json=flag(ann.user)) for _ in range(MOST + 2)))
        made = [one.json()["id"] for one in answers if one.status_code == 201]
        assert len(made) <= MOST
        assert {one.status_code for one in answers} <= {201, 409}
        while len(made) < MOST:
            made.append((await ann.post("Flag", flag(ann.user)))["id"])
        await ann.post("Flag", flag(ann.user), expect=409)
        await ann.patch(f"Flag/{made.pop()}", to("entered-in-error"))
        made.append((await ann.post("Flag", flag(ann.user)))["id"])
        for id_ in made:
            await ann.patch(f"Flag/{id_}", to("entered-in-error"))


async def test_an_administrator_deletes_one_and_its_tasks_end(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("ada") as ada, clinic.acting("pete") as pete:
        id_, task = await raised(dora, patient)
        await pete.patch(f"Task/{task}", to("accepted"))
        await dora.ask("DELETE", f"Flag/{id_}", expect=403)
        await ada.ask("DELETE", f"Flag/{id_}", expect=204)
        await dora.until(f"Task?_id={task}&status=cancelled")
        assert [one["status"] for one in await responses(dora, id_)] == ["cancelled"]


async def test_flags_of_other_categories_are_left_alone(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora:
        made = await dora.post("Flag", {**flag(patient), "category": [{"text": "diet"}]})
        assert "author" not in made
        await dora.patch(f"Flag/{made['id']}", to("inactive"))
        await dora.patch(f"Flag/{made['id']}", to("active"))
        assert await dora.found(f"Task?focus=Flag/{made['id']}") == []


# ---- several at once -------------------------------------------------------------------------------------


@pytest.mark.row("A-10")
async def test_many_respond_and_it_is_accepted_once(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with (
        clinic.acting("dora") as dora,
        clinic.acting("dan") as dan,
        clinic.acting("nick") as nick,
        clinic.acting("pete") as pete,
        clinic.acting("pam") as pam,
    ):
        id_, task = await raised(dora, patient)
        accept = {"resourceType": "Parameters", "parameter": [{"name": "action", "valueCode": "accept"}]}
        await asyncio.gather(
            pete.post("Task", response(task)),
            pam.post("Task", response(task)),
            dan.patch(f"Task/{task}", to("accepted")),
            nick.post(f"Task/{task}/$respond", accept, expect=200),
        )
        found = await responses(dora, id_)
        assert {one["owner"]["reference"] for one in found} == {PETE, PAM, NICK, "Practitioner/dan"}
        assert {said(one) for one in found} == {"en-route"}
        history = await dora.get(f"Task/{task}/_history")
        states = [entry["resource"]["status"] for entry in history["entry"]]
        assert states[0] == "accepted"
        assert states[-1] == "requested"
        # Who says it again adds nothing; who declines does so for themselves.
        await nick.post(f"Task/{task}/$respond", accept, expect=200)
        await dan.patch(f"Task/{task}", to("rejected"))
        found = await responses(dora, id_)
        assert sorted(map(said, found)) == ["declined", "en-route", "en-route", "en-route"]
        assert (await state(dora, id_))["status"] == "accepted"


async def test_somebody_who_responds_twice_at_once_does_so_once(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("pete") as pete:
        id_, task = await raised(dora, patient)
        answers = await asyncio.gather(*(pete.ask("POST", "Task", response(task), expect=(201, 409)) for _ in range(4)))
        assert [one["resourceType"] for one in answers].count("Task") == 1
        assert len(await responses(dora, id_)) == 1


async def test_two_end_it_at_once(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("pete") as pete:
        id_, task = await raised(dora, patient)
        await pete.post("Task", response(task))
        await asyncio.gather(
            dora.ask("PATCH", f"Flag/{id_}", [to("inactive")], expect=(200, 409)),
            pete.ask("PATCH", f"Task/{task}", [to("completed")], expect=(200, 409)),
        )
        assert (await dora.get(f"Flag/{id_}"))["status"] == "inactive"
        assert (await state(dora, id_))["status"] == "completed"
        history = await dora.get(f"Flag/{id_}/_history")
        assert [one["resource"]["status"] for one in history["entry"]] == ["inactive", "active"]


async def test_ended_by_flag_and_task_in_one_transaction(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora:
        id_, task = await raised(dora, patient)
        now, then = await dora.get(f"Flag/{id_}"), await dora.get(f"Task/{task}")
        # Nobody is on duty: it is escalated about now, and what that changes is the server's to say.
        bare = {name: value for name, value in then.items() if name not in ("businessStatus", "restriction")}
        entries = [
            {"resource": {**bare, "status": "completed"}, "request": {"method": "PUT", "url": f"Task/{task}"}},
            {"resource": {**now, "status": "inactive"}, "request": {"method": "PUT", "url": f"Flag/{id_}"}},
        ]
        await dora.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries}, expect=200)
        assert (await state(dora, id_))["status"] == "completed"
        assert (await dora.get(f"Flag/{id_}"))["meta"]["versionId"] == "2"


async def test_who_responds_while_it_ends_does_not_go_on(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora, clinic.acting("pete") as pete, clinic.acting("pam") as pam:
        for _ in range(5):
            patient = clinic.patient()
            id_, task = await raised(dora, patient)
            await pam.post("Task", response(task))
            await asyncio.gather(
                pete.ask("POST", "Task", response(task), expect=(201, 409)),
                dora.patch(f"Flag/{id_}", to("inactive")),
            )
            await dora.until(f"Task?focus=Flag/{id_}", lambda found: all(one["status"] == "completed" for one in found))


@pytest.mark.row("A-10")
async def test_when_the_only_one_turns_back_it_is_told_anew(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with (
        clinic.acting("dora") as dora,
        clinic.acting("pete") as pete,
        clinic.acting("pam") as pam,
        dora.connect() as ear,
        pam.connect() as pams,  # somebody is there to be told, or it might be escalated before anybody answers
    ):
        for one in (ear, pams):
            await one.ask("emergency:join")
        id_, task = await raised(dora, patient)
        mine = await pete.post("Task", response(task))
        await pete.patch(f"Task/{mine['id']}", on("declined"))
        # Requested again, and escalated at once.
        (told,) = (await ear.hears("emergency:update", lambda data: data["id"] == id_ and data["escalated"] == 1))[:1]
        assert told["state"] == "requested"
        assert "owner" not in await state(dora, id_)
        await pete.patch(f"Task/{mine['id']}", on("en-route"))
        assert (await state(dora, id_))["status"] == "accepted"


@pytest.mark.row("A-10")
async def test_with_nobody_on_duty_everybody_is_told_at_once(clinic: Clinic) -> None:
    """Nobody is connected: those with a role here (specialists, of this patient) and the administrators are told."""
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("ada") as ada:
        await nobody_is_there(clinic)
        id_, _ = await raised(dora, patient)
        (told,) = await ada.until(f"Communication?about=Flag/{id_}&recipient=Practitioner/ada")
        assert told["reasonCode"] == [{"text": "nobody has answered in time"}]
        task = await state(dora, id_)
        assert (said(task), task["status"]) == ("1", "requested")
        # Specialists are told of patients in their care only.
        assert await ada.found(f"Communication?about=Flag/{id_}&recipient=Practitioner/sara") == []
