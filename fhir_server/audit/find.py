"""Searching the trail: the groups that may hold what is wanted, and of these the AuditEvents that really fit.

A filter is the one that stored AuditEvents are searched with, so that it means the same for both. Which groups come
into question follows from it (patients, users, resources and times are indexed); each AuditEvent made of them is then
held against the whole filter.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from fhir_server import json
from fhir_server.audit import group, lines
from fhir_server.audit.event import Place, audit_event, place, places
from fhir_server.audit.store import Store
from fhir_server.search.extract import extract
from fhir_server.search.fields import fields
from fhir_server.search.memory import matches
from fhir_server.storage.stored import Stored

Document = dict[str, Any]
Json = dict[str, Any]

MILLISECOND = 1000
_GROUPS = 10  # fetched at a time
_TIMES = {"$gte", "$gt", "$lte", "$lt"}


@dataclass(frozen=True, slots=True)
class Found:
    """An AuditEvent of the trail. The order is `at` descending, then its place descending."""

    where: Place
    at: int  # microseconds
    text: str  # JSON

    def stored(self) -> Stored:
        """As if it were a stored resource."""
        return Stored("AuditEvent", self.where.id, 1, self.at, self.at, self.text)


@dataclass(frozen=True, slots=True)
class Search:
    """What is asked of the trail: a filter on stored AuditEvents; `limited` as for event.audit_event."""

    filter: Document
    base_url: str
    limited: bool = False


class Incomplete(Exception):
    """There was more to look at than the time given; `place` and `at` say where it stopped."""

    def __init__(self, at: int, where: Place) -> None:
        super().__init__("the trail was not searched to its end")
        self.at = at
        self.where = where


async def one(store: Store, search: Search, where: Place) -> Found | None:
    """The AuditEvent of this place, if it fits."""
    found = await store.groups.find_one({"_id": where.group})
    if found is None:
        return None
    return next((event for event in _events(found, search, where.index) if event.where == where), None)


async def newest(
    store: Store, search: Search, *, after: tuple[int, Place] | None = None, seconds: float = 5.0
) -> AsyncGenerator[Found, None]:
    """The AuditEvents that fit, newest first, behind the place given; Incomplete when that takes too long."""
    wanted = candidates(search.filter)
    if after is not None:
        wanted = {"$and": [wanted, {"t": {"$lte": after[0]}}]}
    deadline = time.monotonic() + seconds
    cursor = store.groups.find(wanted, sort=[("t", -1), ("_id", -1)], batch_size=_GROUPS)
    async for found in cursor:
        here = (found["t"], found["_id"])
        if after is not None and here > (after[0], after[1].group):
            continue
        for event in _events(found, search):
            if after is None or _order(event.at, event.where) < _order(*after):
                yield event
        # At least one group that was not looked at before, so that the search gets on.
        if time.monotonic() > deadline and (after is None or here != (after[0], after[1].group)):
            chain, sequence = group.place(found["_id"])
            raise Incomplete(found["t"], Place(chain, sequence, 0, 0))


async def number(store: Store, *, seconds: float) -> int:
    """How many AuditEvents there are in all, none of which is made for it; Incomplete when that takes too long."""
    count, deadline = 0, time.monotonic() + seconds
    async for found in store.groups.find({}, {"e": 1, "t": 1}, sort=[("t", -1), ("_id", -1)], batch_size=_GROUPS):
        count += sum(max(len(entry.subjects), 1) for entry in lines.decode(found["e"]))
        if time.monotonic() > deadline:
            raise Incomplete(found["t"], Place(*group.place(found["_id"]), 0, 0))
    return count


def _order(at: int, where: Place) -> tuple[int, str, int, int]:
    return at, where.group, where.index, where.patient


def _events(found: Mapping[str, Any], search: Search, only: int | None = None) -> Iterable[Found]:
    """The AuditEvents of a group that fit, the last first; with `only`, those of one entry."""
    wanted, at = candidates(search.filter), found["t"]
    needed = list(_needed(wanted))
    for index, entry in lines.picked(found["e"], needed):
        if only is not None and index != only:
            continue
        # What holds for a group holds for its entry, which is much cheaper to judge than the AuditEvent.
        names = lines.names((entry,))
        if any(names.isdisjoint(some) for some in needed):
            continue  # most end here: to hold an entry against a filter takes four times as long
        if wanted and not matches(wanted, {"_id": found["_id"], "t": at, "k": list(names)}):
            continue
        for where in places(found["_id"], index, entry):
            event = audit_event(where, entry, at, search.base_url, limited=search.limited)
            if not search.filter or matches(search.filter, envelope(event, at, search.base_url)):
                yield Found(where, at, json.encode(event).decode())


def _needed(wanted: Mapping[str, Any]) -> Iterable[frozenset[str]]:
    """Sets of names: of each of them an entry must have one."""
    if "k" in wanted:
        yield frozenset(name for name in wanted["k"]["$in"] if isinstance(name, str))
    for clause in wanted.get("$and", ()):
        yield from _needed(clause)


def envelope(event: Json, at: int, base_url: str) -> Document:
    """What the stored document of this AuditEvent would be."""
    found = extract(event, base_url=base_url).document()
    stamp = at // MILLISECOND * MILLISECOND
    return {**found, "_id": f"AuditEvent/{event['id']}", "ty": "AuditEvent", "v": 1, "t": stamp, "u": stamp}


# ---- which groups come into question -------------------------------------------------------------------


def candidates(filter: Mapping[str, Any]) -> Document:
    """A condition on groups that holds for every group with an AuditEvent that fits; {} when it is not known."""
    clauses: list[Document] = []
    for name, wanted in filter.items():
        match name:
            case "$and":
                clauses += [candidates(part) for part in wanted]
            case "$or":
                parts = [candidates(part) for part in wanted]
                clauses.append({"$or": parts} if all(parts) else {})
            case "k":
                clauses.append(_keys(wanted))
            case "r":
                clauses.append(_range(wanted))
            case "u":
                clauses.append(_times(wanted, MILLISECOND - 1))
            case "_id":
                clauses.append(_places(wanted))
    known = [clause for clause in clauses if clause]
    return {"$and": known} if len(known) > 1 else known[0] if known else {}


def _keys(wanted: Any) -> Document:
    """References to patients, users and resources; other keys are not indexed."""
    texts = _texts(wanted)
    if texts is None:
        return {}
    found: list[int | str] = []
    for text in texts:
        number, mark, reference = text.partition(">")
        letters = _letters().get(number) if mark else None
        if letters is None:
            return {}
        for letter in letters:
            # The names themselves are what groups of earlier versions have, and what an entry is judged by.
            found += [lines.key(letter + reference), letter + reference]
    return {"k": {"$in": found}}


@cache
def _letters() -> Mapping[str, str]:
    """By which of a group's keys a reference key of AuditEvent is found, by the number it begins with."""
    every = {"agent": "a", "entity": "pe", "patient": "pa"}
    return {source.number: letters for code, letters in every.items() for source in fields("AuditEvent")[code].sources}


