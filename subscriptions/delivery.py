"""Deliveries of one process: each subscription by one process at a time, in order, and none waits for another."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from functools import partial
from math import inf
from weakref import WeakValueDictionary

import structlog
from pymongo.errors import PyMongoError

from fhir_server.config import Settings
from fhir_server.outcomes import Unavailable
from fhir_server.storage.database import Database
from fhir_server.storage.repository import Repository
from subscriptions.allowance import Allowance
from subscriptions.channel import Json, Outlets, all_channels
from subscriptions.claims import SECONDS as LEASE
from subscriptions.claims import Claims
from subscriptions.courier import Courier
from subscriptions.disclosure import Trail
from subscriptions.event import Events
from subscriptions.failure import where
from subscriptions.hooks import CHANNEL as HOOK
from subscriptions.hooks import Hooks
from subscriptions.notification import Notifications
from subscriptions.rights import Rights
from subscriptions.signals import Signals

log = structlog.get_logger(__name__)

AT_ONCE = 64  # deliveries of one process
SLOW_AT_ONCE = 16  # of these, to endpoints that were slow or failed the last time
SHARE = 8  # of these, of one subscriber
SLOW = 2.0  # seconds
SLOW_FOR = 300.0  # seconds for which one counts as slow, so that nobody is slow every other time
STEPS = 50  # of one subscription before others have a turn
POLL = 1.0  # seconds between two looks for what is due
SWEEP = 5  # looks after which everything is looked at
GRACE = 3.0  # seconds that deliveries under way may take at the end
_KNOWN = 100_000  # subscriptions whose channel is remembered
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _seconds() -> float:
    """A clock that goes on while the machine sleeps, where there is one: a lease ends meanwhile."""
    return time.clock_gettime(_CLOCK)


class Deliverers:
    """Delivers what is numbered, from `start` to `stop`; any number of processes share the work by leases.

    Signals say what may have something to deliver; the poll finds what nobody said.
    """

    def __init__(
        self,
        database: Database,
        repository: Repository,
        rights: Rights,
        events: Events,
        notifications: Notifications,
        settings: Settings,
        signals: Signals,
        hooks: Hooks,
        *,
        outlets: Outlets | None = None,
        lease_seconds: float = LEASE,
        trail: Trail | None = None,
    ) -> None:
        self._clock = repository.flusher.clock
        self._claims = Claims(database, f"{database.incarnation}/{secrets.token_hex(4)}", lease_seconds)
        self._lease = lease_seconds
        self._outlets = outlets or Outlets.of(settings, repository.history.base_url, _allowance(database, settings))
        self._courier = Courier(self._claims, repository, rights, events, notifications, hooks, self._outlets, trail)
        self._hooks = hooks
        self._pushing = {HOOK, *(name for name, channel in all_channels().items() if channel.send is not None)}
        self._channels: dict[str, str] = {}  # of subscriptions that signals named
        self._named: set[str] = set()
        self._asked: set[str] = set()
        self._woken = asyncio.Event()
        self._turns: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()  # named while they had their turn
        self._held: set[str] = set()
        self._slow: dict[str, float] = {}  # until when
        self._slow_now = 0
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._owners: dict[str, str] = {}  # whose a subscription is, as far as it was looked at
        self._shares: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._sure = -inf  # until when our leases hold
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        signals.listen("events", self._hear)
        signals.listen("handshake", self._hear_asked)
        signals.listen("subscriptions", self._hear_news)
        signals.listen("lost", lambda _: self._woken.set())

    async def start(self) -> None:
        """Deliver until `stop`."""
        await self._claims.prepare()
        self._stopping = False
        self._tasks = [asyncio.create_task(self._look()), asyncio.create_task(self._keep())]

    async def stop(self) -> None:
        """Let what is under way end for a moment, and hand the leases back."""
        self._stopping = True
        await _end(self._tasks)
        turns = list(self._turns.values())
        if turns:
            await asyncio.wait(turns, timeout=GRACE)
        await _end(turns)
        await self._outlets.http.close()

    # ---- who has a turn --------------------------------------------------------------------------------

    def _hear(self, data: Json) -> None:
        """A signal: {subscription: …}. Those of channels that push are looked at."""
        self._named.update(data)
        self._woken.set()

    def _hear_asked(self, data: Json) -> None:
        """A signal: {subscription: …} that was just asked for, of whatever channel."""
        self._asked.update(data)
        self._woken.set()

    def _hear_news(self, data: Json) -> None:
        """A signal: {subscription: status} of what has changed, perhaps its channel."""
        for id_ in data:
            self._channels.pop(id_, None)
            self._owners.pop(id_, None)
        self._hear(data)

    async def _look(self) -> None:
        looks, next_poll = 0, _seconds()
        while True:
            self._woken.clear()
            try:
                asked, self._asked = self._asked, set()
                await self._learn_and_give(asked)
                await self._give_turns_to_named()
                if _seconds() >= next_poll:
                    next_poll = _seconds() + POLL
                    sweeps = looks % SWEEP == 0
                    if sweeps:
                        await self._claims.free()
                    ask = self._claims.forgotten if sweeps else self._claims.due
                    await self._learn_and_give(await ask(self._pushing, self._clock.now()))
                    looks += 1
            except (PyMongoError, Unavailable) as error:
                log.warning("what is to be delivered cannot be seen", exception=type(error).__name__)
                await asyncio.sleep(POLL)
            except Exception as error:
                log.error("what is to be delivered cannot be seen", **where(error))
                await asyncio.sleep(POLL)
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, next_poll - _seconds())):
                    await self._woken.wait()

    async def _give_turns_to_named(self) -> None:
        """Give a turn to those that signals named, unless their clients come and read for themselves."""
        named, self._named = self._named, set()
        if unknown := [id_ for id_ in named if id_ not in self._channels]:
            if len(self._channels) > _KNOWN:
                self._channels.clear()
            self._channels |= await self._claims.channels(unknown)
        await self._learn_and_give([id_ for id_ in named if self._channels.get(id_) in self._pushing])

    async def _learn_and_give(self, ids: Collection[str]) -> None:
        """Give these a turn, knowing whose they are."""
        if unknown := [id_ for id_ in ids if id_ not in self._owners]:
            if len(self._owners) > _KNOWN:
                self._owners.clear()
            self._owners |= await self._claims.owners(unknown)
        self._give_turns(ids)

    def _give_turns(self, ids: Iterable[str]) -> None:
        for id_ in ids:
            if id_.startswith("hook:") and id_ not in self._hooks.ids:
                continue  # a process that knows the function delivers it
            if id_ in self._turns:
                self._again.add(id_)
            elif not self._stopping:
                self._turns[id_] = task = asyncio.create_task(self._turn(id_))
                task.add_done_callback(partial(self._ended, id_))

    def _ended(self, id_: str, _: asyncio.Task[None]) -> None:
        self._turns.pop(id_, None)
        if id_ in self._again and not self._stopping:
            self._again.discard(id_)
            self._give_turns([id_])

    # ---- a turn ----------------------------------------------------------------------------------------

    def _share(self, id_: str) -> asyncio.Semaphore:
        """What all subscriptions of the same subscriber have together; a hook, and who is nobody, has its own."""
        name = self._owners.get(id_) or id_
        share = self._shares.get(name)
        if share is None:
            share = self._shares[name] = asyncio.Semaphore(SHARE)
        return share

    async def _turn(self, id_: str) -> None:
        async with self._share(id_), self._slots:
            slow = self._slow.get(id_, -inf) > _seconds()
            if self._stopping or (slow and self._slow_now >= SLOW_AT_ONCE):
                return  # the poll comes back to it
            self._slow_now += slow
            longest = 0.0
            try:
                longest = await self._deliver(id_)
            except (PyMongoError, Unavailable) as error:
                log.warning("a delivery was put off", subscription=id_, exception=type(error).__name__)
            except Exception as error:
                log.error("a delivery was put off", subscription=id_, **where(error))
            finally:
                self._slow_now -= slow
                if longest > SLOW:
                    self._slow[id_] = _seconds() + SLOW_FOR
                elif not slow:
                    self._slow.pop(id_, None)

    async def _deliver(self, id_: str) -> float:
        """Take the lease, and step until nothing is left, or others have waited; the longest step's seconds."""
        began, longest = _seconds(), 0.0
        row = await self._claims.take(id_)
        if row is None:
            return longest
        self._sure = max(self._sure, began + self._lease)
        self._held.add(id_)
        try:
            for _ in range(STEPS):
                began = _seconds()
                if self._stopping or began >= self._sure:
                    break
                row = await self._courier.step(row)
                longest = max(longest, _seconds() - began)
                if row is None:
                    break
            else:
                self._again.add(id_)
            return longest
        finally:
            self._held.discard(id_)
            if id_ in self._courier.disturbed:
                self._courier.disturbed.discard(id_)
                self._again.add(id_)
            if row is not None:
                await self._claims.give_back(id_)

    async def _keep(self) -> None:
        """Renew the leases of what is under way; without them nothing goes on."""
        while True:
            await asyncio.sleep(self._lease / 4)
            began = _seconds()
            if not self._held:
                continue
            try:
                async with asyncio.timeout(self._lease / 4):
                    await self._claims.renew(self._held)
                self._sure = began + self._lease
            except (PyMongoError, TimeoutError) as error:
                log.warning("leases of deliveries are not renewed", exception=type(error).__name__)
            if _seconds() >= self._sure - self._lease / 4:
                for id_ in self._held:
                    self._turns[id_].cancel()


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _allowance(database: Database, settings: Settings) -> Allowance | None:
    return Allowance(database, settings.mails_per_hour) if settings.mails_per_hour else None
