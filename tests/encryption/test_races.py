"""Keys that are destroyed while somebody is at work: nothing of what they sealed comes back under another key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from fhir_server.access.principal import SYSTEM
from fhir_server.config import Settings
from fhir_server.main import Server, running
from fhir_server.outcomes import FhirError
from fhir_server.storage import flusher
from fhir_server.storage.declarations import in_transaction
from fhir_server.storage.destruction import destroy
from fhir_server.storage.flusher import Flusher
from fhir_server.storage.rotation import rotate_patients
from fhir_server.storage.stored import Stored
from fhir_server.storage.unit_of_work import Lost, UnitOfWork, Write

Json = dict[str, Any]
LABEL = {"system": "http://fhir-server.example/ig/CodeSystem/record-label", "code": "sensitive"}


@pytest.fixture
async def beside(settings: Settings, server: str) -> AsyncIterator[Server]:
    """Another server on the module's database, whose storage is at hand."""
    async with running(settings) as made:
        yield made


def condition(patient: str, id_: str, text: str, *, sensitive: bool = True) -> Json:
    meta = {"meta": {"security": [LABEL]}} if sensitive else {}
    about = {"subject": {"reference": f"Patient/{patient}"}, "code": {"text": text}}
    return {"resourceType": "Condition", "id": id_, **meta, **about}


async def put(server: Server, resource: Json, base: Stored | None = None, *, exact: bool = True) -> Write:
    write = Write("PUT", "Condition", resource["id"], resource, base, exact=exact)
    write.find_by("http://server.example/fhir")
    write.prepare()
    unit = UnitOfWork()
    unit.add(write)
    await server.repository.commit(unit)
    return write


async def read(server: Server, id_: str) -> Stored:
    stored = await server.repository.read(SYSTEM, "Condition", id_)
    assert stored is not None
    return stored


async def erase(server: Server, patient: str) -> None:
    assert await destroy(server.database, f"Patient/{patient}", "asked", "anyone") is not None


@pytest.mark.row("A-8")
@pytest.mark.parametrize("sensitive", [True, False])
async def test_what_was_made_from_a_text_is_not_written_once_its_key_is_gone(beside: Server, sensitive: bool) -> None:
    """As a PATCH that had read the resource before: it would be under the patient's next key, or in clear."""
    id_ = f"made-{sensitive}".lower()
    await put(beside, condition(id_, id_, "secret"))
    before = await read(beside, id_)
    assert before.lock == f"Patient/{id_}|1"
    await erase(beside, id_)
    with pytest.raises(Lost):
        await put(beside, condition(id_, id_, "secret, edited", sensitive=sensitive), before)
    assert (await read(beside, id_)).deleted
    versions = await beside.database.version.find({"r": f"Condition/{id_}"}).to_list()
    assert [(one["v"], one.get("ek")) for one in versions] == [(1, f"Patient/{id_}|1")]
    # What somebody says anew goes on top.
    written = await put(beside, condition(id_, id_, "new"), before, exact=False)
    assert (written.version, written.created) == (2, True)
    assert (await read(beside, id_)).resource()["code"]["text"] == "new"


async def test_so_also_when_the_key_was_rotated_before(beside: Server) -> None:
    await put(beside, condition("turned", "turned", "secret"))
    before = await read(beside, "turned")
    await rotate_patients(beside.database, "Patient/turned")
    await erase(beside, "turned")
    with pytest.raises(Lost):
        await put(beside, condition("turned", "turned", "secret, edited"), before)
    assert (await read(beside, "turned")).deleted


@pytest.mark.row("A-8")
async def test_a_rotation_brings_nothing_back_that_is_destroyed(beside: Server) -> None:
    """Rotation, destruction and a new first write at the same moment, again and again."""
    database = beside.database
    for number in range(12):
        patient = f"both{number}"
        ids = [f"{patient}-{one}" for one in range(30)]
        await asyncio.gather(*(put(beside, condition(patient, id_, "secret " * 50)) for id_ in ids))

        async def meanwhile(patient: str = patient, delay: float = number / 400) -> None:
            await asyncio.sleep(delay)  # at another point of the rotation each time
            await erase(beside, patient)
            await put(beside, condition(patient, f"{patient}-new", "new"))

        await asyncio.gather(rotate_patients(database, f"Patient/{patient}"), meanwhile())
        living = {row["_id"] async for row in database.keyring.rows.find({"p": f"Patient/{patient}", "c": True})}
        for collection in (database.resource, database.version):
            under = [one["_id"] async for one in collection.find({"ek": {"$in": list(living)}}, {"_id": 1})]
            assert [one for one in under if "-new" not in one] == []
        assert all([(await read(beside, id_)).deleted for id_ in ids])
        assert (await read(beside, f"{patient}-new")).resource()["code"]["text"] == "new"


