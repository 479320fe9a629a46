"""Sensitive content: sealed where it is stored, told nowhere, and unresueble once its patient's keys are destroyed."""

from __future__ import annotations

import asyncio
import contextlib
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pymongo import MongoClient

from fhir_server.encryption.sealing import Sealer
from smart_auth.grant import Grant, new_id
from smart_auth.service import SmartAuth
from smart_auth.users import User
from tests.encryption.dump import keys, search, words
from tests.workflows.clinic import DORA, SECONDS, Actor, Clinic, Ear, case, person
from workflow.codes import SENSITIVE

Json = dict[str, Any]
LABEL = {"system": SENSITIVE[0], "code": SENSITIVE[1]}
RESOURCE, VERSION, OPLOG = "t_clinic_fhir.resource", "t_clinic_fhir.version", "local.oplog.rs"
CATEGORY = "http://fhir-server.example/ig/CodeSystem/message-kind"


def word(name: str) -> str:
    """A word that is nowhere else."""
    return f"{name}{uuid4().hex}"


def sensitive(resource: Json) -> Json:
    return {**resource, "meta": {**resource.get("meta", {}), "security": [LABEL]}}


def condition(patient: str, text: str, **more: Any) -> Json:
    return {"resourceType": "Condition", "subject": {"reference": patient}, "code": {"text": text}, **more}


def observation(patient: str, text: str) -> Json:
    code = {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}
    about = {"subject": {"reference": patient}, "effectiveDateTime": "2026-02-03T04:05:06Z"}
    return {"resourceType": "Observation", "status": "final", "code": code, **about, "valueString": text}


def document(patient: str, text: str, *attachments: Json) -> Json:
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": "11524-6"}]},
        "subject": {"reference": patient},
        "date": "2026-01-01T10:00:00Z",
        "description": text,
        "content": [{"attachment": one} for one in attachments],
    }


def message(encounter: str, patient: str, text: str, **payload: Any) -> Json:
    return {
        "resourceType": "Communication",
        "status": "completed",
        "category": [{"coding": [{"system": CATEGORY, "code": "discussion"}]}],
        "encounter": {"reference": encounter},
        "subject": {"reference": patient},
        "sender": {"reference": DORA},
        "payload": [payload or {"contentString": text}],
    }


def bundle(kind: str, *resources: Json) -> Json:
    entries = [
        {"fullUrl": f"urn:uuid:{uuid4()}", "resource": one, "request": {"method": "POST", "url": one["resourceType"]}}
        for one in resources
    ]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def data_keys(clinic: Clinic) -> tuple[list[bytes], list[bytes]]:
    """Every key of a patient as it is used, and the master keys, by which the test opens them."""
    lines = (clinic.settings.data_dir / "master.key").read_text().split()
    masters = [b64decode(one) for one in lines]
    with MongoClient[Json](clinic.settings.mongodb_uri) as client:
        rows = list(client["t_clinic_system"]["patient_key"].find({"w": {"$exists": True}}))
    sealer = Sealer(masters)
    return [sealer.open(row["w"], row["_id"].encode()) for row in rows], masters


@contextlib.asynccontextmanager
async def super_administrator(clinic: Clinic) -> AsyncIterator[Actor]:
    """Who may see everything."""
    user = "Practitioner/sue"
    clinic.put(person(user))
    grant = Grant(new_id(), "app", "sue", user, "user/*.cruds")

    async def token(auth: SmartAuth) -> str:
        if await auth.users.by_login("sue") is None:
            await auth.users.add(User("sue", fhir_user=user, roles=("super-administrator",)))
        return (await auth.tokens.issue(grant, seconds=3600)).access

    access = await asyncio.to_thread(clinic.do, token)
    headers = {"Authorization": f"Bearer {access}"}
    async with httpx.AsyncClient(base_url=f"{clinic.base}/", headers=headers, timeout=SECONDS) as http:
        yield Actor(user, access, http, clinic.issuer)


async def erase(who: Actor, patient: str, reason: str = "asked to be forgotten", expect: int = 200) -> Json:
    body = {"resourceType": "Parameters", "parameter": [{"name": "reason", "valueString": reason}]}
    return await who.post(f"{patient}/$crypto-erase", body, expect=expect)


@contextlib.asynccontextmanager
async def following(who: Actor, *criteria: str) -> AsyncIterator[Ear]:
    """Somebody who subscribes to whole resources, and hears of them on a socket."""
    async with who.connect() as ear:
        for one in criteria:
            channel = {"type": "websocket", "payload": "application/fhir+json"}
            wanted = {"status": "requested", "reason": "to hear of it", "criteria": one, "channel": channel}
            made = await who.post("Subscription", {"resourceType": "Subscription", **wanted})
            await who.until(f"Subscription?_id={made['id']}&status=active")
            assert (await ear.ask("subscription:join", {"subscription": made["id"]}))["ok"]
        yield ear


