"""Entries on their way to the database: in a file of the data directory before the answer goes out.

What is in the file survives the end of this process, however it ends, and of the database; a few moments later it is
in the database for good and the file is gone. Only a machine that loses power takes the last moments with it, unless
FHIR_AUDIT_WAIT lets every answer wait for the database. docs/audit.md
"""

from __future__ import annotations

import asyncio
import fcntl
import mmap
import os
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog

from fhir_server.audit.entry import Entry
from fhir_server.outcomes import FhirError, Unavailable

log = structlog.get_logger(__name__)

Record = Callable[[Sequence[Entry]], Awaitable[None]]
SECONDS = 0.25  # between two journeys to the database
SIZE = 4 * 1024 * 1024  # of a file: what is written to its memory outlives the process, without a call of the system
_RETRY = {"Retry-After": "1"}
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Entry).decode


class Spool:
    """One file for each journey: `append` writes to the present one, the job takes the entries of the one before.

    `record` makes entries durable in the database. Files of processes that are gone are found by their locks.
    """

    def __init__(self, folder: Path, record: Record, *, max_pending: int) -> None:
        self._folder = folder
        self._record = record
        self._max_pending = max_pending
        self._pending: list[Entry] = []
        self._descriptor, self._path = -1, folder
        self._map, self._at = mmap.mmap(-1, 1), 1
        self._left: list[tuple[Path, int]] = []  # files whose entries are not in the database yet
        self._shipping = asyncio.Lock()
        self._job: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Bring what processes before us left behind, and be ready."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._recover()
        self._turn()
        self._job = asyncio.create_task(self._run())

    def append(self, entries: Sequence[Entry]) -> None:
        """Return when no end of this process can lose them. Raises Unavailable (503): then nothing may be answered."""
        if len(self._pending) >= self._max_pending:
            raise Unavailable("The audit trail takes no more entries now.", headers=_RETRY)
        # A line break before each entry, too: what was cut short spoils only itself.
        data = b"".join([b"\n%b\n" % _encoded(entry) for entry in entries])
        end = self._at + len(data)
        if end > len(self._map):
            self._turn(len(data))
            end = self._at + len(data)
        self._map[self._at : end] = data
        self._at = end
        self._pending.extend(entries)

    async def stop(self) -> None:
        """Bring what is left; what the database does not take stays in its file for the next process."""
        if self._job is not None:
            self._job.cancel()
            with suppress(asyncio.CancelledError):
                await self._job
        with suppress(FhirError):
            await self.ship()
        for path, descriptor in [*self._left, (self._path, self._descriptor)]:
            if not self._pending:
                path.unlink(missing_ok=True)
            os.close(descriptor)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(SECONDS)
            try:
                await self.ship()
            except FhirError as error:
                log.warning("audit entries wait", exception=type(error).__name__, count=len(self._pending))

    async def ship(self) -> None:
        """Take the entries of the present file to the database; a failure leaves them where they are."""
        async with self._shipping:
            await self._journey()

    async def _journey(self) -> None:
        if not self._pending:
            return
        self._turn()
        taken, self._pending = self._pending, []
        old, self._left = self._left, []
        try:
            await asyncio.shield(self._record(taken))
        except BaseException:
            # Their files stay until the next journey has brought them.
            self._pending, self._left = taken + self._pending, old + self._left
            raise
        for path, descriptor in old:
            path.unlink(missing_ok=True)
            os.close(descriptor)

    def _turn(self, least: int = 0) -> None:
        """Begin a new file; raises Unavailable (503) when there is no room for one, and the present one stays."""
        before, size = (self._path, self._descriptor), max(SIZE, least)
        path = self._folder / f"{secrets.token_hex(8)}.entries"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # The room is taken now: a disk that is full later could not be told of.
            os.posix_fallocate(descriptor, 0, size)
            self._map, self._at = mmap.mmap(descriptor, size), 0
        except OSError as error:
            log.error("audit entries not written", exception=type(error).__name__)
            path.unlink(missing_ok=True)
            raise Unavailable("The audit trail cannot be written.", headers=_RETRY) from None
        self._path, self._descriptor = path, descriptor
        if before[1] >= 0:
            self._left.append(before)

    async def _recover(self) -> None:
        for path in sorted(self._folder.glob("*.entries")):
            with path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue  # its process lives
                # What was not written yet is zero bytes.
                lines = file.read().rstrip(b"\0").split(b"\n")
                entries = [entry for line in lines if (entry := _decoded(line)) is not None]
                if entries:
                    log.warning("audit entries of a process that ended", count=len(entries))
                    await self._record(entries)
                path.unlink(missing_ok=True)


def _encoded(entry: Entry) -> bytes:
    try:
        return _encode(entry)
    except UnicodeEncodeError:  # half a surrogate pair in a query
        entry.query = entry.query.encode(errors="replace").decode()
        return _encode(entry)


def _decoded(line: bytes) -> Entry | None:
    """The entry of a line; None for what a full disk left of one."""
    try:
        return _decode(line) if line else None
    except msgspec.DecodeError:
        return None
