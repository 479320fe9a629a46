"""What processes tell each other in passing, through a capped collection: hints, never the only trace of anything."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog
from pymongo import CursorType, WriteConcern
from pymongo.errors import PyMongoError

from fhir_server.storage.database import Collection, Database
from subscriptions.failure import where

log = structlog.get_logger(__name__)

Json = dict[str, Any]
Listener = Callable[[Json], None]
LOST = "lost"  # the kind that says: others may have told something that was not heard
_HELLO = "hello"
_AGAIN = 1.0  # seconds before the collection is followed again
_QUICK = WriteConcern(1, j=False)


class Signals:
    """`publish` reaches the listeners of every process, those of this one at once; order within a process is kept.

    A listener must not raise and must not wait. A listener of `lost` is told when signals may have been missed.
    `collection` is one of the capped ones of store.py.
    """

    def __init__(self, database: Database, collection: str = "signals") -> None:
        self._rows: Collection = database.system[collection].with_options(write_concern=_QUICK)
        self._name = secrets.token_hex(8)  # what we told ourselves comes back: it is known by this
        self._listeners: dict[str, list[Listener]] = {}
        self._follower: asyncio.Task[None] | None = None
        self._following = asyncio.Event()

    def listen(self, kind: str, listener: Listener) -> None:
        """Have the listener called with the data of each signal of the kind."""
        self._listeners.setdefault(kind, []).append(listener)

    def forget(self, kind: str, listener: Listener) -> None:
        """Call it no longer."""
        with suppress(ValueError):
            self._listeners.get(kind, []).remove(listener)

    async def publish(self, kind: str, data: Json) -> None:
        """Tell everybody. What BSON can hold; raises nothing: a hint that is lost is looked for later."""
        self._tell(kind, data)
        try:
            await self._rows.insert_one({"by": self._name, "kind": kind, "data": data})
        except Exception as error:  # what BSON cannot hold included
            log.warning("signal not sent", kind=kind, exception=type(error).__name__)

    async def start(self) -> None:
        """Follow the others' signals until `stop`; what is published after this has returned is heard."""
        self._follower = asyncio.create_task(self._follow())
        await self._following.wait()

    async def stop(self) -> None:
        """Follow no longer."""
        if self._follower is not None:
            self._follower.cancel()
            with suppress(asyncio.CancelledError):
                await self._follower
            self._follower = None

    def _tell(self, kind: str, data: Json) -> None:
        for listener in tuple(self._listeners.get(kind, ())):
            try:
                listener(data)
            except Exception as error:
                log.error("a listener of signals failed", kind=kind, **where(error))

    async def _follow(self) -> None:
        first = True
        while True:
            try:
                await self._tail(first)
            except PyMongoError as error:
                log.warning("signals not followed", exception=type(error).__name__)
                await asyncio.sleep(_AGAIN)
            first = False

    async def _tail(self, first: bool) -> None:
        """Follow one cursor until it ends: from a mark of our own on, behind which everything is new."""
        mark = secrets.token_hex(8)
        await self._rows.insert_one({"by": self._name, "kind": _HELLO, "data": {"mark": mark}})
        cursor = self._rows.find(cursor_type=CursorType.TAILABLE_AWAIT).max_await_time_ms(1000)
        behind = False
        try:
            while cursor.alive:
                async for row in cursor:
                    if behind:
                        if row["by"] != self._name:
                            self._tell(row["kind"], row["data"])
                    elif row["kind"] == _HELLO and row["data"]["mark"] == mark:
                        behind = True
                        self._following.set()
                        if not first:
                            self._tell(LOST, {})
        finally:
            await cursor.close()
