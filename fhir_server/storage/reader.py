"""Reads by id that run at the same time share one query, and each caller gets its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fhir_server.storage.stored import Stored, from_document

Document = dict[str, Any]
PROJECTION = {"j": 1, "v": 1, "u": 1, "t": 1, "d": 1, "e": 1, "ek": 1}
# With all that a condition on a stored document may ask about (search/compile.py).
JUDGED = PROJECTION | {"ty": 1, "k": 1, "r": 1, "f": 1, "w": 1, "g": 1}


class Reader:
    """Gathers the ids asked for while earlier queries are under way and sends them as one `$in`.

    Nobody joins a query that is already on its way, so a caller always sees what was committed
    before it asked.
    """

    def __init__(self, query: Callable[[list[str]], Any], *, lanes: int = 2, width: int = 200) -> None:
        self._query = query
        self._lanes = lanes
        self._width = width
        self._busy = 0
        self._waiting: dict[str, asyncio.Future[Stored | None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def read(self, key: str) -> asyncio.Future[Stored | None]:
        """The current version of "Type/id", a deletion included; None when it never was."""
        future = self._waiting.get(key)
        if future is None:
            loop = asyncio.get_running_loop()
            future = self._waiting[key] = loop.create_future()
            if self._busy < self._lanes:
                self._busy += 1
                task = loop.create_task(self._drain())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        # Shielded: one caller that goes away must not take the answer from the others.
        return asyncio.shield(future)

    async def _drain(self) -> None:
        try:
            while self._waiting:
                if len(self._waiting) <= self._width:
                    batch, self._waiting = self._waiting, {}
                else:
                    batch = {key: self._waiting.pop(key) for key in list(self._waiting)[: self._width]}
                await self._answer(batch)
        finally:
            self._busy -= 1

    async def _answer(self, batch: dict[str, asyncio.Future[Stored | None]]) -> None:
        try:
            documents: list[Document] = await self._query(list(batch))
            found = {document["_id"]: from_document(document) for document in documents}
        except BaseException as error:
            for future in batch.values():
                if not future.done():
                    future.set_exception(error)
                    future.exception()  # a caller that went away leaves nobody to look at it
            if not isinstance(error, Exception):
                raise
            return
        for key, future in batch.items():
            if not future.done():
                future.set_result(found.get(key))
