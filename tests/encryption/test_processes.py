"""Several processes on one database: keys that are destroyed or made anew under their hands."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pymongo import MongoClient

from fhir_server.config import Settings
from fhir_server.storage.database import Database
from fhir_server.storage.destruction import destroy
from tests.reliability.crash import Process, serving

Json = dict[str, Any]
LABEL = {"system": "http://fhir-server.example/ig/CodeSystem/record-label", "code": "sensitive"}
SECONDS = 60.0


def condition(patient: str, id_: str, text: str) -> Json:
    meta = {"security": [LABEL]}
    about = {"subject": {"reference": f"Patient/{patient}"}, "code": {"text": text}}
    return {"resourceType": "Condition", "id": id_, "meta": meta, **about}


@pytest.fixture(scope="module")
def second(server: str, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A process beside the module's server, on the same database and with the same master key."""
    with httpx.Client(base_url=server, timeout=SECONDS) as client:  # the first sensitive write makes the master key
        client.put("/Condition/first", json=condition("first", "first", "x")).raise_for_status()
    with serving(
        tmp_path_factory.mktemp("second"),
        MONGODB_URI=str(settings.mongodb_uri),
        FHIR_DATABASE=settings.database,
        FHIR_MASTER_KEY_FILE=str(settings.data_dir / "master.key"),
    ) as process:
        yield process


def erase(client: httpx.Client, patient: str) -> Json:
    body = {"resourceType": "Parameters", "parameter": [{"name": "reason", "valueString": "asked"}]}
    found: Json = client.post(f"/Patient/{patient}/$crypto-erase", json=body).raise_for_status().json()
    return found


@pytest.mark.row("A-8")
def test_what_one_process_destroys_no_other_reads(client: httpx.Client, second: Process) -> None:
    with httpx.Client(base_url=second.base, timeout=SECONDS) as beside:
        client.put("/Condition/c1", json=condition("erased", "c1", "secret")).raise_for_status()
        client.put("/Condition/c1", json=condition("erased", "c1", "more")).raise_for_status()
        assert beside.get("/Condition/c1").json()["code"]["text"] == "more"  # the key is in its memory now
        receipt = erase(client, "erased")
        assert [beside.get(f"/Condition/c1{path}").status_code for path in ("", "/_history/1", "/_history/2")] == [
            410
        ] * 3
        assert "entry" not in beside.get("/Condition?subject=Patient/erased").json()
        assert erase(beside, "erased") == receipt
        beside.put("/Condition/c2", json=condition("erased", "c2", "new")).raise_for_status()
        assert client.get("/Condition/c2").json()["code"]["text"] == "new"


async def test_an_erasure_that_was_interrupted_is_finished(
    client: httpx.Client, settings: Settings, second: Process
) -> None:
    """Killed right behind the point of no return: nothing is readable, and whoever asks again tidies up."""
    for number in range(3):
        client.put(f"/Condition/i{number}", json=condition("cut", f"i{number}", "secret")).raise_for_status()
    database = Database(str(settings.mongodb_uri), settings.database)
    try:
        erasure = await destroy(database, "Patient/cut", "asked", "anyone")
        assert erasure is not None
        assert (erasure.counts, erasure.done) == ({"Condition": 3}, False)
        with httpx.Client(base_url=second.base, timeout=SECONDS) as beside:
            assert [beside.get(f"/Condition/i{number}").status_code for number in range(3)] == [410] * 3
            assert "entry" not in beside.get("/Condition?subject=Patient/cut").json()
            history = beside.get("/Condition/i0/_history").json()["entry"]
            assert [one.get("resource") for one in history] == [None]
        receipt = await asyncio.to_thread(erase, client, "cut")
        assert {one["name"]: one for one in receipt["parameter"]}["key"]["valueString"] == "Patient/cut|1"
        assert await database.version.find_one({"ek": "Patient/cut|1"}) is None
        tombstone = await database.resource.find_one({"_id": "Condition/i0"})
        assert tombstone is not None
        assert (tombstone["d"], tombstone["v"]) == (True, 2)
        assert await asyncio.to_thread(erase, client, "cut") == receipt
    finally:
        await database.close()


# The command is killed behind its first batch of the test's own patients: nobody has to catch it in the middle.
DIES = """
import os, runpy, signal
from fhir_server.storage import rotation

batch = rotation._batch

async def and_die(database, collection, old, patient):
    done = await batch(database, collection, old, patient)
    if patient.startswith("Patient/r"):
        os.kill(os.getpid(), signal.SIGKILL)
    return done

rotation._batch = and_die
runpy.run_module("fhir_server.cli", run_name="__main__")
"""


