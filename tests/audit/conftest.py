"""A database with a trail, as one server process has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fhir_server.audit import Agent, Entry, Trail, anchors, entry
from fhir_server.storage.clock import Clock
from fhir_server.storage.database import Database
from fhir_server.storage.repository import Repository

DOCTOR = Agent.of(
    "dr-who", user="Practitioner/1", client="app", grant="g1", roles=("doctor",), address="10.0.0.7", software="x/1"
)


def read_of(type_: str, id_: str, *patients: str, status: int = 200, agent: Agent = DOCTOR) -> Entry:
    """The entry of a read."""
    return Entry(entry.now(), "read", "R", status, agent, type_, id_, patients=patients, request="r1")


class Process:
    """What one server process has of the trail; several of them share a database."""

    def __init__(self, uri: str, prefix: str, data_dir: Path, *, wait: bool = True) -> None:
        self.database = Database(uri, prefix)
        self.clock = Clock()
        self.repository = Repository(self.database, self.clock, query_seconds=60, max_pending=10_000)
        self.living = [self.database.incarnation]
        self.trail = Trail(self.database, data_dir, alive=self.alive, now=self.clock.now, wait=wait)
        self.repository.flusher.audit = self.trail.writes

    async def alive(self) -> list[str]:
        return self.living

    async def start(self) -> None:
        await self.database.prepare()
        await self.trail.start()

    async def stop(self) -> None:
        await self.repository.flusher.drain()
        await self.trail.stop()
        await self.database.close()


@pytest.fixture
def no_anchors_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that takes longer than the seconds between two of them makes all of its anchors itself all the same."""
    monkeypatch.setattr(anchors, "SECONDS", 3600.0)


@pytest.fixture
async def process(
    mongo_uri: str, database: str, tmp_path: Path, no_anchors_by_themselves: None
) -> AsyncIterator[Process]:
    """One process on an empty trail."""
    one = Process(mongo_uri, database, tmp_path)
    for name in ("audit", "audit_chain", "audit_anchor"):
        await one.database.system[name].drop()
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
async def other(process: Process, mongo_uri: str, database: str, tmp_path: Path) -> AsyncIterator[Process]:
    """A second process beside the first."""
    two = Process(mongo_uri, database, tmp_path)
    await two.start()
    for one in (process, two):
        one.living = [process.database.incarnation, two.database.incarnation]
    yield two
    await two.stop()
