"""Who is told in passing of committed changes, in the process that leads: for what nobody misses when it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

import structlog

from fhir_server.change import Change
from subscriptions.failure import where

log = structlog.get_logger(__name__)

Listener = Callable[[Change], Awaitable[None]]
MOST = 10_000  # changes that wait for slow listeners; what comes then is not told


class Listeners:
    """Callbacks by resource type, called one after another in the order of commits; an error is logged."""

    def __init__(self) -> None:
        self.types: dict[str, list[Listener]] = {}
        self._waiting: asyncio.Queue[Change] = asyncio.Queue(MOST)
        self._teller: asyncio.Task[None] | None = None

    def add(self, types: Iterable[str], listener: Listener) -> None:
        """Have the listener told of every change of these types."""
        for type_ in types:
            self.types.setdefault(type_, []).append(listener)

    def tell(self, change: Change) -> None:
        """Tell them, sooner or later; never waits."""
        try:
            self._waiting.put_nowait(change)
        except asyncio.QueueFull:
            log.warning("listeners are too slow: a change is not told", type=change.type)

    def start(self) -> None:
        """Begin to tell."""
        self._teller = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Tell no more."""
        if self._teller is not None:
            self._teller.cancel()
            with suppress(asyncio.CancelledError):
                await self._teller
            self._teller = None

    async def _run(self) -> None:
        while True:
            change = await self._waiting.get()
            for listener in tuple(self.types.get(change.type, ())):
                try:
                    await listener(change)
                except Exception as error:
                    log.error("a listener failed", type=change.type, **where(error))