def rotating(settings: Settings, *, dies: bool = False) -> subprocess.Popen[bytes]:
    """`fhir-server key rotate-patients`, beside the servers."""
    where = {"FHIR_MONGODB_URI": str(settings.mongodb_uri), "FHIR_DATABASE": settings.database}
    how = ["-c", DIES] if dies else ["-m", "fhir_server.cli"]
    command = [sys.executable, *how, "key", "rotate-patients", "--data-dir", str(settings.data_dir)]
    return subprocess.Popen(command, env={**os.environ, **where}, stdout=subprocess.PIPE, start_new_session=True)


class Work:
    """A writer and a reader that know what each resource must say."""

    def __init__(self, bases: list[str], ids: list[tuple[str, str]], said: dict[str, str]) -> None:
        self._bases, self._ids, self.said = bases, ids, said
        self.writes = self.reads = 0
        self.stop = asyncio.Event()

    async def write(self) -> None:
        async with httpx.AsyncClient(base_url=self._bases[0], timeout=SECONDS) as client:
            for number in itertools.count():
                if self.stop.is_set():
                    return
                patient, id_ = self._ids[number % 40]
                text = f"written {number}"
                answer = await client.put(f"/Condition/{id_}", json=condition(patient, id_, text))
                assert answer.status_code == 200, answer.text
                self.said[id_] = text
                self.writes += 1

    async def read(self) -> None:
        async with httpx.AsyncClient(base_url=self._bases[1], timeout=SECONDS) as client:
            for number in itertools.count():
                if self.stop.is_set():
                    return
                _, id_ = self._ids[40 + number % (len(self._ids) - 40)]
                answer = await client.get(f"/Condition/{id_}")
                assert answer.status_code == 200, answer.text
                assert answer.json()["code"]["text"] == self.said[id_]
                listed = await client.get("/Condition?subject=Patient/r1&_count=50")
                assert len(listed.json()["entry"]) == 50
                self.reads += 1


@pytest.mark.row("A-8")
async def test_keys_rotate_under_load_and_after_a_kill(
    server: str, client: httpx.Client, second: Process, settings: Settings
) -> None:
    ids = [(f"r{number % 3}", f"r-{number}") for number in range(900)]
    said = {id_: f"{'long ' * 2000}{id_}" for _, id_ in ids}
    for start in range(0, len(ids), 300):
        entries = [
            {"resource": condition(patient, id_, said[id_]), "request": {"method": "PUT", "url": f"Condition/{id_}"}}
            for patient, id_ in ids[start : start + 300]
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        (await asyncio.to_thread(client.post, "", json=bundle)).raise_for_status()
    work = Work([server, second.base], ids, said)
    with MongoClient[Json](settings.mongodb_uri) as mongo:
        fhir, system = mongo[f"{settings.database}_fhir"], mongo[f"{settings.database}_system"]
        patients = ["Patient/r0", "Patient/r1", "Patient/r2"]
        ones, twos = ([f"{patient}|{number}" for patient in patients] for number in (1, 2))
        tasks = [asyncio.create_task(work.write()), asyncio.create_task(work.read())]
        killed = await asyncio.to_thread(rotating, settings, dies=True)
        out, _ = await asyncio.to_thread(killed.communicate)
        assert killed.returncode == -signal.SIGKILL, out
        assert fhir["version"].find_one({"ek": {"$in": twos}, "v": 1}), "it had not begun"
        left = fhir["version"].count_documents({"ek": {"$in": ones}})
        assert left, "it was not in the middle any more"
        again = await asyncio.to_thread(rotating, settings)
        out, _ = await asyncio.to_thread(again.communicate)
        assert again.returncode == 0
        assert b"Sealed anew" in out
        done = work.writes, work.reads
        while (work.writes < done[0] + 6 or work.reads < done[1] + 6) and not any(one.done() for one in tasks):
            await asyncio.sleep(0.01)
        work.stop.set()
        await asyncio.gather(*tasks)  # neither has met an error
        assert work.writes > 5
        assert work.reads > 5
        for name in ("resource", "version"):
            assert fhir[name].count_documents({"ek": {"$in": ones}}) == 0
        rows = {row["_id"]: row for row in system["patient_key"].find({"p": {"$in": patients}})}
        assert set(rows) == {*ones, *twos}  # the second run went on with the first one's keys
        assert all("w" not in rows[id_] and "retired" in rows[id_] for id_ in ones)
        assert system["state"].find_one({"_id": "key-rotation"}) is None
    async with httpx.AsyncClient(base_url=second.base, timeout=SECONDS) as reader:
        for _, id_ in ids[::7]:
            assert (await reader.get(f"/Condition/{id_}")).json()["code"]["text"] == said[id_]
            assert (await reader.get(f"/Condition/{id_}/_history/1")).status_code == 200
