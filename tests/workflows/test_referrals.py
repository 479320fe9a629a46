"""Referrals as they are played: by the tokens of who asks and who is asked, over plain writes and the operation."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest

from extensions.referrals import tasks
from fhir_server.json import decode, encode
from tests.workflows.clinic import ANN, CARDIOLOGY, CLINIC, DAN, DORA, SARA, SAUL, SECONDS, Actor, Clinic, role
from tests.workflows.referring import ACTIONS, REFERRAL, bundle, by_patch, by_respond, refer, request, task

Json = dict[str, Any]
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
GUIDE = "http://fhir-server.example/ig"
SERVICE = "HealthcareService/chest-pain"


async def request_of(who: Actor, made: Json) -> Json:
    return await who.get(made["focus"]["reference"])


def performers(asked: Json) -> list[str]:
    return [one["reference"] for one in asked["performer"]]


# ---- the journey ----------------------------------------------------------------------------------------


@pytest.mark.row("A-9")
async def test_a_referral_from_end_to_end(clinic: Clinic) -> None:
    patient = clinic.patient()
    clinic.put(note := condition(patient))
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara, dora.connect() as hers:
        async with sara.connect() as ear:
            await sara.get(patient, expect=404)
            made = await refer(dora, patient, priority="urgent")
            assert (made["status"], made["priority"], made["owner"]["reference"]) == ("requested", "urgent", CARDIOLOGY)
            assert made["requester"] == {"reference": DORA}
            (notice,) = await ear.hears("notification", lambda told: told["about"] == [f"Task/{made['id']}"])
            assert (notice["message"], notice["priority"]) == ("You have a new referral.", "urgent")
            assert patient not in str(notice)
        incoming = f"Task?owner={CARDIOLOGY}&code=fulfill&status=requested,accepted,in-progress&patient={patient}"
        outgoing = f"Task?requester={DORA}&code=fulfill&patient={patient}"
        assert [one["id"] for one in await sara.found(incoming)] == [made["id"]]
        assert [one["id"] for one in await dora.found(outgoing)] == [made["id"]]
        for status in ("requested", "accepted", "in-progress"):
            if status != "requested":
                made = await by_respond(sara, made, status)
            await sara.get(patient)
            await sara.get(f"Condition/{note['id']}")
        await by_patch(dora, made, "completed", expect=403)
        report = f"Observation/{note['id']}"
        made = await by_respond(sara, made, "completed", output=[report])
        assert made["output"] == [{"type": {"text": "result"}, "valueReference": {"reference": report}}]
        await by_patch(sara, made, "in-progress", expect=409)
        await sara.get(patient, expect=404)
        await sara.get(f"Condition/{note['id']}", expect=404)
        assert (await sara.get(f"Task/{made['id']}"))["status"] == "completed"  # what they have done they still see
        assert (await request_of(dora, made))["status"] == "completed"
        told = await hers.hears("notification", lambda one: one["about"] == [f"Task/{made['id']}"], count=2)
        assert [one["message"] for one in told] == ["Your referral was accepted.", "Your referral was completed."]
        assert await sara.found(incoming) == []


def condition(patient: str) -> Json:
    return {
        "resourceType": "Condition",
        "id": str(uuid4()),
        "clinicalStatus": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
        },
        "subject": {"reference": patient},
    }


@pytest.mark.row("A-9")
async def test_a_rejection_says_why_and_closes_the_chart(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara, dora.connect() as ear:
        made = await refer(dora, patient)
        await sara.get(patient)
        reject = {"op": "replace", "path": "/status", "value": "rejected"}
        told = await sara.patch(f"Task/{made['id']}", reject, expect=422)
        assert told["issue"][0]["expression"] == ["Task.statusReason"]
        body = {"resourceType": "Parameters", "parameter": [{"name": "action", "valueCode": "reject"}]}
        await sara.post(f"Task/{made['id']}/$respond", body, expect=422)
        await sara.get(patient)
        await by_respond(sara, made, "rejected")
        await sara.get(patient, expect=404)
        assert (await request_of(dora, made))["status"] == "revoked"
        await ear.hears("notification", lambda one: one["message"] == "Your referral was rejected.")


@pytest.mark.row("A-9")
async def test_a_cancelled_one_closes_the_chart_and_is_told(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara, sara.connect() as ear:
        made = await by_respond(sara, await refer(dora, patient), "accepted")
        await sara.get(patient)
        await by_patch(dora, made, "cancelled")
        await sara.get(patient, expect=404)
        await ear.hears("notification", lambda one: one["message"] == "A referral to you was cancelled.")


# ---- how one is made ------------------------------------------------------------------------------------


@pytest.mark.row("A-9")
@pytest.mark.parametrize("order", [1, -1])
async def test_request_and_task_in_one_transaction(order: int, clinic: Clinic) -> None:
    patient = clinic.patient()
    asked = request(patient, id=str(uuid4()), priority="asap")
    entries = [asked, task(f"urn:uuid:{asked['id']}", id=str(uuid4()))]
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara:
        answer = await dora.post("", bundle(*entries[::order]), expect=200)
        assert [one["response"]["status"][:3] for one in answer["entry"]] == ["201", "201"]
        (made,) = await dora.until(f"Task?patient={patient}")
        assert (made["priority"], made["for"]["reference"], made["status"]) == ("asap", patient, "requested")
        await by_patch(sara, made, "accepted")
        assert len(await dora.found(f"Task?patient={patient}")) == 1


@pytest.mark.row("A-9")
async def test_a_request_has_one_task(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora:
        answer = await dora.post("", bundle(request(patient)), expect=200)  # in a Bundle the server comes later
        focus = "/".join(answer["entry"][0]["response"]["location"].partition("/_history")[0].split("/")[-2:])
        more = [dora.ask("POST", "Task", task(focus), expect=(201, 409)) for _ in range(4)]
        told = await asyncio.gather(*more)
        assert sum(one["resourceType"] == "Task" for one in told) <= 1
        (made,) = await dora.until(f"Task?focus={focus}")
        refused = await dora.post("Task", task(focus), expect=409)
        assert f"Task/{made['id']}, requested" in refused["issue"][0]["diagnostics"]
        assert len(await dora.found(f"Task?focus={focus}")) == 1


@pytest.mark.row("A-9")
async def test_a_draft_asks_nobody_until_it_is_active(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara:
        draft = await dora.post("ServiceRequest", request(patient, status="draft"))
        await dora.post("Task", task(f"ServiceRequest/{draft['id']}"), expect=409)
        await sara.get(patient, expect=404)
        await dora.patch(f"ServiceRequest/{draft['id']}", {"op": "replace", "path": "/status", "value": "active"})
        (made,) = await sara.found(f"Task?focus=ServiceRequest/{draft['id']}")
        assert made["status"] == "requested"


@pytest.mark.row("A-9")
@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"requester": {"reference": SARA}}, 403),
        ({"status": "completed"}, 422),
        ({"performer": []}, 422),
        ({"performer": [{"reference": ANN}]}, 422),
        ({"performer": [{"reference": DORA}]}, 403),
        ({"subject": {"reference": "Group/1"}}, 422),
    ],
)
async def test_what_is_no_referral(more: Json, status: int, clinic: Clinic) -> None:
    patient = clinic.patient()
    wanted = {name: value for name, value in {**request(patient), **more}.items() if value != []}
    async with clinic.acting("dora") as dora:
        await dora.post("ServiceRequest", wanted, expect=status)
        assert await dora.found(f"ServiceRequest?patient={patient}") == []
        assert await dora.found(f"Task?patient={patient}") == []


@pytest.mark.row("A-9")
async def test_a_task_says_what_its_request_says(clinic: Clinic) -> None:
    patient, name = clinic.patient(), str(uuid4())
    clinic.put(request(patient, id=name, status="draft", requester={"reference": DORA}, priority="urgent"))
    other: dict[str, Any] = {
        "for": {"reference": ANN},
        "requester": {"reference": SARA},
        "owner": {"reference": SAUL},
        "priority": "stat",
    }
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara:
        for element, value in other.items():
            told = await dora.post("Task", task(f"ServiceRequest/{name}", **{element: value}), expect=422)
            assert told["issue"][0]["expression"] == [f"Task.{element}"]
        # Whether there is a request that one may not see: the same answer.
        hidden = str(uuid4())
        clinic.put(request(patient, SAUL, id=hidden, status="draft", requester={"reference": DORA}))
        for focus in (hidden, str(uuid4())):
            mine = {"requester": {"reference": SARA}, "owner": {"reference": SARA}}
            await sara.post("Task", task(f"ServiceRequest/{focus}", **mine), expect=422)


# ---- the request by hand --------------------------------------------------------------------------------


@pytest.mark.row("A-9")
async def test_the_state_is_the_tasks(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("ada") as ada:
        made = await refer(dora, patient)
        path = made["focus"]["reference"]
        for who in (dora, ada):
            for status in ("completed", "revoked", "on-hold", "draft", "entered-in-error"):
                told = await who.patch(path, {"op": "replace", "path": "/status", "value": status}, expect=409)
                assert f"requested: its state is changed in Task/{made['id']}" in told["issue"][0]["diagnostics"]
        assert (await request_of(dora, made))["status"] == "active"
        await ada.ask("DELETE", path, expect=204)
        assert (await dora.get(f"Task/{made['id']}"))["status"] == "entered-in-error"


@pytest.mark.row("A-9")
async def test_a_deleted_task_closes_the_chart(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara, clinic.acting("ada") as ada:
        made = await refer(dora, patient)
        await dora.ask("DELETE", f"Task/{made['id']}", expect=403)
        await ada.ask("DELETE", f"Task/{made['id']}", expect=204)
        assert (await request_of(dora, made))["status"] == "entered-in-error"
        await sara.get(patient, expect=404)


@pytest.mark.row("A-9")
async def test_the_urgency_is_one(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara, clinic.acting("dan") as dan:
        made = await refer(dora, patient)
        path = made["focus"]["reference"]
        urgent, asap = ({"op": "replace", "path": "/priority", "value": value} for value in ("urgent", "asap"))
        await dora.patch(path, urgent)
        assert (await sara.get(f"Task/{made['id']}"))["priority"] == "urgent"
        await dora.patch(f"Task/{made['id']}", asap)
        assert (await request_of(sara, made))["priority"] == "asap"
        await sara.patch(f"Task/{made['id']}", urgent, expect=403)
        await dan.patch(path, urgent, expect=403)
        assert (await request_of(sara, made))["priority"] == "asap"


@pytest.mark.row("A-9")
async def test_request_and_task_are_changed_in_one_transaction(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara:
        made = await by_respond(sara, await refer(dora, patient), "accepted")
        asked = {**await request_of(dora, made), "note": [{"text": "called the ward"}]}
        body = bundle(asked, {**made, "status": "cancelled"}, method="PUT")
        answer = await dora.post("", body, expect=200)
        assert [one["response"]["etag"] for one in answer["entry"]] == ['W/"2"', 'W/"3"']
        now = await request_of(dora, made)
        assert (now["status"], now["note"], now["meta"]["versionId"]) == ("revoked", asked["note"], "2")


# ---- a house is asked -----------------------------------------------------------------------------------


@asynccontextmanager
async def colleagues(clinic: Clinic) -> AsyncIterator[tuple[Actor, Actor, Actor]]:
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara, clinic.acting("saul") as saul:
        yield dora, sara, saul


@pytest.mark.row("A-9")
async def test_one_of_the_house_answers_and_gets_the_chart(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with colleagues(clinic) as (dora, sara, saul), sara.connect() as hers, saul.connect() as his:
        made = await refer(dora, patient, CLINIC)
        for ear in (hers, his):
            await ear.hears("notification", lambda told: told["about"] == [f"Task/{made['id']}"])
        for one in (sara, saul):
            await one.get(f"Task/{made['id']}")
            await one.get(patient, expect=404)
        await by_patch(sara, made, "accepted")
        await sara.get(patient)
        await saul.get(patient, expect=404)
        assert performers(await request_of(dora, made)) == [CLINIC, SARA]
        now = await saul.get(f"Task/{made['id']}")
        assert now["owner"] == {"reference": CLINIC}
        assert SARA in str(now["extension"])
        for status in ("accepted", "in-progress", "completed"):
            told = await by_patch(saul, made, status, expect=409)
            assert told["issue"][0]["diagnostics"] == f"The referral is accepted: {SARA} has answered it."
        (mine,) = await sara.found(f"Task?owner={CLINIC}&focus:ServiceRequest.performer={SARA}&patient={patient}")
        # Who answered stays, whatever a client leaves out or puts in.
        forged = decode(encode(now["extension"]).replace(SARA.encode(), SAUL.encode()))
        for more in ({}, {"extension": forged}):
            without = {name: value for name, value in now.items() if name != "extension"}
            now = await sara.put({**without, **more}, expect=200)
            assert SARA in str(now["extension"])
            assert SAUL not in str(now["extension"])
        await by_respond(sara, mine, "completed")
        await sara.get(patient, expect=404)


@pytest.mark.row("A-9")
async def test_a_service_is_asked(clinic: Clinic) -> None:
    patient = clinic.patient()
    clinic.put({"resourceType": "HealthcareService", "id": "chest-pain", "active": True, "name": "Chest pain"})
    role = {
        "resourceType": "PractitionerRole",
        "id": "saul-chest-pain",
        "active": True,
        "practitioner": {"reference": SAUL},
        "healthcareService": [{"reference": SERVICE}],
    }
    clinic.put(role)
    async with colleagues(clinic) as (dora, sara, saul), saul.connect() as ear:
        made = await refer(dora, patient, SERVICE)
        await ear.hears("notification", lambda told: told["about"] == [f"Task/{made['id']}"])
        await by_respond(sara, made, "accepted", expect=404)
        await by_respond(saul, made, "accepted")
        await saul.get(patient)
    clinic.put({**role, "active": False})


@pytest.mark.row("A-9")
async def test_nobody_takes_a_patient_into_their_own_care(clinic: Clinic) -> None:
    """A doctor of the house who refers to the house would open confidential documents to themselves."""
    patient = clinic.patient()
    role = {
        "resourceType": "PractitionerRole",
        "id": "dora-referring",
        "active": True,
        "practitioner": {"reference": DORA},
        "organization": {"reference": CLINIC},
    }
    clinic.put(role)
    async with colleagues(clinic) as (dora, _, saul):
        made = await refer(dora, patient, CLINIC)
        await by_patch(dora, made, "accepted", expect=403)
        await by_respond(dora, made, "accepted", expect=403)
        await by_respond(saul, made, "accepted")
        await by_patch(dora, made, "cancelled")
    clinic.put({**role, "active": False})


@pytest.mark.row("A-9")
@pytest.mark.parametrize("together", [False, True], ids=["one-after-the-other", "together"])
async def test_an_order_that_has_a_task_becomes_no_referral(together: bool, clinic: Clinic) -> None:
    """Of a plain order the task says what its writer likes: as if a colleague had referred to the writer's house."""
    patient = clinic.patient()
    duty = role("dora-of-the-house", DORA)
    clinic.put(duty)
    async with clinic.acting("dora") as dora:
        plain = {name: value for name, value in request(patient, CLINIC).items() if name != "category"}
        asked = await dora.post("ServiceRequest", plain)
        owned = {"for": asked["subject"], "owner": {"reference": CLINIC}, "requester": {"reference": SAUL}}
        forged = task(f"ServiceRequest/{asked['id']}", priority="routine", **owned)
        referral = {**asked, "category": [REFERRAL], "priority": "routine"}
        if together:
            both = bundle(forged)
            both["entry"] += bundle(referral, method="PUT")["entry"]
            await dora.post("", both, expect=409)
        else:
            await dora.post("Task", forged)
            await dora.put(referral, expect=409)
            await dora.patch(
                f"ServiceRequest/{asked['id']}", {"op": "add", "path": "/category", "value": [REFERRAL]}, expect=409
            )
        assert "category" not in await dora.get(f"ServiceRequest/{asked['id']}")
    clinic.put({**duty, "active": False})


