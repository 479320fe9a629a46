"""Numbered events as the engine leaves them, without an engine, and Bundles that say no more than their numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from bson.int64 import Int64

from fhir_server import json
from fhir_server.access import Principal
from fhir_server.storage.database import Database
from subscriptions import store
from subscriptions.disclosure import Disclosed, Notification
from subscriptions.event import Event
from subscriptions.extensions import HEARTBEAT, MAX_COUNT
from subscriptions.signals import Signals
from subscriptions.subscription import Subscription

Json = dict[str, Any]


def resource(id_: str, status: str = "active", **channel: Any) -> Json:
    """A Subscription for a websocket; `heartbeat` and `max_count` are as the backport guide has them."""
    asked = {
        (HEARTBEAT, "valueUnsignedInt"): channel.pop("heartbeat", 0),
        (MAX_COUNT, "valuePositiveInt"): channel.pop("max_count", 0),
    }
    extensions = [{"url": url, name: value} for (url, name), value in asked.items() if value]
    return {
        "resourceType": "Subscription",
        "id": id_,
        "meta": {"versionId": "1"},
        "status": status,
        "reason": "test",
        "criteria": "Patient?active=true",
        "channel": {"type": "websocket", **channel, **({"extension": extensions} if extensions else {})},
    }


class Engine:
    """What the engine leaves in the database."""

    def __init__(self, database: Database, signals: Signals) -> None:
        self.database = database
        self.signals = signals
        self.active = database.system["sub_active"]

    async def prepare(self) -> None:
        await store.prepare(self.database, event_days=30)

    async def know(self, id_: str, owner: Json | None = None, *, version: int = 1, **about: Any) -> None:
        """Have the subscription in sub_active, at this version."""
        made = resource(id_, **about)
        row = {
            "resource": json.encode(made).decode(),
            "version": version,
            "status": made["status"],
            "channel": "websocket",
            "owner": owner or {},
            "at": version,
        }
        update = {"$set": row, "$setOnInsert": {"count": Int64(0)}}
        await self.active.update_one({"_id": id_}, update, upsert=True)

    async def number(self, id_: str, times: int = 1, *, told: bool = True, focus: str = "Patient/1") -> int:
        """Number as many events, in one commit; answers the last number. Only those who are `told` hear of it."""
        row = await self.active.find_one({"_id": id_})
        assert row is not None
        count = int(row["count"])
        type_, _, of = focus.partition("/")
        events = [Event(id_, count + n, type_, of, 1, "update", 0) for n in range(1, times + 1)]
        await self.database.system["sub_events"].insert_many([event.document() for event in events])
        await self.active.update_one({"_id": id_}, {"$set": {"count": Int64(count + times)}})
        if told:
            await self.signals.publish("events", {id_: count + times})
        return count + times


class Plain:
    """In place of Notifications: what is told of an event is its number, unless the principal may not see it."""

    def __init__(self) -> None:
        self.hidden: set[int] = set()
        self.made = 0
        self.on_bundle: Callable[[], None] | None = None

    async def event_notification(
        self, subscription: Subscription, count: int, events: Sequence[Event], principal: Principal, **_: Any
    ) -> Notification | None:
        self.made += 1
        if self.on_bundle is not None:
            self.on_bundle()
        await asyncio.sleep(0)
        numbers = [event.number for event in events if event.number not in self.hidden]
        if not numbers:
            return None
        return Notification({"numbers": numbers, "count": count}, Disclosed(subscription.id, tuple(numbers)))

    def heartbeat(self, subscription: Subscription, count: int) -> Json:
        return {"heartbeat": count}
