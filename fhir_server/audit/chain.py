"""One chain: the groups of one process and kind, each bound to the one before by its hash.

It begins at the anchor of that moment and ends with a closing group, which it gets from its process, or from another
one once that is dead.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any

from pymongo.errors import DuplicateKeyError

from fhir_server.audit import group
from fhir_server.audit.entry import Entry
from fhir_server.audit.lines import Lines, gathered
from fhir_server.audit.store import Store

Document = dict[str, Any]


class Chain:
    """Where the next group of this process goes. Only `take` moves it: what was not stored leaves no hole."""

    def __init__(self, store: Store, key: bytes, kind: str, now: Callable[[], int]) -> None:
        self._store = store
        self._key = key
        self._kind = kind  # one letter
        self._now = now
        self.name = ""  # begins with the time, so that chains sort by it; empty before the first group
        self._sequence = 0
        self._head = b""
        self._last = 0

    async def open(self) -> None:
        """Begin anew, at the last anchor."""
        anchor = await self._store.last_anchor()
        at = self._now()
        self.name = f"{at // 1000:011x}{secrets.token_hex(4)}{self._kind}"
        self._sequence, self._head, self._last = 0, bytes(anchor["h"]) if anchor else b"", at
        await self._store.chains.insert_one({"_id": self.name, "by": self._store.incarnation, "n": 0, "done": False})

    def next(self, lines: Lines) -> Document:
        """The next group, as it will be stored."""
        return group.document(self._key, self.name, self._sequence + 1, self._head, self._stamp(), lines)

    def following(self, entries: Sequence[Entry]) -> list[Document]:
        """The next groups, as many as are needed for the entries, stored all or none."""
        made: list[Document] = []
        sequence, head = self._sequence, self._head
        for lines in gathered(entries):
            sequence += 1
            made.append(group.document(self._key, self.name, sequence, head, self._stamp(), lines))
            head = made[-1]["h"]
        return made

    def _stamp(self) -> int:
        self._last = max(self._now(), self._last + 1)
        return self._last

    def take(self, stored: Document) -> None:
        """Go on after this group, which is durable."""
        _, self._sequence = group.place(stored["_id"])
        self._head = bytes(stored["h"])

    async def settle(self) -> None:
        """Learn from the database where the chain is; begin one when there is none, or when it was closed."""
        last = await self._store.last(self.name) if self.name else None
        if not self.name or (last is not None and last["e"] == group.CLOSED):
            await self.open()
        elif last is not None:
            self.take(last)

    async def close(self) -> None:
        """Let nothing follow."""
        if self.name:
            await close(self._store, self._key, self.name, self._stamp())


async def close(store: Store, key: bytes, chain: str, at: int) -> None:
    """Put the closing group behind a chain."""
    while True:
        last = await store.last(chain)
        if last is not None and last["e"] == group.CLOSED:
            return
        if last is not None:
            sequence, head = group.place(last["_id"])[1], bytes(last["h"])
        else:
            anchor = await store.last_anchor()
            sequence, head = 0, bytes(anchor["h"]) if anchor else b""
        try:
            await store.groups.insert_one(group.closing(key, chain, sequence + 1, head, at))
            return
        except DuplicateKeyError:
            continue  # it was alive after all, or another process closes it as well
