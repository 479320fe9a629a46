"""Anchors: signed statements of how far every chain has come, each bound to the one before.

{_id: number, t: microseconds, p: hash of the anchor before, h: its own, e: [[chain, sequence, hash] …] as JSON text}

Every process may make the next one. The number is a unique id, so that only one can, and a process that was asleep
meanwhile finds its number taken.
"""

from __future__ import annotations

import asyncio
import hmac
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import structlog
from bson.int64 import Int64
from pymongo import UpdateOne
from pymongo.errors import DuplicateKeyError

from fhir_server.audit import group
from fhir_server.audit.chain import close
from fhir_server.audit.store import Store

log = structlog.get_logger(__name__)

Document = dict[str, Any]
Head = tuple[str, int, str]  # chain, sequence, hash in hex

SECONDS = 5.0  # between two anchors, when something was recorded
_decode = msgspec.json.Decoder(list[Head]).decode


class Anchors:
    """What this process does for the anchors; `witness` is a file outside of the database that names the last one."""

    def __init__(
        self,
        store: Store,
        key: bytes,
        now: Callable[[], int],
        alive: Callable[[], Awaitable[list[str]]],
        witness: Path | None = None,
    ) -> None:
        self._store = store
        self._key = key
        self._now = now
        self._alive = alive
        self._witness = witness

    async def run(self) -> None:
        """Make the anchors that are due, until cancelled."""
        while True:
            await asyncio.sleep(SECONDS)
            try:
                await self.bury()
                await self.make()
            except Exception as error:
                log.warning("audit anchor not made", exception=type(error).__name__)

    async def first(self) -> None:
        """The anchor that the first chains begin at."""
        if await self._store.last_anchor() is None:
            await self._insert(1, b"", [])

    async def bury(self) -> None:
        """Close the chains of processes that are gone."""
        alive = await self._alive()
        gone = self._store.chains.find({"done": False, "by": {"$nin": [*alive, self._store.incarnation]}})
        async for chain in gone:
            await close(self._store, self._key, chain["_id"], self._now())

    async def make(self, *, period: float = SECONDS) -> int | None:
        """The next anchor; its number, or None when nothing is new or another process was quicker."""
        last = await self._store.last_anchor()
        if last is None or self._now() - last["t"] < (period - 0.5) * 1_000_000:
            return None
        heads: list[Head] = []
        changes: list[UpdateOne] = []
        async for chain in self._store.chains.find({"done": False}):
            end = await self._store.last(chain["_id"], settled=True)
            if end is None:
                continue
            _, sequence = group.place(end["_id"])
            if sequence > chain["n"]:
                heads.append((chain["_id"], sequence, bytes(end["h"]).hex()))
                told = {"n": sequence, "done": end["e"] == group.CLOSED}
                changes.append(UpdateOne({"_id": chain["_id"]}, {"$set": told}))
        number = int(last["_id"]) + 1
        if not heads or not await self._insert(number, bytes(last["h"]), heads):
            return None
        await self._store.chains.bulk_write(changes, ordered=False)
        return number

    async def _insert(self, number: int, before: bytes, heads: list[Head]) -> bool:
        at = self._now()
        text = msgspec.json.encode(heads).decode()
        sealed = seal(self._key, number, before, at, text)
        try:
            await self._store.anchors.insert_one(
                {"_id": Int64(number), "t": Int64(at), "p": before, "h": sealed, "e": text}
            )
        except DuplicateKeyError:
            return False
        if self._witness is not None:
            _note(self._witness, number, sealed)
        return True


def seal(key: bytes, number: int, before: bytes, at: int, text: str) -> bytes:
    """HMAC-SHA-256 over all that an anchor says; no group is ever taken for one."""
    return group.seal(key, f"anchor/{number}", before, at, text)


def sealed_by(keys: Iterable[bytes], anchor: Mapping[str, Any]) -> bytes | None:
    """The key that sealed the anchor; None when it is not as it was sealed."""
    try:
        content = (int(anchor["_id"]), bytes(anchor["p"]), int(anchor["t"]), anchor["e"])
        sealed = bytes(anchor["h"])
        return next((key for key in keys if hmac.compare_digest(seal(key, *content), sealed)), None)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def heads(anchor: Mapping[str, Any]) -> list[Head]:
    """How far the chains had come that had grown since the anchor before."""
    return _decode(anchor["e"])


def _note(path: Path, number: int, sealed: bytes) -> None:
    """Write down the anchor, so that a database put back to an earlier state is noticed."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(f"{number} {sealed.hex()}\n")
    temporary.replace(path)


def witnessed(path: Path) -> tuple[int, str] | None:
    """Number and hash (hex) of the anchor that was noted last; None when there is none."""
    try:
        number, sealed = path.read_text().split()
        return int(number), sealed
    except (OSError, ValueError):
        return None
