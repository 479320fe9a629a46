"""Subscribers who see certain patients only: their subscriptions are found by those patients' search keys.

A patient's "Observation?" would otherwise be judged at every change of an Observation. The keys come from the access
condition of the type. It is held against each event all the same, so that rights that have become fewer cost nothing
here; where they may become more, no keys are taken, or they are taken anew (`changed`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import structlog
from pymongo.errors import PyMongoError

from fhir_server.access import Principal
from fhir_server.access.roles import explain
from fhir_server.access.visibility import condition
from fhir_server.outcomes import Unavailable
from subscriptions.condition import are_of_patients, patients_keys
from subscriptions.failure import where
from subscriptions.index import Entry, Index
from subscriptions.rights import Rights

log = structlog.get_logger(__name__)

Json = dict[str, Any]
AT_ONCE = 4  # subscribers who are asked for at the same time
PAUSE = 1.0  # seconds after the database did not answer
SETTLED = 3.0  # seconds after which every process knows rights that have changed
GROWING = frozenset({"panel", "emergency"})  # filters of a role that open other patients from one moment to the next
RELATIONS = ("RelatedPerson", "Person")  # say which patients somebody acts for


def keys_of(principal: Principal, type_: str) -> frozenset[str] | None:
    """Keys of which whatever the principal may read of the type has one; None where no patients limit that for good."""
    if principal.is_open or _may_grow(principal, type_):
        return None
    wanted = condition(principal, type_, "r")
    patients = principal.own | ({principal.patient} if principal.patient else frozenset())
    return (patients_keys(wanted, patients) or None) if wanted else None


def _may_grow(principal: Principal, type_: str) -> bool:
    """Whether more patients come into the user's care without anything of the user's own being changed."""
    if all(scope.level == "patient" for scope in principal.scopes):
        return False
    lines = (line for role in principal.roles for line, _ in explain(principal, role, type_, "r"))
    return any(not GROWING.isdisjoint(line.filters) for line in lines)


class Reach:
    """Finds these keys in the background; what waits for its keys is judged at every change meanwhile."""

    def __init__(self, index: Index, rights: Rights) -> None:
        self._index = index
        self._rights = rights
        self._waiting: dict[str, Entry] = {}
        self._related: dict[str, str] = {}  # subscriptions that depend on RELATIONS, with their users
        self._settled = 0.0  # when, on the loop's clock, the last change of RELATIONS is known everywhere
        self._news = asyncio.Event()

    def expect(self, entry: Entry) -> None:
        """Find the keys of this entry, which was just taken in; not where its filters name a patient already."""
        if self._index.get(entry.id) is not entry:
            return
        self._related.pop(entry.id, None)
        if entry.owner and not all(_is_narrow(entry, type_) for type_ in entry.types):
            self._waiting[entry.id] = entry
            self._news.set()

    def changed(self, rows: list[Json]) -> None:
        """Judge by rights alone again, and find keys anew, where versions {ty, r} may let a subscriber see more."""
        relations = {row["r"] for row in rows if row["ty"] in RELATIONS}
        if not relations:
            return
        self._settled = asyncio.get_running_loop().time() + SETTLED
        for id_, user in tuple(self._related.items()):
            if user in relations or user.startswith("Person/"):  # a Person may stand for many
                del self._related[id_]
                if (entry := self._index.get(id_)) is not None:
                    entry.reach = {}
                    self._index.add(entry)
                    self._expect_later(entry)

    def _expect_later(self, entry: Entry) -> None:
        asyncio.get_running_loop().call_at(self._settled, self.expect, entry)

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            waiting, self._waiting = self._waiting, {}
            entries = iter(waiting.values())
            await asyncio.gather(*(self._work(entries) for _ in range(AT_ONCE)))

    async def _work(self, entries: Iterator[Entry]) -> None:
        for entry in entries:
            try:
                await self._find(entry)
            except (PyMongoError, Unavailable):
                self._waiting.setdefault(entry.id, entry)
                self._news.set()
                await asyncio.sleep(PAUSE)
            except Exception as error:  # then it is judged at every change
                log.error("a subscriber's reach is not known", id=entry.id, **where(error))
            await asyncio.sleep(0)

    async def _find(self, entry: Entry) -> None:
        if self._index.get(entry.id) is not entry or entry.owner is None:
            return
        principal = await self._rights.again(entry.owner)
        if principal is None or self._index.get(entry.id) is not entry:
            return  # meanwhile it is another subscription; who may do nothing any more is found out by the next event
        is_related = principal.user.startswith(tuple(f"{type_}/" for type_ in RELATIONS))
        if is_related and asyncio.get_running_loop().time() < self._settled:
            self._expect_later(entry)
            return
        found: Mapping[str, frozenset[str] | None] = {type_: keys_of(principal, type_) for type_ in entry.types}
        entry.reach = {type_: keys for type_, keys in found.items() if keys is not None}
        if entry.reach:
            self._index.add(entry)
            if is_related:
                self._related[entry.id] = principal.user


def _is_narrow(entry: Entry, type_: str) -> bool:
    told = (one.keys_of(type_) for one in entry.conditions)
    return any(keys is not None and are_of_patients(keys) for keys in told)
