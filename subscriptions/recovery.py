"""After the place in the change stream was lost: versions are read again by their stamps, and none is numbered twice.

Stamps do not tell what was committed before the place and what after it, nor does what is read by stamps tell how much
of the fresh stream it has taken in already. So for as long as there is doubt, which versions a subscription has events
of is looked up among its events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fhir_server.storage.database import Database
from fhir_server.storage.stored import from_micros

Json = dict[str, Any]
# A transaction may last 60 seconds by MongoDB's own choice, and is looked for once a minute; clocks may differ by one.
WINDOW = 180_000_000  # microseconds from a version's stamp to its commit, at the very most
_SKEW = 60_000_000  # microseconds by which the clock that stamps events may be behind


def doubtful_since(at: int) -> int:
    """The stamp from which on versions may have been committed behind a place (its `at`)."""
    return at - WINDOW


@dataclass(slots=True)
class Doubt:
    """What has events already: subscription and "Type/id/_history/n". It holds for stream changes up to `until`.

    `since` and `until` are in microseconds since 1970; the first is a stamp, the second the database's logical time.
    """

    since: int
    until: int
    known: set[tuple[str, str]]

    @classmethod
    async def load(cls, database: Database, kept: Json) -> Doubt:
        """By what `fields` gave; reads the events since then."""
        since = int(kept["since"])
        stored = {"stored": {"$gte": from_micros(since - _SKEW)}}
        rows = database.system["sub_events"].find(stored, {"s": 1, "r": 1, "v": 1, "_id": 0})
        known = {(row["s"], f"{row['r']}/_history/{row['v']}") async for row in rows}
        return cls(since, int(kept["until"]), known)

    def fields(self) -> Json:
        """What the state document keeps of it."""
        return {"since": self.since, "until": self.until}
