"""Engines on a real database, for tests: no HTTP, no deliveries, writes straight through the repository."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from pymongo.errors import AutoReconnect

from fhir_server.access.principal import SYSTEM
from fhir_server.registry import Hook
from fhir_server.storage.clock import Clock
from fhir_server.storage.database import Database
from fhir_server.storage.repository import Repository
from fhir_server.storage.unit_of_work import UnitOfWork, Write
from subscriptions import store
from subscriptions.engine import Engine
from subscriptions.event import Event, Events
from subscriptions.hooks import Hooks
from subscriptions.rights import Everybody, Rights
from subscriptions.signals import Signals
from subscriptions.topics import Topics

Json = dict[str, Any]
BASE = "http://127.0.0.1/fhir"
PATIENCE = 60


class Plant:
    """One process's worth of parts: a repository, signals, and an engine that is started when a test says so."""

    def __init__(
        self, database: Database, rights: Rights, hooks: Mapping[str, Hook], lease_seconds: float | None
    ) -> None:
        self.database = database
        self.repository = Repository(database, Clock(), query_seconds=60, max_pending=10_000)
        self.signals = Signals(database)
        self.events = Events(database)
        self.topics = Topics(self.repository, BASE)
        self.hooks = Hooks(self.repository, lambda: None, hooks)  # type: ignore[arg-type, return-value]
        self.engine = Engine(
            database,
            self.repository,
            self.topics,
            rights,
            self.signals,
            self.hooks,
            BASE,
            lease_seconds=lease_seconds,
        )
        self._changed = asyncio.Event()
        for kind in ("events", "subscriptions", "lost"):
            self.signals.listen(kind, lambda _: self._changed.set())

    async def leads(self) -> None:
        """Return once this engine leads."""
        await asyncio.wait_for(self.engine.leading.wait(), PATIENCE)

    async def until(self, holds: Callable[[], Any], *, seconds: float = PATIENCE) -> None:
        """Return once the asynchronous condition holds; it is looked at whenever something is told."""
        async with asyncio.timeout(seconds):
            while True:
                self._changed.clear()
                with suppress(AutoReconnect):  # a database that was killed is back before long
                    if await holds():
                        return
                # A signal may be lost with a process that was killed.
                try:
                    await asyncio.wait_for(self._changed.wait(), 1)
                except TimeoutError:
                    continue

    async def put(self, resource: Json | None, key: str = "") -> Write:
        """Store the resource, or delete the one of this key."""
        type_, _, id_ = (key or f"{resource['resourceType']}/{resource['id']}").partition("/")  # type: ignore[index]
        base = await self.repository.read(SYSTEM, type_, id_)
        write = Write("DELETE" if resource is None else "PUT", type_, id_, resource, base=base)
        write.find_by(BASE)
        write.prepare()
        unit = UnitOfWork()
        unit.add(write)
        await self.repository.commit(unit)
        return write

    async def subscribe(self, id_: str, criteria: str, *, owner: Json | None = None, **more: Any) -> None:
        """Store an active Subscription, and wait until it counts."""
        if owner is not None:
            await self.database.markers.replace_one({"_id": f"subscriber/{id_}"}, {"owner": owner}, upsert=True)
        written = await self.put(subscription(id_, criteria, **more))
        await self.knows(id_, written.version)

    async def knows(self, id_: str, version: int) -> None:
        """Return once the engine goes by this version of the Subscription."""

        async def known() -> bool:
            row = await self.row(id_)
            return row is not None and row["version"] >= version

        await self.until(known)

    async def row(self, id_: str) -> Json | None:
        """The document of sub_active."""
        found: Json | None = await self.database.system["sub_active"].find_one({"_id": id_})
        return found

    async def counted(self, id_: str, count: int) -> list[Event]:
        """Wait until so many events have numbers, and answer them all."""

        async def there() -> bool:
            row = await self.row(id_)
            return row is not None and row["count"] >= count

        await self.until(there)
        return await self.events.after(id_, 0, limit=100_000)

    async def commit_order(self, type_: str) -> list[tuple[str, int]]:
        """All versions of a type in the order of their commits, as the oplog has it."""
        pipeline: list[Json] = [
            {"$match": {"ns": {"$in": [f"{self.database.prefix}_fhir.version", "admin.$cmd"]}}},
            {"$sort": {"ts": 1}},
        ]
        found: list[tuple[str, int]] = []
        async with await self.database.client.local["oplog.rs"].aggregate(pipeline) as entries:
            async for entry in entries:
                inner = entry["o"].get("applyOps", [entry]) if entry["op"] == "c" else [entry]
                for one in inner:
                    if one["op"] == "i" and one["ns"] == f"{self.database.prefix}_fhir.version":
                        document = one["o"]
                        if document["ty"] == type_:
                            found.append((document["r"], document["v"]))
        return found


@asynccontextmanager
async def plant(
    uri: str,
    prefix: str,
    *,
    rights: Rights | None = None,
    hooks: Mapping[str, Hook] | None = None,
    start: bool = True,
    lease_seconds: float | None = None,
) -> AsyncIterator[Plant]:
    """A plant on the database of this prefix; its engine runs unless `start` is False."""
    database = Database(uri, prefix)
    await database.prepare()
    await store.prepare(database, event_days=30)
    made = Plant(database, rights or Everybody(), hooks or {}, lease_seconds)
    await made.signals.start()
    try:
        if start:
            await made.engine.start()
        yield made
    finally:
        await made.engine.stop()
        await made.signals.stop()
        await made.repository.stop()
        await database.close()


def subscription(id_: str, criteria: str, *, status: str = "active", **more: Any) -> Json:
    """R4's own, over a websocket."""
    return {
        "resourceType": "Subscription",
        "id": id_,
        "status": status,
        "reason": "test",
        "criteria": criteria,
        "channel": {"type": "websocket"},
        **more,
    }


def observation(id_: str, patient: str = "1", code: str = "a", **more: Any) -> Json:
    """An Observation of a patient."""
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": f"Patient/{patient}"},
        **more,
    }
