"""What counts events, as sub_active says it, kept current by the changes of Subscriptions and topics in the stream."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from bson.int64 import Int64
from pymongo import UpdateOne

from fhir_server import json
from fhir_server.change import Change
from fhir_server.outcomes import FhirError
from fhir_server.storage.database import Collection, Database
from subscriptions import subscriber
from subscriptions.filters import compile_criteria, conditions
from subscriptions.hooks import CHANNEL, stale
from subscriptions.index import Entry, Index
from subscriptions.numbering import Plan
from subscriptions.reach import Reach
from subscriptions.rights import Rights
from subscriptions.subscription import Subscription, parse
from subscriptions.topic import Topic
from subscriptions.topics import Topics

log = structlog.get_logger(__name__)

Json = dict[str, Any]
COUNTING = ("active", "error")  # statuses under which events are numbered
_ALL_AT_ONCE = 100  # subscriptions that are made ready before others get their turn


@dataclass(slots=True)
class _Known:
    """A document of sub_active: of the resource version stamped `at`; `entry` is in the index while it counts."""

    status: str
    at: int
    entry: Entry
    subscription: Subscription | None = None  # None: a hook


class Actives:
    """All subscriptions that are not deleted, and the index of those that count.

    What changes is added to a plan; `news` (status by id) is what others are to be told once that is committed.
    """

    def __init__(self, database: Database, topics: Topics, rights: Rights, base_url: str) -> None:
        self._database = database
        self._rows: Collection = database.system["sub_active"]
        self._topics = topics
        self._base_url = base_url
        self._known: dict[str, _Known] = {}
        self._by_topic: dict[str, Topic | None] = {}  # as it was when the entries were made
        self.index = Index()
        self.reach = Reach(self.index, rights)
        self.news: dict[str, str] = {}

    async def load(self) -> None:
        """Read sub_active, at the beginning."""
        number = 0
        async for row in self._rows.find():
            self._put(row["_id"], _from_row(row))
            number += 1
            if not number % _ALL_AT_ONCE:
                await asyncio.sleep(0)

    async def erased(self) -> list[str]:
        """The subscriptions whose resource was erased, of which the stream does not tell."""
        ids = [id_ for id_, known in self._known.items() if known.subscription is not None]
        there: set[str] = set()
        for start in range(0, len(ids), 1000):
            keys = [f"Subscription/{id_}" for id_ in ids[start : start + 1000]]
            async for row in self._database.resource.find({"_id": {"$in": keys}}, {"_id": 1}):
                there.add(row["_id"].partition("/")[2])
        return [id_ for id_ in ids if id_ not in there]

    async def abandoned(self, hooks: Iterable[str]) -> list[str]:
        """The hooks that are not among these, and that no leader has known for long."""
        ours = set(hooks)
        return [
            row["_id"] async for row in self._rows.find({"channel": CHANNEL}) if row["_id"] not in ours and stale(row)
        ]

    def take_in(self, hooks: Iterable[Json], plan: Plan) -> None:
        """Have these hooks (Hooks.documents) count from now on, if they do not already."""
        for hook in hooks:
            id_ = hook["_id"]
            fresh = {**{name: value for name, value in hook.items() if name != "_id"}, "seen": datetime.now(UTC)}
            new = {"count": Int64(0), "sent": Int64(0)}
            plan.changes.append(UpdateOne({"_id": id_}, {"$set": fresh, "$setOnInsert": new}, upsert=True))
            known = self._known.get(id_)
            self._put(id_, _from_row({**hook, "count": known.entry.count if known is not None else 0}))

    def is_news(self, change: Change) -> bool:
        """Whether the change of a Subscription is later than what is known of it."""
        known = self._known.get(change.id)
        # By the stamp, for an erased one that was made again counts its versions from 1.
        return known is None or known.at < change.at

    def read(self, change: Change) -> Subscription | None:
        """The Subscription that the change leaves; None when it is deleted, or none that this server would accept."""
        if change.after.deleted:
            return None
        try:
            return parse(change.after.resource())
        except FhirError as error:
            log.warning("a Subscription is not understood", id=change.id, code=error.code)
            return None

    async def put(self, change: Change, subscription: Subscription, plan: Plan) -> None:
        """Go by this version of the Subscription from here on."""
        before = self._known.get(change.id)
        owner = await subscriber.owner(self._database, change.id) or {}
        entry = Entry(change.id, frozenset(), before.entry.count if before is not None else 0, owner=owner)
        entry.end = subscription.end
        counted = before is not None and before.status in COUNTING
        entry.since = before.entry.since if before is not None and counted else change.at
        fields: Json = {
            "resource": change.after.text,
            "version": change.version,
            "status": subscription.status,
            "channel": subscription.channel,
            "owner": owner,
            "at": change.at,
            "from": entry.since,
        }
        fields |= {"end": subscription.end} if subscription.end else {}
        gone = [] if subscription.end else ["end"]
        if before is None or before.status != subscription.status:
            if subscription.status == "requested":  # a fresh start: the handshake is to be made at once
                gone += ["attempts", "failing"]
            if subscription.status in ("requested", "active"):
                fields["due"] = change.at
            elif subscription.status == "off":
                gone.append("due")
        update: Json = {"$set": fields, "$setOnInsert": {"count": Int64(0), "sent": Int64(0)}}
        if gone:
            update["$unset"] = dict.fromkeys(gone, "")
        plan.changes.append(UpdateOne({"_id": change.id}, update, upsert=True))
        self.news[change.id] = subscription.status
        self._put(change.id, _Known(subscription.status, change.at, entry, subscription))

    def remove(self, id_: str, plan: Plan) -> None:
        """Forget the subscription, its number and its events."""
        self.index.remove(id_)
        if self._known.pop(id_, None) is not None:
            plan.removed.append(id_)
            self.news[id_] = "deleted"

    def renew(self) -> None:
        """Topics have changed: judge by those of now."""
        changed = {url for url, topic in self._by_topic.items() if self._topics.get(url) != topic}
        if not changed:
            return
        for id_, known in tuple(self._known.items()):
            if known.subscription is not None and known.subscription.topic in changed:
                self._put(id_, known)

    def _put(self, id_: str, known: _Known | None) -> None:
        self.index.remove(id_)
        if known is None:
            self._known.pop(id_, None)
            return
        self._known[id_] = known
        if known.status in COUNTING and (known.subscription is None or self._prepare(known.entry, known.subscription)):
            known.entry.reach = {}  # of the types as they were
            self.index.add(known.entry)
            self.reach.expect(known.entry)

    def _prepare(self, entry: Entry, subscription: Subscription) -> bool:
        """Whether the entry can be judged: by its topic and filters as they are now."""
        try:
            if subscription.topic:
                entry.topic = self._by_topic[subscription.topic] = self._topics.get(subscription.topic)
            else:
                entry.topic = compile_criteria(subscription.criteria, self._base_url)
            if entry.topic is None:
                log.warning("the topic of a Subscription is gone", id=entry.id)
                return False
            entry.types = entry.topic.types
            entry.conditions = conditions(entry.topic, subscription.filters, self._base_url)
        except FhirError as error:
            log.warning("a Subscription cannot be judged", id=entry.id, code=error.code)
            return False
        return True


def _from_row(row: Json) -> _Known | None:
    """What a document of sub_active says; None when it is not understood."""
    if row["channel"] == CHANNEL:
        entry = Entry(row["_id"], frozenset(row["types"]), row["count"], interactions=frozenset(row["interactions"]))
        return _Known(row["status"], 0, entry)
    try:
        found = parse(json.decode(row["resource"]))
    except FhirError as error:
        log.warning("a Subscription is not understood", id=row["_id"], code=error.code)
        return None
    entry = Entry(row["_id"], frozenset(), row["count"], owner=row["owner"], since=row["from"], end=found.end)
    return _Known(row["status"], row["at"], entry, found)
