"""What the server itself makes of something sensitive is as sensitive, and so is what is said in a sensitive case."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from pymongo import MongoClient

from tests.encryption.dump import search, words
from tests.workflows.clinic import CARDIOLOGY, DORA, SECONDS, Actor, Clinic, case
from tests.workflows.referring import request
from tests.workflows.test_cases_documents import document, image, inline, previews, seen, upload
from tests.workflows.test_emergencies import DETAIL, flag, state
from tests.workflows.test_encryption import (
    LABEL,
    OPLOG,
    RESOURCE,
    VERSION,
    bundle,
    condition,
    following,
    message,
    sensitive,
    word,
)

pytestmark = pytest.mark.row("A-8")
Json = dict[str, Any]
SNOMED = "http://snomed.info/sct"


async def traces(clinic: Clinic, uri: str, *texts: str) -> dict[str, set[str]]:
    found = await asyncio.to_thread(search, words(*texts), uri, clinic.settings.data_dir, but=("master.key",))
    return {text: {name for name in names if name.startswith(("t_clinic", "local"))} for text, names in found.items()}


async def is_labelled(actor: Actor, communication: Json) -> bool:
    found = await actor.get(f"Communication/{communication['id']}")
    return LABEL in found.get("meta", {}).get("security", ())


async def test_a_discussion_marked_sensitive_is_sealed_with_its_messages(clinic: Clinic, mongo_uri: str) -> None:
    before, after, moved, bundled, socket = map(word, ("before", "after", "moved", "bundled", "socket"))
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("dan") as dan:
        opened = await dora.post("Encounter", case(patient, DORA, "Practitioner/dan"))
        encounter = f"Encounter/{opened['id']}"
        earlier = await dora.post("Communication", message(encounter, patient, moved))
        await dora.put({**earlier, "payload": [{"contentString": before}]})
        assert {RESOURCE, VERSION} <= (await traces(clinic, mongo_uri, before))[before]
        await dora.put(sensitive(await dora.get(encounter)))
        labelled = f"_security={LABEL['system']}|{LABEL['code']}"
        await dora.until(f"Communication?encounter={encounter}&{labelled}")

        told = {**message(encounter, patient, after), "sender": {"reference": "Practitioner/dan"}}
        said = await dan.post("Communication", {name: value for name, value in told.items() if name != "subject"})
        assert await is_labelled(dora, said)
        await dora.post("", bundle("transaction", message(encounter, patient, bundled)), expect=200)
        async with dora.connect() as ear:
            assert (await ear.ask("case:join", {"caseId": opened["id"]}))["ok"]
            assert (await ear.ask("case:message", {"caseId": opened["id"], "message": socket}))["ok"]
            (event,) = await ear.hears("case:message")
            assert (event["message"], event["sensitive"]) == (None, True)
        # The label of the case stays on what is said in it, whoever takes it off.
        place = next(n for n, one in enumerate(said["meta"]["security"]) if one["code"] == "sensitive")
        await dan.patch(f"Communication/{said['id']}", {"op": "remove", "path": f"/meta/security/{place}"})
        assert await is_labelled(dora, said)

        texts = {one["payload"][0]["contentString"] for one in await dora.found(f"Communication?encounter={encounter}")}
        assert texts == {before, after, bundled, socket}
        # What was written before the label lies in the log of the database, as it was.
        found = await traces(clinic, mongo_uri, before, moved, after, bundled, socket)
        assert found == {before: {OPLOG}, moved: {OPLOG}}


async def test_the_task_of_a_sensitive_emergency_is_sealed_and_works(clinic: Clinic, mongo_uri: str) -> None:
    where, later = word("where"), word("later")
    patient = clinic.patient()
    place = {"resourceType": "Location", "id": "there", "description": where}
    detail = [{"url": DETAIL, "valueReference": {"reference": "#there"}}]
    async with clinic.acting("dora") as dora, clinic.acting("pete") as pete:
        made = await dora.post("Flag", sensitive(flag(patient, contained=[place], extension=detail)))
        await pete.get(f"Flag/{made['id']}", expect=404)  # and still they are told where to come
        task = await state(pete, made["id"])
        assert task["contained"][0]["description"] == where
        await dora.patch(f"Flag/{made['id']}", {"op": "replace", "path": "/contained/0/description", "value": later})
        answered: Json = {}
        while answered.get("status") != "accepted":  # nobody is on duty: it is escalated meanwhile, once
            there = await pete.get(f"Task/{task['id']}")
            bare = {name: value for name, value in there.items() if name != "meta"}
            answered = await pete.put({**bare, "status": "accepted"}, expect=(200, 422))
        assert (answered["status"], answered["contained"][0]["description"]) == ("accepted", later)
        await dora.patch(f"Task/{task['id']}", {"op": "replace", "path": "/status", "value": "completed"})
        assert (await dora.get(f"Flag/{made['id']}"))["status"] == "inactive"
        assert await traces(clinic, mongo_uri, where, later) == {}


async def test_the_task_of_a_sensitive_referral_is_sealed_and_works(clinic: Clinic, mongo_uri: str) -> None:
    whom, why = word("whom"), word("why")
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara:
        named = {"performer": [{"reference": CARDIOLOGY, "display": whom}], "code": {"text": why}}
        made = await dora.post("ServiceRequest", sensitive({**request(patient), **named}))
        focus = f"ServiceRequest/{made['id']}"
        (task,) = await dora.found(f"Task?focus={focus}")
        assert task["owner"]["display"] == whom
        parameters = {"resourceType": "Parameters", "parameter": [{"name": "action", "valueCode": "accept"}]}
        await sara.post(f"Task/{task['id']}/$respond", parameters, expect=200)
        asked = await dora.get(focus)
        await dora.put({**asked, "note": [{"text": why}]})
        (one,) = await dora.found(f"Task?focus={focus}&code=http://hl7.org/fhir/CodeSystem/task-code|fulfill")
        assert (one["id"], one["status"]) == (task["id"], "accepted")
        assert len(await dora.found(f"ServiceRequest?patient={patient}&category={SNOMED}|3457005")) == 1
        assert await traces(clinic, mongo_uri, whom, why) == {}


async def test_no_preview_stays_in_clear_when_its_document_becomes_sensitive(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora:
        opened = await dora.post("Encounter", case(patient, DORA))
        filed = await dora.post("DocumentReference", document(patient, f"Encounter/{opened['id']}", inline(image())))
        first = previews(await seen(dora, filed))[0]["url"]
        now = await dora.get(f"DocumentReference/{filed['id']}")
        await dora.put(sensitive({**now, "content": [{"attachment": inline(image(640, 480))}]}))
        second = previews(await seen(dora, filed))[0]["url"]
        assert first != second
        path = f"DocumentReference/{filed['id']}"
        with MongoClient[Json](clinic.settings.mongodb_uri) as client:
            versions = client["t_clinic_fhir"]["version"]
            async with asyncio.timeout(SECONDS):
                while versions.find_one({"r": {"$in": [path, first, second]}, "j": {"$exists": True}}):
                    await asyncio.sleep(0.05)  # the old one goes after the new one has come
            assert versions.find_one({"r": second, "e": {"$exists": True}})
        raw = await dora.http.get(second, headers={"Accept": "image/*"})
        assert raw.status_code == 200


@pytest.mark.parametrize("how", ["url", "reference"])
async def test_whatever_names_a_binary_in_clear_is_refused(clinic: Clinic, how: str) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora:
        binary = await upload(dora, b"clear", patient, "text/plain")
        report = {
            "resourceType": "DiagnosticReport",
            "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": patient},
            "presentedForm": [{"contentType": "text/plain", "url": binary}],
        }
        opened = await dora.post("Encounter", case(patient, DORA))
        said = message(f"Encounter/{opened['id']}", patient, "", contentReference={"reference": binary})
        body = report if how == "url" else said
        refused = await dora.post(body["resourceType"], sensitive(body), expect=422)
        assert "is not sensitive itself" in refused["issue"][0]["diagnostics"]


async def test_a_subscription_learns_no_code_of_what_is_sensitive(clinic: Clinic) -> None:
    """That there is an event of "?code=…" would say in clear what the resource says."""
    patient = clinic.patient()
    code = {"coding": [{"system": SNOMED, "code": f"{uuid4().int % 10**8}"}]}
    criterion = f"Condition?subject={patient}&code={SNOMED}|{code['coding'][0]['code']}"
    async with clinic.acting("dora") as dora, following(dora, criterion, f"Condition?subject={patient}") as ear:
        hidden = await dora.post("Condition", sensitive(condition(patient, "x", code=code)))
        plain = await dora.post("Condition", condition(patient, "x", code=code))
        await ear.hears("subscription:event", lambda told: plain["id"] in str(told), count=2)
        told = [data for name, data in ear.heard if name == "subscription:event" and hidden["id"] in str(data)]
        assert len(told) == 1
