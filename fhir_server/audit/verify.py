"""Is the trail as it was written? Every anchor and every group is sealed anew and held against its neighbours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from fhir_server.audit import anchors, group, lines
from fhir_server.audit.entry import Entry
from fhir_server.audit.store import Store

Document = dict[str, Any]
What = Literal["altered", "missing", "inserted", "reordered", "tail cut"]

MAX_BREAKS = 20  # that are told; one for each chain
_BATCH = 100
ANCHORS = "anchors"  # what a break calls the chain of anchors


@dataclass(frozen=True, slots=True)
class Break:
    """Where a chain is not as it was written first, and how."""

    chain: str
    sequence: int
    what: What


@dataclass(slots=True)
class Report:
    """How much was looked at, and what is wrong: nothing when `ok`."""

    anchors: int = 0
    chains: int = 0
    groups: int = 0
    entries: int = 0
    unsigned: int = 0  # groups behind the last anchor
    last_anchor: tuple[int, str] | None = None  # number, hash in hex
    breaks: list[Break] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.breaks


class Verification:
    """One walk over the trail, with the keys that may have sealed it and the anchor that was noted outside of it."""

    def __init__(self, store: Store, keys: Sequence[bytes], witness: Path | None = None) -> None:
        self._store = store
        self._keys = keys
        self._witness = witness
        self._signed: dict[str, dict[int, str]] = {}  # chain → sequence → hash
        self._origins: set[bytes] = {b""}  # hashes of anchors, where chains begin
        self.report = Report()

    async def run(self) -> Report:
        """Walk all anchors, then all chains: what an anchor signs for was there before it."""
        noted = anchors.witnessed(self._witness) if self._witness is not None else None
        await self._anchors(noted)
        found: set[str] = set()
        async for chain in self._chains():
            found.add(chain)
            if len(self.report.breaks) < MAX_BREAKS:
                await self._chain(chain)
        for chain in sorted(self._signed.keys() - found):
            self._broken(chain, 1, "missing")
        return self.report

    def _broken(self, chain: str, sequence: int, what: What) -> None:
        if len(self.report.breaks) < MAX_BREAKS:
            self.report.breaks.append(Break(chain, sequence, what))

    # ---- anchors ---------------------------------------------------------------------------------------

    async def _anchors(self, noted: tuple[int, str] | None) -> None:
        before, number = b"", 0
        async for anchor in self._store.anchors.find({}, sort=[("_id", 1)], batch_size=_BATCH):
            number += 1
            if anchor["_id"] != number:
                self._broken(ANCHORS, number, "missing")
                number = anchor["_id"]
            elif anchors.sealed_by(self._keys, anchor) is None or bytes(anchor["p"]) != before:
                self._broken(ANCHORS, number, "altered")
            before = bytes(anchor["h"])
            self._origins.add(before)
            self.report.anchors += 1
            if noted is not None and noted[0] == number and noted[1] != before.hex():
                self._broken(ANCHORS, number, "altered")
            for chain, sequence, sealed in _heads(anchor):
                self._signed.setdefault(chain, {})[sequence] = sealed
        self.report.last_anchor = (number, before.hex()) if number else None
        if noted is not None and noted[0] > number:
            self._broken(ANCHORS, number + 1, "tail cut")

    # ---- chains ----------------------------------------------------------------------------------------

    async def _chains(self) -> AsyncIterator[str]:
        """Every chain that has groups, by jumping over the index."""
        after = ""
        while True:
            first = await self._store.groups.find_one({"_id": {"$gt": after}}, {"_id": 1}, sort=[("_id", 1)])
            if first is None:
                return
            chain = str(first["_id"]).partition("/")[0]
            yield chain
            after = f"{chain}0"  # the character after "/"

    async def _chain(self, chain: str) -> None:
        self.report.chains += 1
        signed = self._signed.get(chain, {})
        last = max(signed, default=0)
        sequence, before, closed = 0, b"", False
        within = {"_id": {"$gt": f"{chain}/", "$lt": f"{chain}0"}}
        async for one in self._store.groups.find(within, sort=[("_id", 1)], batch_size=_BATCH):
            sequence += 1
            what = await self._wrong(one, chain, sequence, before, closed=closed)
            if what is None and signed.get(sequence, bytes(one["h"]).hex()) != bytes(one["h"]).hex():
                what = "altered"
            if what is not None:
                self._broken(chain, sequence, what)
                return
            before, closed = bytes(one["h"]), one["e"] == group.CLOSED
            self.report.groups += 1
            self.report.unsigned += sequence > last
        if sequence < last:
            self._broken(chain, sequence + 1, "tail cut")

    async def _wrong(self, one: Document, chain: str, sequence: int, before: bytes, *, closed: bool) -> What | None:
        """What is wrong with the group that comes at this place, behind the one with the hash `before`."""
        if closed:
            return "inserted"
        try:
            _, actual = group.place(one["_id"])
        except ValueError:
            return "inserted"
        if actual != sequence:
            return "missing"
        if group.sealed_by(self._keys, one) is None:
            return await self._why(one, chain, sequence, before)
        follows = await self._begins(bytes(one["p"])) if sequence == 1 else bytes(one["p"]) == before
        if not follows:
            return "altered"
        entries = _entries(one)
        if entries is None or not _found_by(entries, one["k"]):
            return "altered"
        self.report.entries += len(entries)
        return None

    async def _begins(self, before: bytes) -> bool:
        """Whether this is an anchor's hash, be it one that was made while we walk."""
        if before not in self._origins and await self._store.anchors.find_one({"h": before}, {"_id": 1}):
            self._origins.add(before)
        return before in self._origins

    async def _why(self, one: Document, chain: str, sequence: int, before: bytes) -> What:
        """What was done to a group that is not as it was sealed."""
        within = {"_id": {"$gt": f"{chain}/", "$lt": f"{chain}0"}}
        origin = await self._store.groups.find_one({**within, "h": one.get("p")}, {"_id": 1})
        places = [group.place(origin["_id"])[1] + 1] if origin is not None else [1]
        # One that was taken out and put in elsewhere still says what it followed.
        for place in [*places, sequence + 1, sequence - 1]:
            if place != sequence and group.sealed_by(self._keys, one, group.name(chain, place)) is not None:
                return "inserted" if place == sequence - 1 else "reordered"
        after = await self._store.groups.find_one({"_id": group.name(chain, sequence + 1)})
        if after is not None and bytes(after["p"]) == before:
            return "inserted"
        return "altered" if after is not None or sequence in self._signed.get(chain, {}) else "inserted"


def _heads(anchor: Mapping[str, Any]) -> list[anchors.Head]:
    try:
        return anchors.heads(anchor)
    except (msgspec.DecodeError, TypeError, KeyError):
        return []  # it was found to be altered already


def _found_by(entries: list[Entry], keys: Any) -> bool:
    """Whether these are the keys of the entries; earlier versions had their names."""
    if isinstance(keys, list) and all(isinstance(key, str) for key in keys):
        return lines.names(entries) <= set(keys)
    return bool(lines.keys(entries) == keys)


def _entries(one: Mapping[str, Any]) -> list[Entry] | None:
    try:
        return lines.decode(one["e"])
    except msgspec.DecodeError:
        return None