@pytest.mark.row("A-8")
async def test_nothing_sensitive_lies_in_clear_anywhere(clinic: Clinic, mongo_uri: str) -> None:
    names = (
        "description",
        "inline",
        "binary",
        "condition",
        "updated",
        "patched",
        "said",
        "bundled",
        "batched",
        "family",
    )
    texts = {name: word(name) for name in names}
    clear, later = word("clear"), word("later")
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, super_administrator(clinic) as sue:
        opened = await dora.post("Encounter", case(patient, DORA))
        encounter = f"Encounter/{opened['id']}"
        criteria = [f"{one}?subject={patient}" for one in ("Condition", "Communication", "DocumentReference")]
        async with following(dora, *criteria) as ear:
            assert (await ear.ask("case:join", {"caseId": opened["id"]}))["ok"]
            inline = {"contentType": "text/plain", "data": b64encode(f"- {texts['inline']} -".encode()).decode()}
            filed = await dora.post("DocumentReference", sensitive(document(patient, texts["description"], inline)))
            path = f"DocumentReference/{filed['id']}"
            headers = {"Content-Type": "text/plain", "X-Security-Context": path}
            sent = await dora.http.post("Binary", content=f"- {texts['binary']} -".encode(), headers=headers)
            assert sent.status_code == 201
            found = await dora.post("Condition", sensitive(condition(patient, texts["condition"])))
            await dora.put({**found, "code": {"text": texts["updated"]}})
            change = {"op": "replace", "path": "/code/text", "value": texts["patched"]}
            await dora.patch(f"Condition/{found['id']}", change)
            await dora.post("Communication", sensitive(message(encounter, patient, texts["said"])))
            await dora.post("", bundle("transaction", sensitive(observation(patient, texts["bundled"]))), expect=200)
            await dora.post("", bundle("batch", sensitive(observation(patient, texts["batched"]))), expect=200)
            named = await sue.get(patient)
            await sue.put(sensitive({**named, "name": [{"family": texts["family"]}]}))
            plain = await dora.post("Condition", condition(patient, clear))
            # What was written before the label lies in the oplog, and in backups of then, as it was.
            became = await dora.post("Condition", condition(patient, later))
            await dora.put(sensitive(became))

            (told,) = await ear.hears("case:message")
            assert (told["message"], told["sensitive"], told["senderName"]) == (None, True, "")
            events = await ear.hears("subscription:event", count=8)
        heard = str(ear.heard)
        assert clear in heard  # who subscribes to whole resources gets them, where they are not sensitive
        assert not [text for text in texts.values() if text in heard]
        assert f"/{path}" in str(events)

        # Who may see it reads it, in every way.
        (history,) = [await dora.get(f"Condition/{found['id']}/_history")]
        assert [one["resource"]["code"]["text"] for one in history["entry"]] == [
            texts["patched"],
            texts["updated"],
            texts["condition"],
        ]
        assert (await dora.get(f"Condition/{found['id']}/_history/1"))["code"]["text"] == texts["condition"]
        listed = {one["id"]: one for one in await dora.found(f"Condition?subject={patient}")}
        assert set(listed) == {found["id"], plain["id"], became["id"]}
        assert listed[became["id"]]["code"]["text"] == later
        values = {one["valueString"] for one in await dora.found(f"Observation?patient={patient}&status=final")}
        assert values == {texts["bundled"], texts["batched"]}
        raw = await dora.http.get(sent.headers["Location"].partition("/_history")[0], headers={"Accept": "text/plain"})
        assert raw.content == f"- {texts['binary']} -".encode()
        # Everything that the database and the data directory hold.
        folder = clinic.settings.data_dir
        data, masters = await asyncio.to_thread(data_keys, clinic)
        assert data
        secret = words(*texts.values()) | keys(*data, *masters)
        every = await asyncio.to_thread(search, secret | words(clear, later), mongo_uri, folder, but=("master.key",))
        assert {RESOURCE, VERSION, OPLOG} <= every.pop(clear)  # the search does find what is there
        assert every.pop(later) == {OPLOG}
        assert every == {}
        masters_file = await asyncio.to_thread(search, keys(*masters), mongo_uri, folder)
        assert set().union(*masters_file.values()) == {"master.key"}

        # By what it says it is not found; that it was looked for is told by the trail, with the words of the search.
        for query in (f"code:text={texts['updated']}", f"_text={texts['patched']}", f"_content={texts['patched']}"):
            assert await dora.found(f"Condition?subject={patient}&{query}") == []
        assert await dora.found(f"Observation?patient={patient}&date=2026-02-03") == []
        assert await dora.found(f"Observation?patient={patient}&code=8480-6") == []


