"""One file into the server: chunk by chunk in transactions, each with a marker that says how far the load is.

The marker is part of the transaction: whatever ends a load, the next one goes on behind the last chunk that
is there, and nothing is stored twice.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from pymongo.errors import PyMongoError

from fhir_server.cli.loading.entries import Item, Unloadable, chunks
from fhir_server.cli.loading.report import Advanced, Earlier, Event, Refused, Stored
from fhir_server.cli.loading.sources import Source
from fhir_server.context import FhirRequest, FhirResponse
from fhir_server.json import InvalidJson, decode
from fhir_server.outcomes import FhirError, Issue

if TYPE_CHECKING:
    from fhir_server.main import Server

Json = dict[str, Any]

PATIENCE = 60.0  # seconds to wait for a database that went away
ATTEMPTS = 10  # when others write the same at the same time
ROUNDS = 3  # transactions without the entries that the one before named, until each is tried alone
_AGAIN = {409, 429, 503}
_ENTRY = re.compile(r"Bundle\.entry\[(\d+)\]")
_IN_ENTRY = re.compile(r"^Bundle\.entry\[\d+\]\.resource\b")


def marker_of(source: Source, if_none_exist: bool) -> str:
    """The id of the marker that says how far the load of this file is."""
    return f"load:{source.fingerprint(if_none_exist)}"


@dataclass(slots=True)
class Load:
    """The load of one file; `stopping` is asked between chunks.

    Everything before `next` is decided, save the places in `open`; `refused` of it were refused.
    """

    server: Server
    source: Source
    if_none_exist: bool
    tell: Callable[[Event], None]
    stopping: Callable[[], bool]
    next: int = 0
    open: set[int] = field(default_factory=set)
    refused: int = 0

    async def run(self) -> bool:
        """Whether the file was dealt with to its end; raises PyMongoError when the database stays away."""
        marker = await self.server.marker(self._marker_id) or {}
        self.next, self.open, self.refused = (
            marker.get("next", 0),
            set(marker.get("open", ())),
            marker.get("refused", 0),
        )
        refused_earlier, earlier, read = self.refused, 0, 0
        try:
            for chunk in chunks(self.source, self.server.settings.max_bundle_entries, self.if_none_exist):
                if self.stopping():
                    return False
                left = [item for item in chunk.items if item.place >= self.next or item.place in self.open]
                earlier += len(chunk.items) - len(left)
                if left:
                    await self._store(left, chunk.atomic)
                self.tell(Advanced(chunk.position - read))
                read = chunk.position
        except (InvalidJson, Unloadable) as wrong:
            self.tell(Refused(self.source.path, "the file", (str(wrong),)))
        except (OSError, EOFError, zlib.error) as error:
            self.tell(Refused(self.source.path, "the file", (f"It cannot be read ({type(error).__name__}).",)))
        self.tell(Advanced(self.source.size - read))
        if earlier:
            self.tell(Earlier(earlier - refused_earlier, refused_earlier))
        return True

    async def _store(self, items: list[Item], atomic: bool) -> None:
        self.next = max(self.next, items[-1].place + 1)
        self.open.update(item.place for item in items)
        wrong = [item for item in items if item.problem]
        for item in wrong:
            self._report(item.label, (item.problem,))
        if not atomic:
            self._settle_refused(wrong)
            await self._each([item for item in items if not item.problem])
        elif wrong or not await self._all(items):
            self._settle_refused(items)

    async def _all(self, items: list[Item]) -> bool:
        """Store all entries or none; whether they were stored."""
        try:
            await self._transaction(items)
        except FhirError as error:
            self._report_error(items, error)
            return False
        return True

    async def _each(self, items: list[Item]) -> None:
        """Store entries that are independent of one another: as many as possible together, then the others alone."""
        alone: list[Item] = []
        for _ in range(ROUNDS):
            if not items:
                break
            try:
                await self._transaction(items)
                items = []
            except FhirError as error:
                named = _named(error) or set(range(len(items)))
                alone += [item for index, item in enumerate(items) if index in named]
                items = [item for index, item in enumerate(items) if index not in named]
        for item in alone + items:
            if not await self._all([item]):
                self._settle_refused([item])

    async def _transaction(self, items: list[Item]) -> None:
        """Store entries together with the marker that says so; raises FhirError when they are refused."""
        left = self.open - {item.place for item in items}
        marker = {"next": self.next, "open": sorted(left), "refused": self.refused}
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [item.entry for item in items]}
        outcomes = await self._persist(bundle, marker)
        self.open = left
        if outcomes is None:
            # It is there, and what the server said is not known: what each entry asked for, then.
            outcomes = ["updated" if item.entry["request"]["method"] == "PUT" else "created" for item in items]
        counted = ((item.type, outcome) for item, outcome in zip(items, outcomes, strict=True) if outcome)
        self.tell(Stored(Counter(counted)))

    async def _persist(self, bundle: Json, marker: Json) -> list[str] | None:
        """The outcome of each entry; None when only the marker tells that all of it is there."""
        deadline = time.monotonic() + PATIENCE
        for attempt in count(1):
            ctx = self.server.context()
            ctx.state["marker"] = (self._marker_id, marker)
            try:
                response = await ctx.dispatch(ctx, FhirRequest("POST", "", body=bundle))
                return _outcomes(bundle, response)
            except FhirError as error:
                if error.status not in _AGAIN or attempt == ATTEMPTS:
                    raise
            except PyMongoError:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(random.uniform(0.5, 1) * min(0.05 * 2**attempt, 2))
            if await self._is_there(marker):
                return None
        raise AssertionError

    async def _is_there(self, marker: Json) -> bool:
        try:
            found = await self.server.marker(self._marker_id)
        except PyMongoError:
            return False
        return found is not None and all(found.get(name) == value for name, value in marker.items())

    @property
    def _marker_id(self) -> str:
        return marker_of(self.source, self.if_none_exist)

    def _settle_refused(self, items: list[Item]) -> None:
        self.open.difference_update(item.place for item in items)
        self.refused += len(items)
        if items:
            self.tell(Stored(Counter((item.type, "refused") for item in items)))

    def _report_error(self, items: list[Item], error: FhirError) -> None:
        by_label: dict[str, list[str]] = {}
        for issue in error.issues:
            index = 0 if len(items) == 1 else _index(issue)
            item = items[index] if index is not None and index < len(items) else None
            by_label.setdefault(item.label if item else "the Bundle", []).append(_sentence(issue, item))
        for label, issues in by_label.items():
            self._report(label, tuple(issues))

    def _report(self, label: str, issues: tuple[str, ...]) -> None:
        self.tell(Refused(self.source.path, label, issues))


def _outcomes(bundle: Json, response: FhirResponse) -> list[str]:
    answered = decode(response.text) if response.text is not None else response.resource or {}
    pairs = zip(bundle["entry"], answered["entry"], strict=True)
    return [_outcome(asked["request"]["method"], entry["response"]["status"][:3]) for asked, entry in pairs]


def _outcome(method: str, status: str) -> str:
    """What became of an entry; "" for one that only reads."""
    if status == "201":
        return "created"
    return {"POST": "already there", "PUT": "updated", "PATCH": "updated", "DELETE": "deleted"}.get(method, "")


def _index(issue: Issue) -> int | None:
    """Which entry an issue names."""
    found = _ENTRY.match(issue.expression[0]) if issue.expression else None
    return int(found[1]) if found else None


def _named(error: FhirError) -> set[int]:
    return {index for issue in error.issues if (index := _index(issue)) is not None}


def _sentence(issue: Issue, item: Item | None) -> str:
    """What is wrong, with the rule's code and the place in the resource."""
    places = [_IN_ENTRY.sub(item.type if item else "resource", place) for place in issue.expression]
    where = ", ".join(place for place in places if not _ENTRY.fullmatch(place))
    return f"{issue.diagnostics} [{issue.code}{', ' + where if where else ''}]"
