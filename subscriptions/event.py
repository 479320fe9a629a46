"""A numbered event of one subscription, and reading them in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fhir_server.change import Interaction
from fhir_server.storage.database import Collection, Database


@dataclass(frozen=True, slots=True)
class Event:
    """What happened: `number` counts from 1 in each subscription, without a gap. No content is kept with it."""

    subscription: str  # id
    number: int
    type: str
    id: str
    version: int
    interaction: Interaction
    at: int  # lastUpdated of the version, microseconds since 1970

    @property
    def key(self) -> str:
        """The resource: "Observation/7"."""
        return f"{self.type}/{self.id}"

    def document(self) -> dict[str, Any]:
        """As the database keeps it."""
        return {
            "_id": event_id(self.subscription, self.number),
            "s": self.subscription,
            "n": self.number,
            "r": self.key,
            "v": self.version,
            "i": self.interaction,
            "at": self.at,
        }


def event_id(subscription: str, number: int) -> str:
    """The `_id` of an event, in the order of numbers."""
    return f"{subscription}/{number:012d}"


def from_document(document: Mapping[str, Any]) -> Event:
    """The event of a stored document."""
    type_, _, id_ = document["r"].partition("/")
    return Event(document["s"], document["n"], type_, id_, document["v"], document["i"], document["at"])


class Events:
    """The events that were numbered; they are kept for `event_days`."""

    def __init__(self, database: Database) -> None:
        self._rows: Collection = database.system["sub_events"]

    async def between(self, subscription: str, first: int, last: int, limit: int = 1000) -> list[Event]:
        """The events first … last, both included, in order, at most `limit`."""
        wanted = {"_id": {"$gte": event_id(subscription, first), "$lte": event_id(subscription, last)}}
        found = self._rows.find(wanted).sort("_id", 1).limit(limit)
        return [from_document(row) async for row in found]

    async def after(self, subscription: str, number: int, limit: int = 100) -> list[Event]:
        """The next events after this number, in order."""
        return await self.between(subscription, number + 1, 999_999_999_999, limit)
