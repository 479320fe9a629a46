"""Follows the events of subscriptions for the sockets of this process: in order of their numbers, each once.

However many follow, the process has one poller, one watch over their rights, and one query for what is wanted at a
moment. Signals wake followers at once; the poller finds what a lost signal would have told.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from fhir_server import json
from fhir_server.access import Principal
from fhir_server.audit.entry import Agent
from fhir_server.outcomes import Unavailable
from fhir_server.storage.database import Collection, Database
from subscriptions import disclosure
from subscriptions import subscription as definition
from subscriptions.disclosure import Trail
from subscriptions.event import Event, Events, event_id, from_document
from subscriptions.notification import Notifications
from subscriptions.rights import Rights
from subscriptions.signals import Signals
from subscriptions.subscriber import whose
from subscriptions.subscription import Subscription

log = structlog.get_logger(__name__)

Json = dict[str, Any]
Why = Literal["authorization", "rights", "off", "gone"]
PrincipalNow = Callable[[], Awaitable[Principal | None]]

POLL = 1.0  # seconds between two looks at the counts of everything that is followed
WATCH = 0.4  # seconds between two looks at the rights of everybody who follows
GRACE = 10.0  # seconds that the engine may take to know a new Subscription
PAUSE = 0.5  # seconds after the database did not answer
WATCHERS = 8  # principals that are made at the same time while rights have changed
_FEW = 16  # events that are asked for one by one, together with those of others
_MOST = 1000  # ids in one query
_STAMP = ("version", "status", "at")  # what tells that a subscription is not the one it was
_PROJECTION = {"count": 1, **dict.fromkeys(_STAMP, 1)}
_MAJORITY = ReadConcern("majority")  # what may still be rolled back is not sent


class Ended(Exception):
    """Following is over.

    authorization: who follows may no longer act. rights: they may do less than when they began, and had better begin
    anew. off: the subscription was switched off. gone: there is none (any more).
    """

    def __init__(self, why: Why) -> None:
        self.why = why
        super().__init__(why)


@dataclass(slots=True, eq=False)
class State:
    """A subscription as this process knows it, for all who follow it."""

    id: str
    subscription: Subscription
    owner: Json  # Rights.remember of the subscriber
    stamp: tuple[Any, ...]
    count: int  # number of the last event


@dataclass(slots=True, eq=False)
class _Follower:
    principal_now: PrincipalNow
    agent: Agent | None = None
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    before: Principal | None = None
    ended: Why | None = None

    async def principal(self) -> Principal:
        """Who follows, with the rights of now. Raises Ended, and Unavailable when that cannot be told."""
        found = await self.principal_now()
        if found is None:
            self.ended = "authorization"
            raise Ended(self.ended)
        if self.before is not None and found is not self.before and is_narrower(found, self.before):
            self.ended = "rights"
            raise Ended(self.ended)
        self.before = found
        return found


@dataclass(slots=True, eq=False)
class _Followed:
    state: State | None = None
    followers: set[_Follower] = field(default_factory=set)
    ended: Why | None = None

    def wake(self) -> None:
        for one in self.followers:
            one.woken.set()


class Reader:
    """What sockets read: `follow` for the events of one subscription, `state` for what it is."""

    def __init__(
        self,
        database: Database,
        events: Events,
        notifications: Notifications,
        rights: Rights,
        signals: Signals,
        *,
        trail: Trail | None = None,
    ) -> None:
        self._active: Collection = database.system["sub_active"].with_options(read_concern=_MAJORITY)
        self._events = events
        self._batches = _Batches(database.system["sub_events"])
        self._notifications = notifications
        self._rights = rights
        self._trail = trail
        self._followed: dict[str, _Followed] = {}
        self._look = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        signals.listen("events", self._heard)
        signals.listen("subscriptions", self._changed)
        signals.listen("lost", lambda _: self._look.set())

    async def start(self) -> None:
        """Poll and watch until `stop`."""
        self._tasks = [asyncio.create_task(self._poll()), asyncio.create_task(self._watch())]

    async def stop(self) -> None:
        """Poll and watch no longer; whoever follows is told nothing any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def state(self, subscription_id: str) -> State | None:
        """The subscription as it is now; None when the engine does not know it (yet)."""
        row = await self._active.find_one({"_id": subscription_id})
        return _state(row) if row is not None else None

    async def known(self, subscription_id: str) -> State:
        """The same, as soon as the engine knows it; raises Ended when it does not get to know it in time."""
        loop = asyncio.get_running_loop()
        patience = loop.time() + GRACE
        while True:
            with suppress(PyMongoError):
                found = await self.state(subscription_id)
                if found is not None:
                    return found
                if loop.time() >= patience:
                    raise Ended("gone")
            await asyncio.sleep(0.05)

    async def follow(
        self,
        subscription_id: str,
        after: int,
        principal_now: PrincipalNow,
        *,
        beats: bool = False,
        since: Principal | None = None,
        agent: Agent | None = None,
    ) -> AsyncGenerator[tuple[int, Json], None]:
        """The notification bundles of the events after a number, in order, each event once, until Ended is raised.

        Each comes with the number of its last event, made with the rights that `principal_now` tells at that moment;
        what may not be seen is left out, so numbers may be missing. What it discloses to the `agent` is in the audit
        trail by then; without an agent it is only told that something happened. With `beats`, heartbeats come between
        them, at the interval that the Subscription asks for, with the number of the event before. `since` is whom it
        is for, as they were when they asked; less than that ends it. Who does not take the next one is waited for:
        nothing is buffered here. To be closed (`aclosing`) by whoever leaves early.
        """
        me = _Follower(principal_now, agent, before=since)
        followed = self._followed.setdefault(subscription_id, _Followed())
        followed.followers.add(me)
        try:
            if followed.state is None:
                _take(followed, await self.known(subscription_id))
            position = after
            while True:
                me.woken.clear()
                state = followed.state
                if why := followed.ended or me.ended:
                    raise Ended(why)
                assert state is not None
                if position < state.count:
                    position, bundle = await self._next(state, position, me)
                    if bundle is not None:
                        yield position, bundle
                elif beats and not await _woken(me.woken, state.subscription.heartbeat):
                    await me.principal()
                    yield position, self._notifications.heartbeat(state.subscription, state.count)
                elif not beats:
                    await me.woken.wait()
        finally:
            followed.followers.discard(me)
            if not followed.followers and self._followed.get(subscription_id) is followed:
                del self._followed[subscription_id]

    async def _next(self, state: State, position: int, me: _Follower) -> tuple[int, Json | None]:
        """The next bundle and the number it leads to; None when nothing of it may be seen, or nothing was told."""
        try:
            last = min(state.count, position + max(1, state.subscription.max_count))
            events = await self._read(state.id, position + 1, last)
            if not events:
                return last, None  # they were kept for `event_days`
            number = events[-1].number
            principal = await self._rightful(state, me)
            made = await self._notifications.event_notification(state.subscription, number, events, principal)
            if made is not None and me.agent is not None:
                await disclosure.record(self._trail, made.disclosed, me.agent, principal.purpose)
            await self._rightful(state, me)  # what was revoked while the bundle was made is not sent
        except (PyMongoError, Unavailable) as error:
            log.warning("events of a subscription not read", exception=type(error).__name__)
            await asyncio.sleep(PAUSE)
            return position, None
        return number, made.bundle if made is not None else None

    async def _rightful(self, state: State, me: _Follower) -> Principal:
        """Who follows, as long as the subscriber is somebody, too. Raises Ended and Unavailable."""
        if await self._rights.again(state.owner) is None:
            me.ended = "authorization"
            raise Ended(me.ended)
        return await me.principal()

    async def _read(self, id_: str, first: int, last: int) -> list[Event]:
        if last - first >= _FEW:
            return await self._events.between(id_, first, last, last - first + 1)
        return await self._batches.read([event_id(id_, number) for number in range(first, last + 1)])

    # ---- what happens meanwhile ----------------------------------------------------------------------

    def _heard(self, counts: Json) -> None:
        for id_, number in counts.items():
            followed = self._followed.get(id_)
            if followed is not None and followed.state is not None and number > followed.state.count:
                followed.state.count = number
                followed.wake()

    def _changed(self, statuses: Json) -> None:
        if not self._followed.keys().isdisjoint(statuses):
            self._look.set()

    async def _poll(self) -> None:
        """Ask for everything that is followed at once, in case that a signal was lost."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), POLL)
            self._look.clear()
            known = [id_ for id_, one in self._followed.items() if one.state is not None]
            try:
                for start in range(0, len(known), _MOST):
                    await self._compare(known[start : start + _MOST])
            except Exception as error:  # whatever it is, the next look comes
                log.warning("events of subscriptions not followed", exception=type(error).__name__)

    async def _compare(self, ids: list[str]) -> None:
        rows = {row["_id"]: row async for row in self._active.find({"_id": {"$in": ids}}, _PROJECTION)}
        for id_ in ids:
            followed, row = self._followed.get(id_), rows.get(id_)
            if followed is None or followed.state is None:
                continue
            if row is None:
                followed.ended = "gone"
                followed.wake()
            elif _stamp(row) != followed.state.stamp:
                before = followed.state
                if (fresh := await self.state(id_)) is not None:
                    _take(followed, fresh)
                    # Deleted and made anew: its numbers begin again, or it is somebody else's.
                    if fresh.count < before.count or whose(fresh.owner) != whose(before.owner):
                        followed.ended = "gone"
            elif row["count"] > followed.state.count:
                followed.state.count = row["count"]
                followed.wake()

    async def _watch(self) -> None:
        """Let nobody follow who may not any more, also when nothing happens; no more than a few are looked up at once.

        What is known already costs next to nothing, so this is for the moments after rights have changed.
        """
        while True:
            await asyncio.sleep(WATCH)
            everybody = [
                (one.state, follower) for one in self._followed.values() if one.state for follower in one.followers
            ]
            waiting = iter(everybody)
            await asyncio.gather(*(self._judge(waiting) for _ in range(min(WATCHERS, len(everybody)))))

    async def _judge(self, followers: Iterable[tuple[State, _Follower]]) -> None:
        for state, follower in followers:
            try:
                if follower.ended is None:
                    await self._rightful(state, follower)
            except Ended:
                follower.woken.set()
            except (PyMongoError, Unavailable):
                pass  # nothing is sent meanwhile
            except Exception as error:
                log.error("rights of a follower not told", exception=type(error).__name__)


class _Batches:
    """Reads in one query the events that many want at the same moment."""

    def __init__(self, rows: Collection) -> None:
        self._rows = rows
        self._wanted: dict[str, asyncio.Future[Event | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def read(self, ids: list[str]) -> list[Event]:
        """Those of the events that are there, in the order of `ids`."""
        loop = asyncio.get_running_loop()
        asked = [self._wanted.setdefault(id_, loop.create_future()) for id_ in ids]
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        await asyncio.wait(asked)  # which leaves them to the others when this one is cancelled
        return [event for one in asked if (event := one.result()) is not None]

    async def _work(self) -> None:
        while self._wanted:
            await asyncio.sleep(0)  # until everybody who was woken has asked
            ids = list(self._wanted)[:_MOST]
            batch = {id_: self._wanted.pop(id_) for id_ in ids}
            try:
                rows = {row["_id"]: row async for row in self._rows.find({"_id": {"$in": ids}})}
            except PyMongoError as error:
                for one in batch.values():
                    one.set_exception(error)
                    one.exception()  # also when nobody waits any more
                continue
            for id_, one in batch.items():
                one.set_result(from_document(rows[id_]) if id_ in rows else None)


def is_narrower(now: Principal, before: Principal) -> bool:
    """Whether something was taken from the principal: a scope, a role, a patient.

    What Consents deny to everybody is not compared: it is left out of the very next notification, and need not
    disconnect a hospital.
    """
    return (
        now.patient != before.patient
        or bool(before.own - now.own or before.emergency - now.emergency or before.panel.keys() - now.panel.keys())
        or bool(set(before.roles) - set(now.roles) or set(map(str, before.scopes)) - set(map(str, now.scopes)))
    )


def _state(row: Json) -> State:
    resource = row["resource"] if isinstance(row["resource"], dict) else json.decode(row["resource"])
    parsed = definition.parse(resource)
    return State(row["_id"], parsed, row.get("owner") or {}, _stamp(row), row["count"])


def _stamp(row: Json) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in _STAMP)


def _take(followed: _Followed, fresh: State) -> None:
    """Go on with the subscription as it is now."""
    followed.state = fresh
    followed.ended = "off" if fresh.subscription.status == "off" else None
    followed.wake()


async def _woken(event: asyncio.Event, seconds: int) -> bool:
    """Whether something happened within the time; 0 is for ever."""
    try:
        await asyncio.wait_for(event.wait(), seconds or None)
    except TimeoutError:
        return False
    return True