async def test_who_meets_a_slow_process_at_the_key_waits_for_it(
    beside: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process has the key in its transaction, and has come to a halt there: nobody is refused for that."""
    await put(beside, condition("slow", "slow-1", "secret"))
    begun, often, met = asyncio.Event(), asyncio.Event(), 0
    drop = Flusher._drop_losers

    async def dropping(self: Flusher, batch: Any) -> Any:
        nonlocal met
        met += 1
        if met == 25:
            often.set()
        return await drop(self, batch)

    async def use(session: Any) -> None:
        await beside.database.keyring.use(session, {"Patient/slow|1": 1})
        begun.set()
        await often.wait()

    monkeypatch.setattr(Flusher, "_drop_losers", dropping)
    monkeypatch.setattr(flusher, "CONTENDED", 60.0)  # this process may be slow as well
    halted = asyncio.create_task(in_transaction(beside.database, use))
    await begun.wait()
    await put(beside, condition("slow", "slow-2", "more"))
    await halted
    assert (await read(beside, "slow-2")).resource()["code"]["text"] == "more"


async def test_a_damaged_text_keeps_nobody_else_from_a_new_key(beside: Server) -> None:
    for id_ in ("hurt", "well"):
        await put(beside, condition(id_, id_, "secret"))
    version, rows = beside.database.version, beside.database.keyring.rows
    await version.update_one({"_id": "Condition/hurt/1"}, {"$set": {"e": b"x" * 60}})
    with pytest.raises(ValueError, match="Condition/hurt/1"):
        await rotate_patients(beside.database)
    well = await version.find_one({"_id": "Condition/well/1"})
    assert well is not None
    assert well["ek"] == "Patient/well|2"
    assert "w" in (await rows.find_one({"_id": "Patient/hurt|1"}) or {})  # what else it sealed still opens
    await erase(beside, "hurt")
    assert await rotate_patients(beside.database, "Patient/well") == 2


async def test_a_key_that_is_missing_is_no_deletion(beside: Server, client: httpx.Client) -> None:
    """As after a restore without its collection: what is sensitive is not to be had, rather than gone."""
    await put(beside, condition("lost", "lost", "secret"))
    row = await beside.database.keyring.rows.find_one_and_delete({"_id": "Patient/lost|1"})
    assert row is not None
    with pytest.raises(FhirError) as refused:
        await read(beside, "lost")
    assert refused.value.status == 503
    answer = client.get("/Condition/lost")
    assert (answer.status_code, "secret" in answer.text, "Patient/lost" in answer.text) == (503, False, False)
    await beside.database.keyring.rows.insert_one(row)
    assert client.get("/Condition/lost").json()["code"]["text"] == "secret"


@pytest.mark.row("A-8")
async def test_an_interrupted_erasure_is_not_forgotten_for_a_later_one(beside: Server, client: httpx.Client) -> None:
    body = {"resourceType": "Parameters", "parameter": [{"name": "reason", "valueString": "asked"}]}
    await put(beside, condition("twice", "twice-1", "secret"))
    await erase(beside, "twice")  # and the server was killed
    await put(beside, condition("twice", "twice-2", "new"))
    answer = await asyncio.to_thread(client.post, "/Patient/twice/$crypto-erase", json=body)
    named = {one["name"]: one for one in answer.raise_for_status().json()["parameter"]}
    assert named["key"]["valueString"] == "Patient/twice|2"
    assert await beside.database.version.find_one({"ek": {"$regex": "^Patient/twice"}}) is None
    receipts = client.get("/Provenance?target=Patient/twice").json()["entry"]
    assert [one["resource"]["entity"][0]["what"]["display"] for one in receipts] == ["1 Condition"] * 2
    assert {one["resource"]["id"] for one in receipts} > {named["receipt"]["valueReference"]["reference"][11:]}
    assert client.get("/Condition/twice-1").status_code == 410


async def test_a_rotation_gets_its_two_keys_together_or_none(beside: Server) -> None:
    """The key that a rotation would seal under is told only together with the old one."""
    keyring = beside.database.keyring
    await keyring.current(["Patient/three"])
    found: list[bool] = []

    async def look(session: Any) -> None:
        found.append(await keyring.successor(session, "Patient/three|1", "Patient/three") is not None)

    async def rotate(session: Any) -> None:
        await keyring.rotate("Patient/three", session)

    await in_transaction(beside.database, look)
    await in_transaction(beside.database, rotate)
    await in_transaction(beside.database, look)
    await erase(beside, "three")
    await keyring.current(["Patient/three"])
    await in_transaction(beside.database, look)
    assert found == [False, True, False]
