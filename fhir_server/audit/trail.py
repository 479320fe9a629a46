"""The trail of one process: its two chains, the anchors, and where everything is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from fhir_server.audit import anchors
from fhir_server.audit.anchors import Anchors
from fhir_server.audit.chain import Chain
from fhir_server.audit.entry import Entry
from fhir_server.audit.key import read_keys
from fhir_server.audit.recorder import Recorder
from fhir_server.audit.spool import Spool
from fhir_server.audit.store import Store
from fhir_server.audit.writes import Writes
from fhir_server.storage.database import Database

log = structlog.get_logger(__name__)

KEY = "audit.key"  # files in the data directory
WITNESS = "audit.anchor"
SPOOL = "audit"  # a folder there


class Trail:
    """Give `writes` to the flusher and `record` whatever else happens; `stop` after the flusher's end.

    `alive` names the incarnations of the processes that live (storage/processes.py), `now` is the database's clock.
    With `wait`, entries are in the database before `record` returns, else in a file of the data directory (spool.py).
    """

    def __init__(
        self,
        database: Database,
        data_dir: Path,
        *,
        alive: Callable[[], Awaitable[list[str]]],
        now: Callable[[], int],
        key_file: Path | None = None,
        wait: bool = False,
        max_pending: int = 10_000,
    ) -> None:
        self.keys = read_keys(key_file or data_dir / KEY)
        self.store = Store(database)
        key = self.keys[0]
        self.recorder = Recorder(self.store, Chain(self.store, key, "r", now), max_pending=max_pending)
        self.writes = Writes(self.store, Chain(self.store, key, "w", now))
        self.anchors = Anchors(self.store, key, now, alive, data_dir / WITNESS)
        folder, most = data_dir / SPOOL, 20 * max_pending
        self._spool = None if wait else Spool(folder, self.recorder.store, max_pending=most)
        self._job: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Have the collections and a first anchor, and make anchors from now on."""
        await self.store.prepare()
        await self.anchors.first()
        last = await self.store.last_anchor()
        if last is not None and anchors.sealed_by(self.keys, last) is None:
            log.error("the audit trail was sealed with another key: all hosts must share the file", file=KEY)
        if self._spool is not None:
            await self._spool.start()
        self._job = asyncio.create_task(self.anchors.run())

    def note(self, entries: Sequence[Entry]) -> Awaitable[None] | None:
        """None once the entries are safe, or what is to be awaited until they are.

        Raises Unavailable (503), either of them, and then nothing may be answered.
        """
        if self._spool is None:
            return self.recorder.record(entries)
        self._spool.append(entries)
        return None

    async def record(self, entries: Sequence[Entry]) -> None:
        """Return once the entries are safe; raises Unavailable (503), and then nothing may be answered."""
        if (waiting := self.note(entries)) is not None:
            await waiting

    async def settle(self) -> None:
        """Return once all that this process has recorded is in the database. Raises Unavailable (503)."""
        if self._spool is not None:
            await self._spool.ship()

    async def stop(self) -> None:
        """Store what was accepted, close the chains and sign for them."""
        if self._job is not None:
            self._job.cancel()
            with suppress(asyncio.CancelledError):
                await self._job
        if self._spool is not None:
            await self._spool.stop()
        await self.recorder.stop()
        await self.writes.stop()
        try:
            await self.anchors.make(period=0)
        except Exception as error:
            log.warning("audit anchor not made", exception=type(error).__name__)
