"""What rules and operations need of the server's subscriptions: service.Subscriptions, as ctx.state names it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from fhir_server.context import Context
from fhir_server.outcomes import NotSupported
from fhir_server.storage.database import Database
from subscriptions.event import Events
from subscriptions.notification import Notifications
from subscriptions.rights import Rights
from subscriptions.topic import Topic

Json = dict[str, Any]


class Topics(Protocol):
    """The accepted topics."""

    async def refresh(self) -> None:
        """Know of every topic whose write was answered."""

    def get(self, url: str) -> Topic | None:
        """The topic of this canonical URL."""


class Bindings(Protocol):
    """Tokens that a websocket is bound to subscriptions by."""

    async def issue(
        self, subscription_ids: list[str], owner: Json, seconds: int, *, after: int | None = None
    ) -> tuple[str, datetime]:
        """A new token for them, good for so long, with the rights of `owner` (Rights.remember); when it ends.

        `after` is the event to go on from; None: from now.
        """


class Service(Protocol):
    """The parts of service.Subscriptions that are used here."""

    @property
    def database(self) -> Database: ...
    @property
    def topics(self) -> Topics: ...
    @property
    def rights(self) -> Rights: ...
    @property
    def events(self) -> Events: ...
    @property
    def bindings(self) -> Bindings: ...
    @property
    def notifications(self) -> Notifications: ...


def service(ctx: Context) -> Service:
    """The server's subscriptions. Raises NotSupported (400) where there are none: in commands."""
    found: Service | None = ctx.state.get("subscriptions")
    if found is None:
        raise NotSupported("Subscriptions are not served here.")
    return found


async def counts(database: Database, subscriptions: list[str]) -> dict[str, int]:
    """How many events each has had, 0 for none; also of those that are off and no longer looked after."""
    rows = database.system["sub_active"].find({"_id": {"$in": subscriptions}}, {"count": 1})
    found = {row["_id"]: int(row.get("count", 0)) async for row in rows}
    for one in subscriptions:
        if one not in found:
            span = {"_id": {"$gt": f"{one}/", "$lt": f"{one}/:"}}
            last = await database.system["sub_events"].find_one(span, {"n": 1}, sort=[("_id", -1)])
            found[one] = int(last["n"]) if last is not None else 0
    return found
