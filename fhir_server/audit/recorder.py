"""Entries of what changes nothing (reads, searches, operations, refusals), stored in groups before it is answered."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

import structlog
from pymongo.errors import DuplicateKeyError, PyMongoError

from fhir_server.audit.chain import Chain
from fhir_server.audit.entry import Entry
from fhir_server.audit.lines import MAX_ENTRIES, Lines, gathered
from fhir_server.audit.store import Store
from fhir_server.outcomes import FhirError, Unavailable

log = structlog.get_logger(__name__)

Document = dict[str, Any]
Waiting = tuple[Sequence[Entry], "asyncio.Future[None]"]

PATIENCE = 10.0  # seconds that a database may be away before those who wait are told
RETRY_AFTER = {"Retry-After": "1"}


class Recorder:
    """At most one group on its way; all that comes meanwhile is the next one."""

    def __init__(self, store: Store, chain: Chain, *, max_pending: int) -> None:
        self._store = store
        self._chain = chain
        self._max_pending = max_pending
        self._queue: deque[Waiting] = deque()
        self._runner: asyncio.Task[None] | None = None
        self._storing = asyncio.Lock()
        self._sure = False  # that the chain is where we believe
        self._stopped = False

    async def record(self, entries: Sequence[Entry]) -> None:
        """Return once the entries are durable. Raises Unavailable (503): then the request must not be answered."""
        if not entries:
            return
        if self._stopped or len(self._queue) >= self._max_pending:
            raise Unavailable("The audit trail takes no more entries now.", headers=RETRY_AFTER)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._queue.append((entries, future))
        if self._runner is None:
            self._runner = loop.create_task(self._run())
        # A caller that goes away takes nothing back: what it asked for was done.
        await future

    async def store(self, lines: Lines) -> None:
        """Return once this group is durable, as `record` does with entries that are in no group yet."""
        if self._stopped:
            raise Unavailable("The audit trail takes no more entries now.", headers=RETRY_AFTER)
        try:
            await self._store_group(lines)
        except Exception as error:
            raise _failed(error) from None

    async def stop(self) -> None:
        """Store what was accepted, take no more, and close the chain."""
        self._stopped = True
        while self._runner is not None:
            await asyncio.wait([self._runner])
        try:
            await self._chain.close()
        except PyMongoError as error:  # another process does it
            log.warning("audit chain not closed", exception=type(error).__name__)

    async def _run(self) -> None:
        try:
            while self._queue:
                waiting = self._take()
                failure: Exception | None = None
                try:
                    for lines in gathered(entry for entries, _ in waiting for entry in entries):
                        await self._store_group(lines)
                except Exception as error:
                    failure = _failed(error)
                _tell(waiting, failure)
        except BaseException:
            _tell(self._queue, Unavailable("The server is stopping."))
            self._queue.clear()
            raise
        finally:
            self._runner = None

    def _take(self) -> list[Waiting]:
        waiting: list[Waiting] = []
        count = 0
        while self._queue and count < MAX_ENTRIES:
            waiting.append(self._queue.popleft())
            count += len(waiting[-1][0])
        return waiting

    async def _store_group(self, lines: Lines) -> None:
        """Store one group durably, after those before; PyMongoError when that does not succeed in time."""
        async with self._storing:
            await self._attempts(lines)

    async def _attempts(self, lines: Lines) -> None:
        deadline = asyncio.get_running_loop().time() + PATIENCE
        made: Document | None = None
        while True:
            try:
                if not self._sure:
                    await self._chain.settle()
                    self._sure, made = True, None
                made = made or self._chain.next(lines)
                if await self._insert(made):
                    self._chain.take(made)
                    return
                self._sure = False  # somebody closed the chain
            except PyMongoError:
                if asyncio.get_running_loop().time() > deadline:
                    self._sure = False
                    raise
                await asyncio.sleep(0.1)  # and the same group again: its id tells whether it is there already

    async def _insert(self, made: Document) -> bool:
        """Whether the group is there, by this attempt or by one whose answer was lost."""
        try:
            await self._store.groups.insert_one(made)
        except DuplicateKeyError:
            return await self._store.durable(made)
        return True


def _failed(error: Exception) -> FhirError:
    log.error("audit entries not stored", exception=type(error).__name__)
    return Unavailable("The audit trail cannot be written.", headers=RETRY_AFTER)


def _tell(waiting: Sequence[Waiting] | deque[Waiting], failure: Exception | None) -> None:
    for _, future in waiting:
        if future.done():
            continue  # its caller went away
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)