@pytest.mark.row("A-9")
async def test_a_task_and_the_referral_that_its_order_becomes_at_once(clinic: Clinic) -> None:
    """Whichever comes first, a referral has no task that was not judged as its own."""
    async with clinic.acting("dora") as dora, clinic.acting("dan") as dan:
        for _ in range(5):
            patient = clinic.patient()
            plain = {name: value for name, value in request(patient).items() if name != "category"}
            asked = await dora.post("ServiceRequest", plain)
            forged = task(f"ServiceRequest/{asked['id']}", owner={"reference": DAN}, requester={"reference": DAN})
            answers = await asyncio.gather(
                dan.http.post("Task", json=forged),
                dora.http.put(f"ServiceRequest/{asked['id']}", json={**asked, "category": [REFERRAL]}),
            )
            assert sorted(one.status_code < 300 for one in answers) == [False, True]


@pytest.mark.row("A-9")
async def test_a_task_that_saw_an_order_loses_against_the_referral_it_became(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is read in its old state, and the task committed when it has become a referral."""
    asked, seen, go_on = tasks._asked, threading.Event(), threading.Event()

    async def and_wait(*arguments: Any) -> Any:
        found = await asked(*arguments)
        seen.set()
        await asyncio.to_thread(go_on.wait, SECONDS)
        return found

    async with clinic.acting("dora") as dora, clinic.acting("dan") as dan:
        patient = clinic.patient()
        plain = {name: value for name, value in request(patient).items() if name != "category"}
        order = await dora.post("ServiceRequest", plain)
        forged = task(f"ServiceRequest/{order['id']}", owner={"reference": DAN}, requester={"reference": DAN})
        monkeypatch.setattr(tasks, "_asked", and_wait)
        posting = asyncio.create_task(dan.http.post("Task", json=forged))
        assert await asyncio.to_thread(seen.wait, SECONDS)
        made = await dora.http.put(f"ServiceRequest/{order['id']}", json={**order, "category": [REFERRAL]})
        go_on.set()
        assert (made.status_code, (await posting).status_code) == (200, 422)  # judged anew


Try = tuple[str, str]  # who, and by what


@pytest.mark.row("A-9")
@pytest.mark.parametrize("doors", [("patch", "patch"), ("respond", "respond"), ("patch", "respond"), ("if-match",) * 2])
async def test_two_colleagues_answer_at_once(doors: tuple[str, str], clinic: Clinic) -> None:
    async with colleagues(clinic) as (dora, sara, saul):
        for _ in range(6):
            patient = clinic.patient()
            made = await refer(dora, patient, CLINIC)
            answers = await asyncio.gather(*map(accept, doors, (sara, saul), (made, made)))
            codes = [one.status_code for one in answers]
            assert sorted(codes) in ([[200, 409], [200, 412]] if "if-match" in doors else [[200, 409]]), codes
            winner, loser = (sara, saul) if codes[0] == 200 else (saul, sara)
            lost = answers[1 - codes.index(200)]
            if lost.status_code == 409:
                said = lost.json()["issue"][0]["diagnostics"]
                assert said == f"The referral is accepted: {winner.user} has answered it."
            assert performers(await request_of(dora, made)) == [CLINIC, winner.user]
            assert (await dora.get(f"Task/{made['id']}"))["meta"]["versionId"] == "2"
            await winner.get(patient)
            await loser.get(patient, expect=404)


async def accept(door: str, who: Actor, made: Json) -> httpx.Response:
    """The answer to an acceptance, whatever it is."""
    path = f"Task/{made['id']}"
    if door == "respond":
        parts = [{"name": "action", "valueCode": ACTIONS["accepted"]}]
        body: Any = {"resourceType": "Parameters", "parameter": parts}
        headers = {"Content-Type": "application/fhir+json"}
        return await who.http.post(f"{path}/$respond", content=encode(body), headers=headers)
    headers = {"Content-Type": "application/json-patch+json"}
    if door == "if-match":
        headers["If-Match"] = f'W/"{made["meta"]["versionId"]}"'
    body = [{"op": "replace", "path": "/status", "value": "accepted"}]
    return await who.http.patch(path, content=encode(body), headers=headers)


@pytest.mark.row("A-9")
@pytest.mark.parametrize("door", ["patch", "respond"])
async def test_the_same_person_twice_is_a_retry(door: str, clinic: Clinic) -> None:
    async with colleagues(clinic) as (dora, sara, _):
        made = await refer(dora, clinic.patient(), CLINIC)
        answers = await asyncio.gather(*(accept(door, sara, made) for _ in range(3)))
        assert [one.status_code for one in answers] == [200, 200, 200]
        assert performers(await request_of(dora, made)) == [CLINIC, SARA]
        if door == "respond":
            assert {one.json()["meta"]["versionId"] for one in answers} == {"2"}


@pytest.mark.row("A-9")
async def test_accepting_and_cancelling_at_once(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara:
        for _ in range(6):
            patient = clinic.patient()
            made = await refer(dora, patient)
            cancel = dora.patch(f"Task/{made['id']}", {"op": "replace", "path": "/status", "value": "cancelled"})
            taken, _ = await asyncio.gather(accept("patch", sara, made), cancel)
            assert taken.status_code in (200, 409)
            states = ((await dora.get(f"Task/{made['id']}"))["status"], (await request_of(dora, made))["status"])
            assert states == ("cancelled", "revoked")
            await sara.get(patient, expect=404)


# ---- the operation, and the topic -----------------------------------------------------------------------


@pytest.mark.row("A-9")
@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([], 400),
        ([{"name": "action", "valueCode": "forward"}], 400),
        ([{"name": "action", "valueCode": "accept"}, {"name": "who", "valueString": "me"}], 400),
        ([{"name": "action", "valueCode": "accept"}, {"name": "action", "valueCode": "reject"}], 400),
        ([{"name": "action", "valueCode": "start"}], 409),
    ],
)
async def test_what_respond_does_not_take(parts: list[Json], status: int, clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara:
        made = await refer(dora, clinic.patient())
        body = {"resourceType": "Parameters", "parameter": parts}
        await sara.post(f"Task/{made['id']}/$respond", body, expect=status)
        await sara.post(f"Task/{uuid4()}/$respond", {"resourceType": "Parameters", "parameter": parts[:0]}, expect=400)
        assert (await sara.get(f"Task/{made['id']}"))["meta"]["versionId"] == "1"


@pytest.mark.row("A-9")
async def test_the_topic_tells_who_asked(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara, dora.connect() as ear:
        channel = {"system": f"{GUIDE}/CodeSystem/subscription-channel", "code": "socketio"}
        content = {"url": f"{BACKPORT}backport-payload-content", "valueCode": "id-only"}
        subscription = await dora.post(
            "Subscription",
            {
                "resourceType": "Subscription",
                "status": "requested",
                "reason": "outgoing referrals",
                "criteria": f"{GUIDE}/SubscriptionTopic/referral",
                "_criteria": {
                    "extension": [
                        {"url": f"{BACKPORT}backport-filter-criteria", "valueString": f"Task?requester={DORA}"},
                        {"url": f"{BACKPORT}backport-filter-criteria", "valueString": "Task?status=accepted"},
                    ]
                },
                "channel": {
                    "type": "websocket",
                    "_type": {"extension": [{"url": f"{BACKPORT}backport-channel-type", "valueCoding": channel}]},
                    "payload": "application/fhir+json",
                    "_payload": {"extension": [content]},
                },
            },
        )
        await dora.until(f"Subscription?_id={subscription['id']}&status=active")
        assert (await ear.ask("subscription:join", {"subscription": subscription["id"]}))["ok"]
        made = await refer(dora, clinic.patient())
        await by_respond(sara, made, "accepted")
        (told,) = await ear.hears("subscription:event", lambda one: made["id"] in str(one))
        assert f"/Task/{made['id']}" in str(told)
        await dora.patch(f"Subscription/{subscription['id']}", {"op": "replace", "path": "/status", "value": "off"})
