"""Entries in files of the data directory: one file a group, emptied and used again once the database has it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fhir_server.audit import Entry
from fhir_server.audit.lines import MAX_BYTES, MAX_ENTRIES, Lines, decode
from fhir_server.audit.spool import Spool
from fhir_server.outcomes import Unavailable
from tests.audit.conftest import DOCTOR, read_of


class Database:
    """Keeps the texts of groups, or refuses them."""

    def __init__(self) -> None:
        self.groups: list[str] = []
        self.away = False

    async def store(self, lines: Lines) -> None:
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("away")
        assert lines.text()
        self.groups.append(lines.text())

    def ids(self) -> list[str]:
        return [entry.id for text in self.groups for entry in decode(text)]


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
async def spool(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Spool]:
    monkeypatch.setattr("fhir_server.audit.spool.SECONDS", 3600)
    made = Spool(tmp_path / "audit", database.store, max_pending=5 * MAX_ENTRIES)
    await made.start()
    yield made
    database.away = False
    await made.stop()


def contents(folder: Path) -> str:
    return "".join(path.read_bytes().rstrip(b"\0").decode() for path in (folder / "audit").iterdir())


async def test_what_is_appended_is_in_a_file_as_it_will_be_stored(
    spool: Spool, database: Database, tmp_path: Path
) -> None:
    for n in range(3):
        spool.append([read_of("Basic", str(n))])
    text = contents(tmp_path)
    assert [entry.id for entry in decode(text)] == ["0", "1", "2"]
    await spool.ship()
    assert database.groups == [text]


async def test_files_are_empty_once_shipped_and_are_used_again(
    spool: Spool, database: Database, tmp_path: Path
) -> None:
    for round_ in range(20):
        spool.append([read_of("Basic", str(round_))])
        await spool.ship()
        assert contents(tmp_path) == ""
    assert database.ids() == [str(n) for n in range(20)]
    assert len(list((tmp_path / "audit").iterdir())) == 2


async def test_a_full_file_is_followed_by_another(spool: Spool, database: Database) -> None:
    spool.append([read_of("Basic", str(n)) for n in range(2 * MAX_ENTRIES + 1)])
    await spool.ship()
    assert [len(decode(text)) for text in database.groups] == [MAX_ENTRIES, MAX_ENTRIES, 1]


async def test_an_entry_larger_than_a_file_has_one_of_its_own(spool: Spool, database: Database) -> None:
    large = Entry(1, "read", "R", 200, DOCTOR, "Basic", "large", patients=("Patient/" + "x" * 2 * MAX_BYTES,))
    spool.append([large])
    spool.append([read_of("Basic", "small")])
    await spool.ship()
    assert database.ids() == ["large", "small"]
    assert len(database.groups) == 2


async def test_what_the_database_does_not_take_stays_in_order(spool: Spool, database: Database, tmp_path: Path) -> None:
    database.away = True
    for n in range(3):
        spool.append([read_of("Basic", str(n))])
        with pytest.raises(Unavailable):
            await spool.ship()
    assert {entry.id for entry in decode(contents(tmp_path))} == {"0", "1", "2"}
    database.away = False
    await spool.ship()
    assert database.ids() == ["0", "1", "2"]


async def test_while_the_database_is_away_it_takes_so_many_and_no_more(spool: Spool, database: Database) -> None:
    database.away = True
    for n in range(5):
        spool.append([read_of("Basic", f"{n}-{m}") for m in range(MAX_ENTRIES)])
    with pytest.raises(Unavailable):
        spool.append([read_of("Basic", "more")])
    database.away = False
    await spool.ship()
    assert len(database.ids()) == 5 * MAX_ENTRIES
    spool.append([read_of("Basic", "again")])


async def test_without_room_for_a_file_nothing_is_taken_and_nothing_is_lost(
    spool: Spool, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "no space")

    spool.append([read_of("Basic", str(n)) for n in range(MAX_ENTRIES)])
    with monkeypatch.context() as disk:
        disk.setattr(os, "posix_fallocate", full)
        with pytest.raises(Unavailable):
            spool.append([read_of("Basic", "more")])
    spool.append([read_of("Basic", "later")])
    await spool.ship()
    assert database.ids() == [*map(str, range(MAX_ENTRIES)), "later"]


async def test_what_is_left_at_the_end_is_brought_by_the_next(tmp_path: Path, database: Database) -> None:
    database.away = True
    first = Spool(tmp_path / "audit", database.store, max_pending=100)
    await first.start()
    first.append([read_of("Basic", "1", "Patient/1")])
    await first.stop()
    database.away = False
    second = Spool(tmp_path / "audit", database.store, max_pending=100)
    await second.start()
    (entry,) = decode(database.groups[0])
    assert (entry.id, entry.agent, entry.patients) == ("1", DOCTOR, ("Patient/1",))
    await second.stop()
    assert not list((tmp_path / "audit").iterdir())
    with pytest.raises(Unavailable):
        second.append([read_of("Basic", "2")])