@pytest.mark.row("A-8")
async def test_destroyed_keys_leave_nothing_to_read(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("olga") as olga, super_administrator(clinic) as sue:
        plain = await dora.post("Condition", condition(patient, "hay fever"))
        found = await dora.post("Condition", sensitive(condition(patient, "secret")))
        await dora.put({**found, "code": {"text": "more secret"}})
        filed = await dora.post(
            "DocumentReference",
            sensitive(document(patient, "secret", {"contentType": "text/plain", "data": "c2VjcmV0"})),
        )
        headers = {"Content-Type": "text/plain", "X-Security-Context": f"DocumentReference/{filed['id']}"}
        sent = await dora.http.post("Binary", content=b"secret", headers=headers)
        binary = f"Binary/{sent.headers['Location'].split('/Binary/')[1].partition('/')[0]}"
        opened = await dora.post("Condition", sensitive(condition(patient, "was secret", recorder={"reference": DORA})))
        await dora.put({name: value for name, value in opened.items() if name != "meta"})  # laid open by its author

        # Who may not.
        await erase(dora, patient, expect=403)
        async with clinic.acting("nick") as nick, clinic.acting("ann") as ann:
            await erase(nick, patient, expect=403)
            await erase(ann, patient, expect=403)
        await olga.post(f"{patient}/$crypto-erase", {"resourceType": "Parameters"}, expect=400)
        await erase(olga, clinic.patient(), expect=404)

        receipt = await erase(olga, patient)
        named = {one["name"]: one for one in receipt["parameter"]}
        assert named["key"]["valueString"] == f"{patient}|1"
        parts = [one["part"] for one in receipt["parameter"] if one["name"] == "resources"]
        counts = {type_["valueCode"]: count["valueInteger"] for type_, count in parts}
        assert counts == {"Binary": 1, "Condition": 2, "DocumentReference": 1}
        assert await erase(sue, patient, "again") == receipt

        proof = await sue.get(named["receipt"]["valueReference"]["reference"])
        assert proof["target"] == [{"reference": patient}]
        assert proof["activity"]["coding"][0]["code"] == "destroy"
        assert proof["agent"][0]["who"] == {"reference": olga.user}
        assert proof["reason"] == [{"text": "asked to be forgotten"}]
        assert {one["what"]["display"] for one in proof["entity"]} == {"1 Binary", "2 Condition", "1 DocumentReference"}

        # Nobody reads it any more, in no way.
        for who in (dora, sue):
            for path in (f"Condition/{found['id']}", f"DocumentReference/{filed['id']}", binary):
                answer = await who.http.get(path)
                assert answer.status_code in (404, 410), (who.user, path)
                for version in ("1", "2"):
                    assert (await who.http.get(f"{path}/_history/{version}")).status_code in (404, 410)
            await who.get(f"Condition/{opened['id']}")  # what was laid open stays; its first version was sealed
            assert (await who.http.get(f"Condition/{opened['id']}/_history/1")).status_code in (404, 410)
        searches = (
            f"Condition?subject={patient}",
            f"Patient?_id={patient.partition('/')[2]}&_revinclude=Condition:subject",
            f"{patient}/$everything",
            f"Condition?subject={patient}&_include=*",
            f"{patient}/*?_count=100",
            "DocumentReference?_text=secret",
            f"Condition/{found['id']}/_history",
            "Condition/_history?_count=100",
        )
        for query in searches:
            answer = await sue.http.get(query)
            assert answer.status_code == 200, (query, answer.text)
            assert '"secret"' not in answer.text
            assert "more secret" not in answer.text
        entries = (await sue.get(f"Condition/{found['id']}/_history"))["entry"]
        assert len(entries) == 3
        assert not [one for one in entries if "resource" in one]
        assert {one["id"] for one in await dora.found(f"Condition?subject={patient}")} == {plain["id"], opened["id"]}

        # The store has neither key nor ciphertext; the trail stays, and is whole.
        with MongoClient[Json](clinic.settings.mongodb_uri) as client:
            row = client["t_clinic_system"]["patient_key"].find_one({"_id": f"{patient}|1"})
            assert row is not None
            assert set(row) == {"_id", "p", "n", "at", "destroyed"}
            for name in ("resource", "version"):
                assert client["t_clinic_fhir"][name].find_one({"ek": {"$regex": f"^{patient}\\|"}}) is None
        seen = await olga.found(f"AuditEvent?patient={patient}&_count=200")
        lifecycles = [entity["lifecycle"]["code"] for one in seen for entity in one["entity"] if "lifecycle" in entity]
        assert set(lifecycles) == {"destroy"}
        assert any(one["action"] == "C" for one in seen)
        verified = await sue.get("$verify-audit")
        assert {one["name"]: one for one in verified["parameter"]}["ok"]["valueBoolean"] is True

        # What is written from now on has a key of its own.
        again = await dora.post("Condition", sensitive(condition(patient, "new")))
        assert (await dora.get(f"Condition/{again['id']}"))["code"]["text"] == "new"
        second = await erase(sue, patient, "and again")
        assert {one["name"]: one for one in second["parameter"]}["key"]["valueString"] == f"{patient}|2"
        assert second != receipt


@pytest.mark.row("A-8")
async def test_what_cannot_be_sealed_is_refused(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, super_administrator(clinic) as sue:
        nobody = {"resourceType": "Condition", "subject": {"reference": "Group/1"}, "code": {"text": "x"}}
        refused = await dora.post("Condition", sensitive(nobody), expect=422)
        assert "under its patient's key" in refused["issue"][0]["diagnostics"]
        await sue.post("Binary", sensitive({"resourceType": "Binary", "contentType": "text/plain"}), expect=422)

        # Content in clear beside what is sealed.
        about = {"securityContext": {"reference": patient}, "contentType": "text/plain", "data": "eA=="}
        bare = await sue.post("Binary", {"resourceType": "Binary", **about})
        link = {"contentType": "text/plain", "url": f"Binary/{bare['id']}"}
        refused = await dora.post("DocumentReference", sensitive(document(patient, "x", link)), expect=422)
        assert "is not sensitive itself" in refused["issue"][0]["diagnostics"]
        opened = await dora.post("Encounter", case(patient, DORA))
        said = message(f"Encounter/{opened['id']}", patient, "", contentAttachment=link)
        await dora.post("Communication", sensitive(said), expect=422)
        # Together in one transaction, or one after the other, they may be.
        filed = await dora.post("DocumentReference", document(patient, "x", link))
        body = bundle("transaction")
        labelled = sensitive(bare), sensitive(filed)
        body["entry"] = [
            {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
            for one in labelled
        ]
        await sue.post("", body, expect=200)


@pytest.mark.row("A-8")
async def test_the_label_is_its_authors_to_take(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("dan") as dan, clinic.acting("olga") as olga:
        made = await dora.post("Condition", sensitive(condition(patient, "x", recorder={"reference": DORA})))
        seen = await dan.get(f"Condition/{made['id']}")
        await dan.put({**seen, "note": [{"text": "y"}]})
        seen = await dan.get(f"Condition/{made['id']}")
        bare = {name: value for name, value in seen.items() if name != "meta"}
        refused = await dan.put(bare, expect=403)
        assert "stays so" in refused["issue"][0]["diagnostics"]
        await dan.patch(f"Condition/{made['id']}", {"op": "remove", "path": "/meta/security"}, expect=403)
        assert (await dan.get(f"Condition/{made['id']}"))["meta"]["security"] == [LABEL]
        await dora.put(bare)
        assert olga.user


@pytest.mark.row("A-8")
async def test_many_first_writes_make_one_key(clinic: Clinic) -> None:
    """Two server processes and ten callers, and a patient who has no key yet."""
    patient = clinic.patient()
    async with clinic.acting("dora") as dora:
        bodies = [sensitive(condition(patient, f"text {number}")) for number in range(10)]
        await asyncio.gather(
            *(dora.post("Condition", one) for one in bodies[:5]),
            *(asyncio.to_thread(clinic.put, {**one, "id": f"key-{uuid4().hex[:12]}"}) for one in bodies[5:]),
        )
        found = {one["code"]["text"] for one in await dora.found(f"Condition?subject={patient}&_count=50")}
        assert found == {f"text {number}" for number in range(10)}
    with MongoClient[Json](clinic.settings.mongodb_uri) as client:
        (row,) = client["t_clinic_system"]["patient_key"].find({"p": patient})
        assert (row["n"], row["u"], row["c"]) == (1, 10, True)


async def test_a_sensitive_patient_is_found_by_id_only(clinic: Clinic) -> None:
    reference = f"Patient/pat-{uuid4().hex[:8]}"
    clinic.put(sensitive({**person(reference), "birthDate": "1980-01-01"}))
    id_ = reference.partition("/")[2]
    async with super_administrator(clinic) as sue:
        assert [one["birthDate"] for one in await sue.found(f"Patient?_id={id_}")] == ["1980-01-01"]
        assert await sue.found(f"Patient?_id={id_}&birthdate=1980-01-01") == []
        assert await sue.found(f"Patient?_id={id_}&name={id_.title()}") == []
        assert [one["id"] for one in await sue.found(f"Patient?_id={id_}&_sort=family")] == [id_]
        answer: httpx.Response = await sue.http.get(f"Patient?_id={id_}&_security={SENSITIVE[0]}|{SENSITIVE[1]}")
        assert answer.json()["total"] == 1 if "total" in answer.json() else answer.json()["entry"]
