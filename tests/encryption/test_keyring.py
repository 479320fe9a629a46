"""Patients' keys: one at a time for each, wrapped by whatever holds the master key, gone when they are destroyed."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from fhir_server.config import Settings
from fhir_server.encryption.master import LocalMaster, master
from fhir_server.encryption.sealing import make_file, rotate_file
from fhir_server.outcomes import FhirError
from fhir_server.storage.database import Database
from fhir_server.storage.declarations import in_transaction
from tests.encryption.service import Service

SERVICE = "tests.encryption.service:make"


@pytest.fixture
async def mine(mongo_uri: str, database: str, own: Settings) -> AsyncIterator[Database]:
    made = Database(mongo_uri, database)
    await made.prepare()
    await made.keyring.rows.delete_many({})
    made.keyring.find_master = partial(master, own)
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
async def other(mongo_uri: str, mine: Database, own: Settings) -> AsyncIterator[Database]:
    """The same database, as another process sees it."""
    made = Database(mongo_uri, mine.prefix)
    made.keyring.find_master = partial(master, own)
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
def own(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"data_dir": tmp_path})


async def test_of_many_that_come_together_one_key_is_made(mine: Database, other: Database) -> None:
    keyrings = [mine.keyring, other.keyring] * 5
    found = await asyncio.gather(*(one.current(["Patient/1", "Patient/2"]) for one in keyrings))
    assert {key.id for one in found for key in one.values()} == {"Patient/1|1", "Patient/2|1"}
    assert await mine.keyring.rows.count_documents({}) == 2
    sealed = found[0]["Patient/1"].cipher.encrypt(b"n" * 12, b"text", b"")
    assert all(one["Patient/1"].cipher.decrypt(b"n" * 12, sealed, b"") == b"text" for one in found)


async def test_what_is_destroyed_is_lost_to_every_process_at_once(mine: Database, other: Database) -> None:
    await mine.keyring.current(["Patient/1"])
    assert await other.keyring.ciphers(["Patient/1|1"]) != ({}, set())  # and has it in its memory now

    async def work(session: object) -> None:
        assert await mine.keyring.destroy("Patient/1", session) == ["Patient/1|1"]  # type: ignore[arg-type]

    await in_transaction(mine, work)
    assert await other.keyring.ciphers(["Patient/1|1"]) == ({}, set())
    assert (await other.keyring.current(["Patient/1"]))["Patient/1"].id == "Patient/1|2"


async def test_a_key_that_is_rotated_seals_no_more(mine: Database, other: Database) -> None:
    await other.keyring.current(["Patient/1"])
    await in_transaction(mine, partial(_rotate, mine))
    used: list[bool] = []

    async def use(session: object) -> None:
        used.append(await other.keyring.use(session, {"Patient/1|1": 1}))  # type: ignore[arg-type]
        used.append(await other.keyring.use(session, {"Patient/1|2": 3}))  # type: ignore[arg-type]

    await in_transaction(other, use)
    assert used[-2:] == [False, True]
    ciphers, retired = await other.keyring.ciphers(["Patient/1|1", "Patient/1|2"])
    assert (set(ciphers), retired) == ({"Patient/1|1", "Patient/1|2"}, set())
    await mine.keyring.retire("Patient/1|2")  # in use: stays
    await mine.keyring.retire("Patient/1|1")
    ciphers, retired = await other.keyring.ciphers(["Patient/1|1", "Patient/1|2"])
    assert (set(ciphers), retired) == ({"Patient/1|2"}, {"Patient/1|1"})


async def _rotate(mine: Database, session: object) -> None:
    await mine.keyring.rotate("Patient/1", session)  # type: ignore[arg-type]


async def test_a_row_cannot_be_put_under_another_name(mine: Database) -> None:
    await mine.keyring.current(["Patient/1", "Patient/2"])
    row = await mine.keyring.rows.find_one({"_id": "Patient/1|1"})
    assert row is not None
    await mine.keyring.rows.update_one({"_id": "Patient/2|1"}, {"$set": {"w": row["w"]}})
    assert await mine.keyring.ciphers(["Patient/1|1"])  # what it opens to is known, under its own name
    with pytest.raises(FhirError, match="cannot be opened") as refused:
        await mine.keyring.ciphers(["Patient/2|1"])
    assert refused.value.status == 503


# ---- the master key ------------------------------------------------------------------------------------


async def test_the_master_key_rotates_while_servers_run(mine: Database, other: Database, own: Settings) -> None:
    key = (await mine.keyring.current(["Patient/1"]))["Patient/1"]
    sealed = key.cipher.encrypt(b"n" * 12, b"text", b"")
    path = own.data_dir / "master.key"
    rotate_file(path)
    assert await other.keyring.rewrap() == 1
    assert await other.keyring.rewrap() == 0
    path.write_text(path.read_text().splitlines()[0])  # the old one is thrown away
    for one in (mine, other):
        one.keyring._ciphers.clear()
        ciphers, _ = await one.keyring.ciphers(["Patient/1|1"])
        assert ciphers["Patient/1|1"].decrypt(b"n" * 12, sealed, b"") == b"text"


async def test_another_master_key_is_told_at_the_start(mine: Database, own: Settings, tmp_path: Path) -> None:
    await mine.keyring.check()
    await mine.keyring.current(["Patient/1"])
    await mine.keyring.check()
    make_file(tmp_path / "other.key")
    mine.keyring._master = LocalMaster(own.model_copy(update={"master_key_file": tmp_path / "other.key"}))
    with pytest.raises(RuntimeError, match="FHIR_MASTER_KEY_FILE"):
        await mine.keyring.check()


async def test_a_master_key_that_is_lost_is_never_made_again(mine: Database, other: Database, own: Settings) -> None:
    await mine.keyring.current(["Patient/1"])
    (own.data_dir / "master.key").unlink()
    with pytest.raises(FhirError) as refused:
        await other.keyring.current(["Patient/2"])
    assert refused.value.status == 503
    assert str(own.data_dir) not in str(refused.value)
    assert not (own.data_dir / "master.key").exists()


async def test_the_environment_holds_master_keys(mine: Database, other: Database, own: Settings) -> None:
    first, second = (b64encode(one * 32).decode() for one in (b"1", b"2"))
    mine.keyring.find_master = partial(master, own.model_copy(update={"master_key": first}))
    other.keyring.find_master = partial(master, own.model_copy(update={"master_key": f"{second} {first}"}))
    await mine.keyring.current(["Patient/1"])
    assert set((await other.keyring.ciphers(["Patient/1|1"]))[0]) == {"Patient/1|1"}
    assert await other.keyring.rewrap() == 1
    assert list(own.data_dir.iterdir()) == []
    with pytest.raises(RuntimeError, match="FHIR_MASTER_KEY must hold"):
        master(own.model_copy(update={"master_key": "short"}))


async def test_a_key_service_wraps_keys(mine: Database, own: Settings) -> None:
    held = master(own.model_copy(update={"master_key_service": SERVICE}))
    assert isinstance(held, Service)
    mine.keyring.find_master = lambda make: held
    held.current = b"a"
    await mine.keyring.current(["Patient/1"])
    held.current = b"b"
    assert await mine.keyring.rewrap() == 1
    mine.keyring._ciphers.clear()
    assert set((await mine.keyring.ciphers(["Patient/1|1"]))[0]) == {"Patient/1|1"}
    name = "Patient/1|1"
    assert held.asked == [f"{verb} {name}" for verb in ("wrap", "unwrap", "unwrap", "wrap", "unwrap")]
    assert not (own.data_dir / "master.key").exists()
    for wrong in ("nowhere:make", "tests.encryption.service:nothing", "tests.encryption.service"):
        with pytest.raises(RuntimeError, match="FHIR_MASTER_KEY_SERVICE"):
            master(own.model_copy(update={"master_key_service": wrong}))
