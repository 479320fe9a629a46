"""Follows what is committed and numbers events: one process leads, the others stand by.

A leader takes the lease, reads what counts from sub_active, and follows the change stream from the place that the
last commit has left. docs/decisions has the argument why no event is lost and none is numbered twice.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

import structlog
from pymongo.errors import PyMongoError

from fhir_server.rest import metrics
from fhir_server.storage.database import Database
from fhir_server.storage.repository import Repository
from subscriptions.failure import where
from subscriptions.feed import Feed, HistoryLost
from subscriptions.hooks import Hooks
from subscriptions.lease import Lease, LeaseLost
from subscriptions.listeners import Listeners
from subscriptions.numbering import Disagreement
from subscriptions.rights import Rights
from subscriptions.signals import Signals
from subscriptions.term import Term, lag
from subscriptions.topics import Topics

log = structlog.get_logger(__name__)

Json = dict[str, Any]
STANDING_BY = 1.0  # seconds between two looks whether somebody leads
PAUSE = 0.5  # seconds after an error

_leads = metrics.gauge("fhir_subscriptions_leader", "1 in the process that numbers events.")


class Engine:
    """`start` and `stop` in every process; `listeners` are told of changes in the one that leads."""

    def __init__(
        self,
        database: Database,
        repository: Repository,
        topics: Topics,
        rights: Rights,
        signals: Signals,
        hooks: Hooks,
        base_url: str,
        *,
        lease_seconds: float | None = None,
    ) -> None:
        self._database = database
        self._repository = repository
        self._topics = topics
        self._rights = rights
        self._signals = signals
        self._hooks = hooks
        self._base_url = base_url
        self.lease = Lease(database, lease_seconds) if lease_seconds else Lease(database)
        self.listeners = Listeners()
        self.leading = asyncio.Event()  # while this process leads
        self._free = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Lead, or stand by, until `stop`."""
        self._signals.listen("engine", self._heard)
        self.listeners.start()
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Hand over: another process leads at once."""
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running
            self._running = None
            await self._step_down()
        self._signals.forget("engine", self._heard)
        await self.listeners.stop()

    def _heard(self, _: Json) -> None:
        self._free.set()

    async def _run(self) -> None:
        while True:
            self._free.clear()
            try:
                state = await self.lease.take()
                if state is not None:
                    await self._lead(state)
            except LeaseLost:
                log.info("another process leads the subscriptions")
            except (PyMongoError, Disagreement) as error:
                log.warning("subscriptions interrupted", exception=type(error).__name__)
            except Exception as error:
                log.error("subscriptions interrupted", **where(error))
            else:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._free.wait(), STANDING_BY)
                continue
            await self._step_down()
            await asyncio.sleep(PAUSE)

    async def _step_down(self) -> None:
        try:
            async with asyncio.timeout(self.lease.seconds):
                led = bool(self.lease.epoch)
                await self.lease.give_back()
                if led:
                    await self._signals.publish("engine", {})
        except Exception as error:  # whatever it is, this process will lead again
            log.warning("the lease is not given back", exception=type(error).__name__)
        self.lease.epoch = 0

    async def _lead(self, state: Json) -> None:
        """Work until the lease is lost or something fails; raises LeaseLost or what failed."""
        term = Term(
            self._database,
            self._repository,
            self._topics,
            self._rights,
            self._signals,
            self.lease,
            self.listeners,
            self._base_url,
        )
        work = (self._keep(), self._work(term, state), term.actives.reach.run())
        tasks = [asyncio.create_task(one) for one in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self.leading.clear()
            _leads.set(0)
            lag.set(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self) -> None:
        """Renew the lease in time. A database that does not answer for so long may have given it to another."""
        renewed = time.monotonic()
        while True:
            await asyncio.sleep(self.lease.seconds / 3)
            try:
                await self.lease.renew()
                renewed = time.monotonic()
            except PyMongoError:
                if time.monotonic() - renewed > self.lease.seconds:
                    raise LeaseLost from None

    async def _work(self, term: Term, state: Json) -> None:
        await self._topics.load()
        await term.begin(state, self._hooks)
        log.info("this process leads the subscriptions", epoch=self.lease.epoch, count=len(term.actives.index))
        token = state.get("token")
        while True:
            try:
                async with Feed(self._database, token) as feed:
                    if token is None:
                        await term.seed(feed.start)
                    _leads.set(1)
                    self.leading.set()
                    async for batch in feed.batches():
                        await term.follow(batch.rows)
                        self.lease.place |= batch.place.fields()
            except HistoryLost:
                token = await term.recover()
