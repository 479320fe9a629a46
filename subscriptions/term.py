"""The time for which one process leads: what counts, and what is done with each batch of versions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import structlog

from fhir_server.change import Change
from fhir_server.rest import metrics
from fhir_server.storage.database import Database
from fhir_server.storage.repository import Repository
from fhir_server.storage.stored import Stored
from subscriptions.actives import Actives
from subscriptions.feed import Feed, Place, database_time, load, stored_since
from subscriptions.hooks import Hooks
from subscriptions.lease import Lease
from subscriptions.listeners import Listeners
from subscriptions.matcher import Matcher
from subscriptions.numbering import Numbering, Plan
from subscriptions.recovery import Doubt, doubtful_since
from subscriptions.rights import Rights
from subscriptions.signals import Signals
from subscriptions.topics import Topics
from subscriptions.view import View

log = structlog.get_logger(__name__)

Json = dict[str, Any]
MOST_BYTES = 32 * 1024 * 1024  # of resources' texts that are in memory at once, and as many of those before
MOST_EVENTS = 5_000  # that are numbered in one transaction
SUBSCRIPTION, TOPIC = "Subscription", "Basic"
DEFINING = (SUBSCRIPTION, TOPIC)  # what changes how later changes are judged
_IDS = 250  # versions whose documents are asked for in one query

lag = metrics.gauge("fhir_subscriptions_lag_seconds", "From the stamp of a version until its events are numbered.")
_numbered = metrics.counter("fhir_subscription_events", "Events numbered.")


class Term:
    """`begin`, then `follow` every batch; after HistoryLost `recover`."""

    def __init__(
        self,
        database: Database,
        repository: Repository,
        topics: Topics,
        rights: Rights,
        signals: Signals,
        lease: Lease,
        listeners: Listeners,
        base_url: str,
    ) -> None:
        self._database = database
        self._repository = repository
        self._topics = topics
        self._signals = signals
        self._clock = repository.flusher.clock
        self._numbering = Numbering(database, lease, self._clock)
        self._lease = lease
        self._listeners = listeners
        self._base_url = base_url
        self.actives = Actives(database, topics, rights, base_url)
        self._matcher = Matcher(self.actives.index, rights, repository.history)
        self._plan = Plan()
        self._told: list[Change] = []
        self._place: Json = {}  # behind the last version that the plan takes care of
        self._woken: set[str] = set()  # whose delivery was told that the subscriber's rights have ended
        self._doubt: Doubt | None = None

    async def begin(self, state: Json, hooks: Hooks) -> None:
        """Know what counts; take in the hooks that are new, and take out what is gone for good."""
        self._lease.place = {name: state[name] for name in ("token", "at", "doubt") if name in state}
        if kept := state.get("doubt"):
            self._doubt = await Doubt.load(self._database, kept)
        await self.actives.load()
        for id_ in [*await self.actives.erased(), *await self.actives.abandoned(hooks.ids)]:
            await self._remove(id_)
        self.actives.take_in(hooks.documents(), self._plan)
        await self._commit()

    async def seed(self, start: Place) -> None:
        """At the very first start: what is committed from here on counts, and the Subscriptions that are there."""
        found = self._database.resource.find({"ty": SUBSCRIPTION, "d": {"$exists": False}}, {"v": 1, "u": 1})
        rows = [{"r": row["_id"], "v": row["v"], "u": row["u"]} async for row in found]
        for first in range(0, len(rows), _IDS):
            for change in (await load(self._database, rows[first : first + _IDS])).values():
                await self._subscription(change)
        self._place = start.fields()
        await self._commit()

    async def recover(self) -> Json:
        """The place is lost: read versions again by their stamps, and answer the token to go on from."""
        self._plan, self._told, self._place = Plan(), [], {}
        since = doubtful_since(self._lease.place["at"])
        log.warning("changes are read again by their stamps", since=since)
        async with Feed(self._database, None) as fresh:
            start = fresh.start
        for id_ in await self.actives.erased():  # of which no version is left to be read again
            await self._remove(id_)
        self._doubt = await Doubt.load(self._database, {"since": since, "until": 0})
        async for rows in stored_since(self._database, since):
            await self.follow(rows, again=True)
        self._doubt.until = await database_time(self._database) + 1_000_000
        self._place = {**start.fields(), "doubt": self._doubt.fields()}
        await self._commit()
        return start.token

    async def follow(self, rows: list[Json], *, again: bool = False) -> None:
        """Number the events of these versions; `again` when they come by their stamps, not as they were committed."""
        self._matcher.forget()
        self.actives.reach.changed(rows)
        for defining, some in groupby(rows, key=lambda row: row["ty"] in DEFINING):
            # What is relevant depends on all that was defined before.
            for part in _parts(list(some) if defining else self._relevant(some)):
                await self._follow(part if defining else await self._promising(part), again)
        await self._commit()
        if again:
            return
        lag.set(max(0.0, (self._clock.now() - rows[-1]["u"]) / 1_000_000) if rows else 0.0)
        if rows:
            self._lose_doubt(rows[-1])

    def _relevant(self, rows: Iterable[Json]) -> list[Json]:
        """Those that may concern anybody, by their types alone: of the others nothing is fetched."""
        index, listened = self.actives.index, self._listeners.types
        return [row for row in rows if index.watches(row["ty"]) or row["ty"] in listened]

    async def _promising(self, rows: list[Json]) -> list[Json]:
        """Those that the search keys of their resources do not rule out."""
        index, listened = self.actives.index, self._listeners.types
        asked = {
            row["r"] for row in rows if not (row.get("d") or index.needs_content(row["ty"]) or row["ty"] in listened)
        }
        if not asked or self._repository.parameters.trouble:
            return rows
        present: dict[str, Json] = {}
        async for found in self._database.resource.find({"_id": {"$in": list(asked)}}, {"k": 1, "v": 1, "u": 1}):
            present[found["_id"]] = found
        return [row for row in rows if row["r"] not in asked or self._may_concern(row, present.get(row["r"]))]

    def _may_concern(self, row: Json, present: Json | None) -> bool:
        if present is None or present["v"] != row["v"] or present["u"] != row["u"]:
            return True  # there is a later version already: these keys are not its own
        keys = [*present.get("k", ()), row["r"]]
        return bool(self.actives.index.candidates(row["ty"], lambda: keys))

    async def _follow(self, rows: list[Json], again: bool) -> None:
        changes: dict[str, Change] = {}
        for first in range(0, len(rows), _IDS):
            changes |= await load(self._database, rows[first : first + _IDS])
        for row in rows:
            change = changes.get(f"{row['r']}/{row['v']}")
            if change is not None:
                await self._judge(change, again)
            elif row.get("d"):
                change = _erased(row)
            if change is not None and change.type in DEFINING:
                await self._define(change)
            if not again:
                self._place = Place(row["_id"], row["clusterTime"].time * 1_000_000).fields()
            if len(self._plan.events) >= MOST_EVENTS:
                await self._commit()

    async def _judge(self, change: Change, again: bool) -> None:
        """Number the change for those to whom it is an event."""
        if change.type in self._listeners.types:
            self._told.append(change)
        if not self.actives.index.watches(change.type):
            return
        for entry in await self._matcher.receivers(View(change, self._base_url)):
            # What is read again by its stamp began to count by a stamp, too.
            if again and change.at <= entry.since:
                continue
            if self._doubt is not None:
                known = (entry.id, change.version_key)
                if known in self._doubt.known:
                    continue
                self._doubt.known.add(known)
            self._plan.number(entry, change)

    async def _define(self, change: Change) -> None:
        """From here on judge by what the change leaves."""
        if change.type == SUBSCRIPTION:
            await self._subscription(change)
        else:
            await self._topics.changed(change)
            self.actives.renew()

    async def _subscription(self, change: Change) -> None:
        """From here on go by this version of the Subscription."""
        if not self.actives.is_news(change):
            return
        subscription = self.actives.read(change)
        if subscription is None:
            await self._remove(change.id)
            return
        if change.id in self._plan.counts or change.id in self._plan.removed:  # changes come first in a plan
            await self._commit()
        self._woken.discard(change.id)
        await self.actives.put(change, subscription, self._plan)

    async def _remove(self, id_: str) -> None:
        await self._commit()
        await self._numbering.clear(id_)
        self.actives.remove(id_, self._plan)

    async def _commit(self) -> None:
        """Commit what is planned, and tell everybody; without anything planned only the place is remembered."""
        plan, place, told = self._plan, self._place, self._told
        self._plan, self._place, self._told = Plan(), {}, []
        plan.due |= self._matcher.ended - self._woken
        self._woken |= plan.due
        # A place is committed at once where it is more than the stream's own: the first, and behind a doubt.
        if plan or "token" not in self._lease.place or "doubt" in place:
            await self._numbering.commit(plan, place)
            await self._tell(plan)
        for change in told:
            self._listeners.tell(change)

    async def _tell(self, plan: Plan) -> None:
        _numbered.inc(len(plan.events))
        if plan.counts:
            await self._signals.publish("events", dict(plan.counts))
        if news := self.actives.news:
            self.actives.news = {}
            await self._signals.publish("subscriptions", news)
            requested = {id_: status for id_, status in news.items() if status == "requested"}
            if requested:
                await self._signals.publish("handshake", requested)

    def _lose_doubt(self, row: Json) -> None:
        """End it once the stream has passed what was read by stamps."""
        if self._doubt is not None and row["clusterTime"].time * 1_000_000 > self._doubt.until:
            self._doubt = None
            self._lease.place["doubt"] = None


def _erased(row: Json) -> Change:
    """The end of a resource of which nothing is left: $erase shows the stream a deletion that nobody can read."""
    type_, _, id_ = row["r"].partition("/")
    gone = Stored(type_, id_, row["v"], row["u"], deleted=True)
    return Change(type_, id_, row["v"], "delete", row["u"], gone, None)


def _parts(rows: list[Json]) -> Iterator[list[Json]]:
    """The rows in pieces whose texts can be in memory together."""
    part: list[Json] = []
    size = 0
    for row in rows:
        if part and size + row["size"] > MOST_BYTES:
            yield part
            part, size = [], 0
        part.append(row)
        size += row["size"]
    if part:
        yield part
