"""Entries on their way to the database: in a file of the data directory before the answer goes out.

What is in the file survives the end of this process, however it ends, and of the database; a moment later it is in the
database for good and the file is gone. Only a machine that loses power takes the last moments with it, unless
FHIR_AUDIT_WAIT lets every answer wait for the database. docs/audit.md
"""

from __future__ import annotations

import asyncio
import fcntl
import mmap
import os
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from fhir_server.audit.entry import Entry
from fhir_server.audit.lines import MAX_BYTES, Lines, gathered, salvaged
from fhir_server.outcomes import FhirError, Unavailable

log = structlog.get_logger(__name__)

Store = Callable[[Lines], Awaitable[None]]
SECONDS = 1.0  # between two journeys to the database
_SPARE = 8  # files that are kept to be used again
_RETRY = {"Retry-After": "1"}


@dataclass(slots=True)
class File:
    """One group in the making: what is written to its memory outlives the process, without a call of the system."""

    path: Path
    descriptor: int  # locked, so that the next process knows that this one lives
    memory: mmap.mmap
    lines: Lines = field(default_factory=Lines)

    def add(self, entry: Entry, data: bytes) -> bool:
        """Write the entry; False when there is no room for it."""
        lines = self.lines
        at = lines.size
        if at + len(data) > len(self.memory) or not lines.add(entry, data):
            return False
        self.memory[at : lines.size] = data
        return True

    def clear(self) -> None:
        """Forget what is in the database, and be as new: memory that was used already is much cheaper to write to."""
        self.memory[: self.lines.size] = bytes(self.lines.size)
        self.lines = Lines()

    def close(self) -> None:
        """Let go of the file; it stays when it holds something."""
        if not self.lines.entries:
            self.path.unlink(missing_ok=True)
        self.memory.close()
        os.close(self.descriptor)


class Spool:
    """A file for each group: `append` writes to the present one, the job takes all to the database.

    `store` makes a group durable there. Files of processes that are gone are found by their locks.
    """

    def __init__(self, folder: Path, store: Store, *, max_pending: int) -> None:
        self._folder = folder
        self._store = store
        self._max_pending = max_pending
        self._waiting = 0  # entries in full files
        self._full: deque[File] = deque()  # the oldest first
        self._file: File | None = None
        self._spare: list[File] = []  # empty ones
        self._shipping = asyncio.Lock()
        self._job: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Bring what processes before us left behind, and be ready."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._recover()
        self._file = self._new(MAX_BYTES)
        self._job = asyncio.create_task(self._run())

    def append(self, entries: Sequence[Entry]) -> None:
        """Return when no end of this process can lose them. Raises Unavailable (503): then nothing may be answered."""
        file = self._file
        if file is None or self._waiting + len(file.lines.entries) >= self._max_pending:
            raise Unavailable("The audit trail takes no more entries now.", headers=_RETRY)
        for entry in entries:
            if not file.add(entry, file.lines.encode(entry)):
                data = Lines().encode(entry)
                file = self._turn(max(MAX_BYTES, len(data)))
                file.add(entry, data)

    async def stop(self) -> None:
        """Bring what is left; what the database does not take stays in its file for the next process."""
        if self._job is not None:
            async with self._shipping:  # a journey that is under way is not given up
                self._job.cancel()
            with suppress(asyncio.CancelledError):
                await self._job
        with suppress(FhirError):
            await self.ship()
        for file in (*self._full, *self._spare, *([self._file] if self._file is not None else [])):
            file.close()
        self._full.clear()
        self._spare.clear()
        self._file = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(SECONDS)
            try:
                await self.ship()
            except FhirError as error:
                log.warning("audit entries wait", exception=type(error).__name__, count=self._waiting)

    async def ship(self) -> None:
        """Take all entries to the database; a failure leaves them where they are."""
        async with self._shipping:
            await self._journey()  # of the full files first: they make room for a new one
            if self._file is not None and self._file.lines.entries:
                self._turn(MAX_BYTES)
                await self._journey()

    async def _journey(self) -> None:
        for file in list(self._full):
            # Given up meanwhile, it stays, and the next journey brings it, perhaps once more.
            await asyncio.shield(self._store(file.lines))
            self._full.popleft()
            self._waiting -= len(file.lines.entries)
            if not file.memory.closed and len(file.memory) == MAX_BYTES and len(self._spare) < _SPARE:
                file.clear()
                self._spare.append(file)
            else:
                file.lines = Lines()
                file.close()

    def _turn(self, size: int) -> File:
        """Begin a new file; raises Unavailable (503) when there is no room for one, and the present one stays."""
        new = self._spare.pop() if self._spare and size == MAX_BYTES else self._new(size)
        before, self._file = self._file, new
        if before is not None and before.lines.entries:
            if len(self._full) >= _SPARE:
                before.memory.close()  # an open file less, while the database is away
            self._full.append(before)
            self._waiting += len(before.lines.entries)
        elif before is not None:
            before.close()
        return self._file

    def _new(self, size: int) -> File:
        path = self._folder / f"{secrets.token_hex(8)}.entries"
        descriptor = -1
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # The room is taken now: a disk that is full later could not be told of.
            os.posix_fallocate(descriptor, 0, size)
            return File(path, descriptor, mmap.mmap(descriptor, size))
        except OSError as error:
            log.error("audit entries not written", exception=type(error).__name__)
            path.unlink(missing_ok=True)
            if descriptor >= 0:
                os.close(descriptor)
            raise Unavailable("The audit trail cannot be written.", headers=_RETRY) from None

    async def _recover(self) -> None:
        for path in sorted(self._folder.glob("*.entries")):
            with path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue  # its process lives
                # What was not written yet is zero bytes.
                entries = salvaged(file.read().rstrip(b"\0"))
                if entries:
                    log.warning("audit entries of a process that ended", count=len(entries))
                for lines in gathered(entries):
                    await self._store(lines)
                path.unlink(missing_ok=True)