def _range(wanted: Any) -> Document:
    """The date of an AuditEvent here is one millisecond."""
    match = wanted.get("$elemMatch", {}) if isinstance(wanted, Mapping) else {}
    key = match.get("k")
    names = key.get("$in", []) if isinstance(key, Mapping) else [key]
    if not all(str(name).rstrip("~") in _dates() for name in names):
        return {}
    clauses = [_times(match[name], MILLISECOND) for name in ("lo", "hi") if name in match]
    return {"$and": clauses} if clauses and all(clauses) else {}


@cache
def _dates() -> frozenset[str]:
    return frozenset(source.number for source in fields("AuditEvent")["date"].sources)


def _times(wanted: Any, slack: int) -> Document:
    """The stamps of groups whose AuditEvents have these times, which are up to `slack` off."""
    if not isinstance(wanted, Mapping) or not wanted.keys() <= _TIMES:
        return {}
    return {"t": {operator: value - slack if "g" in operator else value + slack for operator, value in wanted.items()}}


def _places(wanted: Any) -> Document:
    texts = _texts(wanted)
    if texts is None:
        return {}
    found = [place(text.removeprefix("AuditEvent/")) for text in texts]
    return {"_id": {"$in": [where.group for where in found if where is not None]}}


def _texts(wanted: Any) -> list[str] | None:
    """The values that are asked for, when they are texts."""
    if isinstance(wanted, str):
        return [wanted]
    if isinstance(wanted, Mapping) and wanted.keys() == {"$in"} and all(isinstance(one, str) for one in wanted["$in"]):
        return list(wanted["$in"])
    return None
