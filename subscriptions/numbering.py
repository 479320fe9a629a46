"""Events get their numbers in one transaction with the place in the stream, which only the leader can move.

So nothing is lost and nothing numbered twice, whichever process is killed at whichever moment.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import structlog
from bson.int64 import Int64
from pymongo import UpdateOne
from pymongo.errors import PyMongoError

from fhir_server.change import Change
from fhir_server.storage.clock import Clock
from fhir_server.storage.database import DURABLE, Collection, Database
from fhir_server.storage.stored import from_micros
from subscriptions.event import Event, event_id
from subscriptions.index import Entry
from subscriptions.lease import ENGINE, Lease, LeaseLost

log = structlog.get_logger(__name__)

Json = dict[str, Any]
PATIENCE = 30.0  # seconds for which a transaction is tried again
CLEARED = 5_000  # events that are removed in one transaction
_LAST = 999_999_999_999


class Disagreement(Exception):
    """The database does not say what the leader knew: it has to read everything again."""


class _Fenced(Exception):
    """Neither our epoch nor our place: an attempt of before has succeeded, or another process leads."""


@dataclass(slots=True)
class Plan:
    """What is to be committed together: changes of sub_active in order, and then the events that were numbered."""

    changes: list[UpdateOne] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)  # subscriptions, with their events
    events: list[Event] = field(default_factory=list)
    first: dict[str, int] = field(default_factory=dict)  # the count before, of each subscription that has events
    counts: dict[str, int] = field(default_factory=dict)
    due: set[str] = field(default_factory=set)  # whose delivery is to look, without an event
    erased: Json = field(default_factory=dict)  # events that go; {} for none

    def number(self, entry: Entry, change: Change) -> None:
        """Give the subscription its next event."""
        self.first.setdefault(entry.id, entry.count)
        entry.count += 1
        self.counts[entry.id] = entry.count
        self.events.append(
            Event(entry.id, entry.count, change.type, change.id, change.version, change.interaction, change.at)
        )

    def __bool__(self) -> bool:
        return bool(self.changes or self.removed or self.events or self.due or self.erased)


class Numbering:
    """Commits plans under the lease."""

    def __init__(self, database: Database, lease: Lease, clock: Clock) -> None:
        self._client = database.client
        self._active: Collection = database.system["sub_active"]
        self._events: Collection = database.system["sub_events"]
        self._lease = lease
        self._clock = clock

    async def commit(self, plan: Plan, place: Json) -> None:
        """Commit the plan with its place in the stream (fields of the lease's document).

        Raises LeaseLost, Disagreement or PyMongoError; then it may be committed all the same: take the lease again.
        """
        async with self._lease.writing:
            await self._insist(plan, place)
            self._lease.seq += 1
            self._lease.place |= place

    async def clear(self, subscription: str) -> None:
        """Remove the events of a subscription that is to be removed, but for some that its removal takes along.

        One transaction must not last too long; and each is fenced, for the subscription may be there again already.
        """
        events = _events_of(subscription)
        while behind := await self._events.find_one(events, {"_id": 1}, sort=[("_id", 1)], skip=CLEARED):
            plan = Plan(erased={"_id": {"$gte": event_id(subscription, 0), "$lt": behind["_id"]}})
            await self.commit(plan, {})

    async def _insist(self, plan: Plan, place: Json) -> None:
        """Try until it is committed, for as long as the database only asks to try again."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        attempt = 0
        while True:
            try:
                return await self._attempt(plan, place)
            except (PyMongoError, _Fenced, Disagreement) as error:
                if await self._is_committed():
                    return
                again = isinstance(error, PyMongoError) and error.has_error_label("TransientTransactionError")
                if not again or loop.time() > deadline:
                    raise
            attempt += 1
            await asyncio.sleep(min(0.002 * attempt, 0.1))

    async def _attempt(self, plan: Plan, place: Json) -> None:
        # Left by an exception, the transaction is aborted.
        async with self._client.start_session() as session, await session.start_transaction(write_concern=DURABLE):
            # First what deliveries write, too: the snapshot is taken by the first operation.
            if operations := self._operations(plan):
                done = await self._active.bulk_write(operations, session=session)
                if done.matched_count + done.upserted_count < len(operations) - len(plan.due):
                    raise Disagreement
            if plan.events:
                stored = from_micros(self._clock.now())
                documents = [{**event.document(), "stored": stored} for event in plan.events]
                await self._events.insert_many(documents, session=session)
            for id_ in plan.removed:
                await self._active.delete_one({"_id": id_}, session=session)
                await self._events.delete_many(_events_of(id_), session=session)
            if plan.erased:
                await self._events.delete_many(plan.erased, session=session)
            state = {**place, "seq": self._lease.seq + 1}
            if not (
                await self._lease.rows.update_one(self._lease.fence, {"$set": state}, session=session)
            ).matched_count:
                raise _Fenced

    def _operations(self, plan: Plan) -> list[UpdateOne]:
        # A delivery that waits for its next attempt goes on waiting.
        due = {"$ifNull": ["$due", self._clock.now()]}
        counted = [
            UpdateOne({"_id": id_, "count": plan.first[id_]}, [{"$set": {"count": Int64(count), "due": due}}])
            for id_, count in plan.counts.items()
        ]
        woken = [UpdateOne({"_id": id_}, [{"$set": {"due": due}}]) for id_ in sorted(plan.due - plan.counts.keys())]
        return [*plan.changes, *counted, *woken]

    async def _is_committed(self) -> bool:
        """Whether an attempt whose answer was lost has done it after all. Raises LeaseLost."""
        found = await self._lease.rows.find_one({"_id": ENGINE}, {"epoch": 1, "seq": 1})
        if found is None or found["epoch"] != self._lease.epoch:
            raise LeaseLost
        return bool(found["seq"] == self._lease.seq + 1)


def _events_of(subscription: str) -> Json:
    return {"_id": {"$gte": event_id(subscription, 0), "$lte": event_id(subscription, _LAST)}}
