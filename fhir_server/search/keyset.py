"""A page of a search by where it begins instead of by its number: page 500 costs what page 1 does.

docs/decisions/0004-search-keys.md, "Order and pages"; a position travels in a signed cursor (cursor.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from fhir_server.search.compile import NEWEST, SLOTS, Find
from fhir_server.search.cursor import Position

Document = dict[str, Any]


class Row(Protocol):
    """What a page's position is read from: storage's Stored."""

    created: int
    updated: int
    updated_then: int
    sort: dict[str, Any] | None

    @property
    def key(self) -> str: ...


def position(find: Find, rows: Sequence[Row], *, forward: bool = True, at: Position | None = None) -> Position:
    """Where to go on after the last of these rows, or (not forward) before the first; they must not be empty.

    `at` is the position that these rows themselves were found by.
    """
    row = rows[-1] if forward else rows[0]
    values = tuple(_value(row, field) for field, _ in find.sort)
    if find.sort != NEWEST:
        return Position(values, (), forward, at.moment if at is not None else None)
    seen = [other.key for other in rows if other.created == row.created]
    if at is not None and at.forward == forward and at.values == values:
        seen += at.seen  # one stamp over more than a page
    return Position(values, tuple(seen), forward)


def _value(row: Row, field: str) -> Any:
    match field:
        case "t":
            return row.created
        case "u":
            return row.updated_then or row.updated
        case "_id":
            return row.key
    return (row.sort or {}).get(field.removeprefix("s."))


def page(find: Find, at: Position) -> Find:
    """The find of the page at this position; a page before it comes in reverse order."""
    sort = find.sort if at.forward else tuple((field, -direction) for field, direction in find.sort)
    if find.sort == NEWEST:
        stamp = {"$lte" if sort[0][1] < 0 else "$gte": at.values[0]}
        limit: Document = {"t": stamp, "_id": {"$nin": list(at.seen)}}
    else:
        limit = _beyond([field for field, _ in sort], [direction for _, direction in sort], list(at.values))
    return Find({"$and": [find.filter, limit]}, sort, find.whole)


def _beyond(names: list[str], directions: list[int], values: list[Any]) -> Document:
    """Rows that come after these values. Missing values are null, which is smaller than everything.

    Said as `first ≤ x and (first < x or …)`: the plain alternative makes the index run from its beginning.
    """
    name, up, value = names[0], directions[0] > 0, values[0]
    strictly = _strictly(name, up, value)
    if len(names) == 1:
        return strictly
    rest = _beyond(names[1:], directions[1:], values[1:])
    tied: Document = {"$and": [{name: value}, rest]}
    if not strictly:
        return tied  # nothing is smaller than null
    choice: Document = {"$or": [strictly, tied]}
    if value is None:
        return choice
    return {"$and": [_at_least(name, up, value), choice]}


def _strictly(name: str, up: bool, value: Any) -> Document:
    if value is None:
        return {name: {"$ne": None}} if up else {}
    return {name: {"$gt": value}} if up else _smaller(name, {"$gte": value}, {"$lt": value})


def _at_least(name: str, up: bool, value: Any) -> Document:
    return {name: {"$gte": value}} if up else _smaller(name, {"$gt": value}, {"$lte": value})


def _smaller(name: str, beyond: Mapping[str, Any], within: Mapping[str, Any]) -> Document:
    """Comparisons leave out null, so where it can be, it is let in by what it is not."""
    always = name in SLOTS or name in ("u", "_id")
    return {name: dict(within)} if always else {name: {"$not": dict(beyond)}}
