"""Whose pages may call from a browser: the registered origins, exactly as registered.

https://hl7.org/fhir/smart-app-launch/app-launch.html#considerations-for-cross-origin-resource-sharing-cors-support
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import monotonic

import structlog
from pymongo.errors import PyMongoError

from fhir_server.storage.database import Database

log = structlog.get_logger(__name__)

SECONDS = 0.5  # that a process may be late to learn of another origin: a browser's rule, and no right to data


class Origins:
    """Those of all active clients; `origin in origins` is answered without waiting, as it was a moment ago."""

    def __init__(self, database: Database) -> None:
        self._rows = database.system["auth_clients"]
        self._known: frozenset[str] = frozenset()
        self._bytes: frozenset[bytes] = frozenset()
        self._read = -SECONDS
        self._job: asyncio.Task[None] | None = None

    def __contains__(self, origin: object) -> bool:
        return origin in self._bytes

    async def read(self) -> frozenset[str]:
        """Those of now, give or take SECONDS."""
        if monotonic() - self._read > SECONDS:
            await self._look()
        return self._known

    async def start(self) -> None:
        """Follow them until `stop`."""
        await self._look()
        self._job = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Follow no longer."""
        if self._job is not None:
            self._job.cancel()
            with suppress(asyncio.CancelledError):
                await self._job

    async def _look(self) -> None:
        began = monotonic()
        self._known = frozenset(await self._rows.distinct("origins", {"active": True}))
        self._bytes = frozenset(origin.encode() for origin in self._known)
        self._read = began

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(SECONDS)
            try:
                await self._look()
            except PyMongoError as error:
                log.warning("origins not followed", exception=type(error).__name__)
