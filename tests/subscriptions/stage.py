"""What deliveries work on, without an engine: the tests number events and follow Subscriptions themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bson.int64 import Int64

from fhir_server import json
from fhir_server.access import Principal
from fhir_server.access.principal import ANYONE, SYSTEM
from fhir_server.config import Settings
from fhir_server.context import Context
from fhir_server.registry import Hook
from fhir_server.storage.clock import Clock
from fhir_server.storage.database import Database
from fhir_server.storage.repository import Repository
from fhir_server.storage.stored import Stored
from fhir_server.storage.unit_of_work import UnitOfWork, Write
from subscriptions import store
from subscriptions.delivery import Deliverers
from subscriptions.event import Event, Events
from subscriptions.hooks import Hooks
from subscriptions.notification import Notifications
from subscriptions.signals import Signals
from subscriptions.topic import Topic

Json = dict[str, Any]
BASE = "http://127.0.0.1:8080/fhir"
TOPIC = "http://topics.example/any"
LEASE = 60.0  # seconds: longer than a busy machine may stand still, so that nobody loses one by that
CONTENT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-payload-content"


class NoTopics:
    """Topics without any: nothing is included."""

    def get(self, url: str) -> Topic | None:
        return None


class Granted:
    """Rights that tests take away."""

    def __init__(self) -> None:
        self.revoked = False

    def remember(self, principal: Principal) -> Json:
        return {}

    async def again(self, kept: Json) -> Principal | None:
        return None if self.revoked else ANYONE


@dataclass
class Stage:
    """A database, and as many deliverers on it as a test wants."""

    uri: str
    prefix: str
    settings: Settings
    database: Database
    repository: Repository
    rights: Granted
    hooks: dict[str, Hook]
    opened: list[tuple[Database, Signals]]

    async def write(self, resource: Json) -> Stored:
        """A version of the resource."""
        key = resource["resourceType"], resource["id"]
        base = await self.repository.read(SYSTEM, *key)
        write = Write("PUT", *key, resource, base, exact=True)
        write.find_by(BASE)
        write.prepare()
        unit = UnitOfWork()
        unit.add(write)
        await self.repository.commit(unit)
        stored = await self.repository.read(SYSTEM, *key)
        assert stored is not None
        return stored

    async def subscribe(self, id_: str, resource: Json, **row: Any) -> None:
        """A Subscription, followed as the engine would."""
        await self.write({"resourceType": "Subscription", "id": id_, **resource})
        await self.follow(id_, **row)

    async def follow(self, id_: str, **row: Any) -> str:
        """Have sub_active say what the Subscription says; its status."""
        stored = await self.subscription(id_)
        resource = stored.resource()
        coding = [e["valueCoding"] for e in resource["channel"].get("_type", {}).get("extension", [])]
        fields = {
            "resource": stored.text,
            "version": stored.version,
            "status": resource["status"],
            "channel": coding[0]["code"] if coding else resource["channel"]["type"],
            "owner": {},
            **row,
        }
        new = {name: Int64(0) for name in ("count", "sent") if name not in row}
        rows = self.database.system["sub_active"]
        await rows.update_one({"_id": id_}, {"$set": fields, "$setOnInsert": new}, upsert=True)
        return str(resource["status"])

    async def until_status(self, id_: str, wanted: str) -> Json:
        """The Subscription once it has this status; sub_active follows whatever it says meanwhile."""
        async with asyncio.timeout(60):
            while await self.follow(id_) != wanted:
                await asyncio.sleep(0.02)
        return (await self.subscription(id_)).resource()

    async def until_row(self, id_: str, holds: Callable[[Json], bool]) -> Json:
        """The document of sub_active once it is so."""
        async with asyncio.timeout(60):
            while not holds(row := await self.row(id_)):
                await asyncio.sleep(0.02)
        return row

    async def subscription(self, id_: str) -> Stored:
        stored = await self.repository.read(SYSTEM, "Subscription", id_)
        assert stored is not None
        return stored

    async def row(self, id_: str) -> Json:
        found = await self.database.system["sub_active"].find_one({"_id": id_})
        assert found is not None
        return found

    async def happen(self, id_: str, number: int, signals: Signals | None = None) -> None:
        """So many events of the subscription, each of a resource of its own, numbered as the engine would."""
        row = await self.row(id_)
        first = int(row["count"]) + 1
        events = []
        for n in range(first, first + number):
            stored = await self.write({"resourceType": "Basic", "id": f"{id_.replace(':', '-')}-{n}", "code": {}})
            events.append(Event(id_, n, "Basic", stored.id, stored.version, "create", stored.updated))
        documents = [{**event.document(), "stored": datetime.now(UTC)} for event in events]
        await self.database.system["sub_events"].insert_many(documents)
        change = [{"$set": {"count": Int64(first + number - 1), "due": {"$ifNull": ["$due", Clock().now()]}}}]
        await self.database.system["sub_active"].update_one({"_id": id_}, change)
        if signals is not None:
            await signals.publish("events", {id_: first + number - 1})

    @asynccontextmanager
    async def deliverers(self, **more: Any) -> AsyncIterator[Deliverers]:
        """Deliverers of what might be another process."""
        database = Database(self.uri, self.prefix)
        repository = Repository(database, Clock(), query_seconds=60, max_pending=1000)
        repository.history.base_url = BASE
        signals = Signals(database)
        hooks = Hooks(repository, lambda: context(self.settings, repository), self.hooks)
        notifications = Notifications(repository, BASE, NoTopics())
        made = Deliverers(
            database,
            repository,
            self.rights,
            Events(database),
            notifications,
            self.settings,
            signals,
            hooks,
            **{"lease_seconds": LEASE, **more},
        )
        await signals.start()
        await made.start()
        self.opened.append((database, signals))
        try:
            yield made
        finally:
            await made.stop()
            await signals.stop()
            await repository.flusher.drain()
            await database.close()


def context(settings: Settings, repository: Repository) -> Context:
    """What hooks of the tests run in."""
    return Context(SYSTEM, repository, None, settings, BASE, None)  # type: ignore[arg-type]


def resource(endpoint: str, status: str = "active", content: str = "id-only", **channel: Any) -> Json:
    """A topic-based Subscription."""
    return {
        "status": status,
        "reason": "test",
        "criteria": TOPIC,
        "channel": {
            "type": "rest-hook",
            "endpoint": endpoint,
            "payload": "application/fhir+json",
            "_payload": {"extension": [{"url": CONTENT, "valueCode": content}]},
            **channel,
        },
    }


@asynccontextmanager
async def stage(uri: str, prefix: str, **settings: Any) -> AsyncIterator[Stage]:
    """The stage, with empty collections of subscriptions."""
    database = Database(uri, prefix)
    await database.prepare()
    for name in ("sub_active", "sub_events"):
        await database.system[name].drop()
    await store.prepare(database, event_days=30)
    repository = Repository(database, Clock(), query_seconds=60, max_pending=1000)
    repository.history.base_url = BASE
    options: Json = {"mongodb_uri": uri, "database": prefix, "allow_private_endpoints": True, **settings}
    try:
        yield Stage(uri, prefix, Settings(**options), database, repository, Granted(), {}, [])
    finally:
        await repository.flusher.drain()
        await database.close()


def parsed(row: Json) -> Json:
    """The Subscription that a document of sub_active was made from."""
    return dict(json.decode(row["resource"]))
