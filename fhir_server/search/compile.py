"""A Query becomes a MongoDB filter and an order: pure, so that it is tested without a database.

docs/decisions/0004-search-keys.md says which index serves what.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any

from fhir_server.definitions import compartments
from fhir_server.search.extract import PAIRS, pair_prefix
from fhir_server.search.fields import DATE_SLOT, NAME_SLOT, fields
from fhir_server.search.keys import END, MAX_KEY, OPEN_HIGH, Bounds, Circle, Criterion, fit, range_clauses
from fhir_server.search.memory import matches
from fhir_server.search.presence import written
from fhir_server.search.query import Both, Condition, Either, Except, Filter, Known, Presence, Query
from fhir_server.search.registry import type_number
from fhir_server.search.types.special import EARTH

Document = dict[str, Any]

NOTHING: Document = {"k": {"$in": []}}
# The default order: newest first. The stamp is all but unique, and a page carries the ids that share its last one.
NEWEST = (("t", -1),)
_MERGED = 200  # index scans that MongoDB merges in order
SLOTS = {f"s.{DATE_SLOT}", f"s.{NAME_SLOT}"}


@dataclass(frozen=True, slots=True)
class Find:
    """What to ask the database for; `sort` pairs are (field, 1 or -1)."""

    filter: Document
    sort: tuple[tuple[str, int], ...]
    matching: Document | None = None  # of a page: the filter without its place

    @property
    def whole(self) -> Document:
        """The filter of all pages."""
        return self.filter if self.matching is None else self.matching

    @property
    def lasting(self) -> bool:
        """Whether a resource keeps its place in the order whatever is written to it."""
        return self.sort[0][0] in ("t", "_id")


def compile(query: Query) -> Find:
    """The filter and order of the query's matches; what has to be looked up must have been (fhir_server/joins)."""
    sort = _order(query)
    if query.contained == "false":
        return Find(_own(query, sort), sort)
    within: Document = {"c": {"$elemMatch": _within(query)}}
    if query.contained == "true":
        return Find(within, sort)
    return Find({"$or": [_own(query, sort), within]}, sort)


def _own(query: Query, sort: tuple[tuple[str, int], ...]) -> Document:
    """What the resources themselves must fit."""
    clauses = [clause for one in _gather(query) for clause in _clauses(one)]
    if query.compartment is not None:
        clauses.append(_compartment(query.types, *query.compartment))
    clauses += _whole(query, sort, clauses)
    return _all(clauses)


def _within(query: Query) -> Document:
    """What a contained resource must fit: its own keys and ranges are an element of `c`."""
    clauses = [clause for one in query.filters for clause in _clauses(one, within=True)]
    if query.compartment is not None:
        clauses.append(_compartment(query.types, *query.compartment))
    numbers = [type_number(one) for one in query.types]
    return _all([{"k": {"$in": numbers}}, *clauses])


def containing(query: Query, numbers: Iterable[str]) -> Document:
    """Resources that refer, by parameters with these numbers, to a contained resource that fits the query."""
    return {"c": {"$elemMatch": {"$and": [_within(query), {"p": {"$in": sorted(numbers)}}]}}}


def contained_matches(query: Query, contained: Sequence[Document]) -> list[str]:
    """The ids of those contained resources that fit."""
    wanted = _within(query)
    return [one["_id"].partition("/")[2] for one in contained if matches(wanted, one)]


def count_filter(query: Query) -> Document:
    """The filter for counting: the same without what only the order needs."""
    return compile(replace(query, sort=())).filter


# ---- filters -----------------------------------------------------------------------------------------


def _gather(query: Query) -> list[Filter]:
    """The filters, those by ranges of one and the same value made into one, and a pair key where there is one."""
    gathered: list[Filter] = []
    for one in query.filters:
        same = next((i for i, other in enumerate(gathered) if _mergeable(one, other)), None)
        if same is None:
            gathered.append(one)
        else:
            gathered[same] = _merge(gathered[same], one)
    return _paired(query, gathered)


def _mergeable(one: Filter, other: Filter) -> bool:
    a, b = one.condition, other.condition
    if not one.single or one.name != other.name or one.negated:
        return False
    if not isinstance(a, Criterion) or not isinstance(b, Criterion) or not a.bounds or not b.bounds:
        return False
    same = len({bounds.key for bounds in (*a.bounds, *b.bounds)}) == 1
    return same and len(a.bounds) * len(b.bounds) <= 16


def _merge(one: Filter, other: Filter) -> Filter:
    """ge2020 and lt2021 of a single date: both limits in one scan of the index instead of one each."""
    assert isinstance(one.condition, Criterion)
    assert isinstance(other.condition, Criterion)
    both = tuple(a.within(b) for a, b in product(one.condition.bounds, other.condition.bounds))
    return Filter(one.name, one.text, Criterion(bounds=both), single=True)


def _paired(query: Query, filters: list[Filter]) -> list[Filter]:
    """Replace a reference filter by keys that hold reference and code together, when both are asked for."""
    if len(query.types) != 1 or query.types[0] not in PAIRS:
        return filters
    type_name = query.types[0]
    by_code = fields(type_name)
    reference, code = (by_code[name].sources[0].number for name in PAIRS[type_name])
    first = next((one for one in filters if _all_keys(one, reference + ">")), None)
    second = next((one for one in filters if _all_keys(one, code + "=", code + "|")), None)
    if first is None or second is None:
        return filters
    targets, asked = _all_keys(first, ""), _all_keys(second, "")
    if len(targets) * len(asked) > 2000:
        return filters
    if any(len(key) >= MAX_KEY or not key.isascii() or key.count("|") > 2 for key in (*targets, *asked)):
        return filters  # shortened, or not to be taken apart
    codes = {key[4:] if key[3] == "=" else key.rpartition("|")[2].lower() for key in asked}
    prefix = pair_prefix(type_name)
    keys = [fit(f"{prefix}{target[4:]}={one}") for target in targets for one in sorted(codes)]
    pair = Filter(first.name, first.text, Criterion(keys=tuple(keys)))
    # Keys by code alone ask no more than the pair does; those by system stay.
    kept = [one for one in filters if one is not first and not (one is second and _all_keys(one, code + "="))]
    return [pair, *kept]


def _all_keys(one: Filter, *beginnings: str) -> tuple[str, ...]:
    """The filter's keys when it is nothing but exact keys with one of these beginnings; else none."""
    found = one.condition
    if not isinstance(found, Criterion) or one.negated or Criterion(keys=found.keys) != found:
        return ()
    return found.keys if all(key.startswith(beginnings) for key in found.keys) else ()


def _clauses(one: Filter, *, within: bool = False) -> list[Document]:
    found = _condition(one.condition, within)
    if not one.negated:
        return [found]
    clauses: list[Document] = [{"$nor": [found]}]
    if one.otherwise is not None and not within:
        clauses.append(_condition(one.otherwise))
    return clauses


def _condition(wanted: Condition, within: bool = False) -> Document:
    """`within` a contained resource, the sets of what is present are not known."""
    match wanted:
        case Criterion():
            return _criterion(wanted)
        case Both(parts):
            return _all([_condition(part, within) for part in parts])
        case Either(parts):
            return {"$or": [_condition(part, within) for part in parts]}
        case Except(part):
            return {"$nor": [_condition(part, within)]}
        case Known(presence, sets):
            return _condition(presence) if within else _criterion(Criterion(sets=sets))
        case Presence(resource_type, code, missing):
            # Where the sets of what is present are not known, whatever the parameter has written.
            there = _criterion(written(resource_type, code))
            return {"$and": [{"$nor": [there]}, {"k": type_number(resource_type)}]} if missing else there
    raise TypeError(f"{type(wanted).__name__} has not been looked up.")


def _criterion(wanted: Criterion) -> Document:
    clauses: list[Document] = []
    if wanted.keys:
        clauses.append({"k": wanted.keys[0] if len(wanted.keys) == 1 else {"$in": list(wanted.keys)}})
    clauses += [{"k": {"$elemMatch": {"$gte": first, "$lt": last}}} for first, last in wanted.between]
    clauses += [{"k": {"$regex": pattern}} for pattern in wanted.patterns]
    for bounds in wanted.bounds:
        clauses += _ranges(bounds)
    if wanted.range_keys:
        clauses.append({"r.k": {"$in": list(wanted.range_keys)}})
    if wanted.ids:
        clauses.append({"_id": wanted.ids[0] if len(wanted.ids) == 1 else {"$in": list(wanted.ids)}})
    if wanted.sets:
        clauses.append({"f": {"$in": list(wanted.sets)}})
    if wanted.words:
        clauses.append({"w": wanted.words[0] if len(wanted.words) == 1 else {"$in": list(wanted.words)}})
    clauses += [{"w": {"$elemMatch": {"$gte": first, "$lt": first + END}}} for first in wanted.word_beginnings]
    clauses += [{"g": {"$geoWithin": {"$centerSphere": _sphere(circle)}}} for circle in wanted.circles]
    for at_least, at_most in wanted.updated:
        limits = {"$gte": at_least, "$lte": at_most}
        clauses.append({"u": {name: limit for name, limit in limits.items() if limit is not None}})
    if not clauses:
        return NOTHING
    return clauses[0] if len(clauses) == 1 else {"$or": clauses}


def _sphere(circle: Circle) -> list[Any]:
    """A circle as MongoDB has it: the middle in degrees, the radius in radians."""
    return [[circle.longitude, circle.latitude], circle.metres / EARTH]


def _ranges(bounds: Bounds) -> list[Document]:
    empty = bounds.low_from is not None and bounds.high_to is not None and bounds.low_from > bounds.high_to
    return [] if empty else range_clauses(bounds)


def _all(clauses: Sequence[Document]) -> Document:
    unique: list[Document] = []
    for clause in clauses:
        if clause not in unique:
            unique.append(clause)
    return unique[0] if len(unique) == 1 else {"$and": unique}


# ---- compartments ------------------------------------------------------------------------------------


def _compartment(types: tuple[str, ...], name: str, id_: str) -> Document:
    """In the compartment by any of its parameters: https://hl7.org/fhir/R4/compartmentdefinition.html"""
    keys = [f"{number}>{name}/{id_}" for type_name in types for number in compartment_numbers(name, type_name)]
    return {"k": {"$in": keys}}


@cache
def compartment_numbers(compartment: str, resource_type: str) -> tuple[str, ...]:
    """The numbers of the reference keys that place a resource in a compartment; none when it cannot be in one."""
    found: list[str] = []
    for code in compartments().get(compartment, {}).get(resource_type, ()):
        field = fields(resource_type).get(code)
        if code == "{def}":
            found.append(type_number(resource_type))
        elif field is not None:
            found += [source.number for source in field.sources if source.target in ("", compartment)]
    return tuple(dict.fromkeys(found))


# ---- order -------------------------------------------------------------------------------------------


def _order(query: Query) -> tuple[tuple[str, int], ...]:
    """The fields to sort by, ending in a unique one (or in the stamp that is as good as unique)."""
    if not query.sort:
        # A chain counts whether it was looked up or is judged row by row: all pages have one order.
        names = {one.code for one in (*query.filters, *query.probes)}
        if names == {"_lastUpdated"} and query.compartment is None:
            # Oldest change first: what changes between two pages comes again at the end instead of being missed.
            return (("u", 1), ("_id", -1))
        if names == {"_id"} and query.compartment is None and not any(one.negated for one in query.filters):
            return (("_id", 1),)
        return NEWEST
    order: dict[str, int] = {}
    for key in query.sort:
        order.setdefault(key.field, -1 if key.descending else 1)
    if "_id" not in order:
        # The direction that lets an index (type, key, _id) serve the order both ways.
        field, direction = next(iter(order.items()))
        order["_id"] = -direction if field == "u" else direction
    return tuple(order.items())


def _whole(query: Query, sort: tuple[tuple[str, int], ...], clauses: Sequence[Document]) -> list[Document]:
    """What limits the search to current resources of its types, in the words of the index that is to serve it."""
    if not query.types:
        return [NOTHING]
    first = sort[0][0]
    types = query.types[0] if len(query.types) == 1 else {"$in": list(query.types)}
    if first in SLOTS:
        # Every resource of the type has the scalar, and a deleted one has none.
        return [{"ty": types, first: {"$exists": True, **_latest(query, first)}}]
    if first == "u":
        return [{"ty": types, "d": None}]
    if first == "_id":
        named = any("_id" in clause for clause in clauses)
        if named:
            return [{"d": None}]
        if len(query.types) == 1:
            return [{"_id": {"$gte": f"{query.types[0]}/", "$lt": f"{query.types[0]}0"}, "d": None}]
        return [{"ty": types, "d": None}]
    if any(_is_exact(clause) for clause in clauses):
        return []  # those keys are of these types already
    numbers = [type_number(one) for one in query.types]
    return [{"k": numbers[0] if len(numbers) == 1 else {"$in": numbers}}]


def _latest(query: Query, slot: str) -> Document:
    """Sorted by its date, a search up to some day can begin at that day: `date=lt2020&_sort=-date`."""
    limits: list[float] = []
    for one in _gather(query):
        field = fields(query.types[0]).get(one.name)
        if field is None or f"s.{field.ascending}" != slot or one.negated or not isinstance(one.condition, Criterion):
            continue
        # The scalar is where the earliest value begins; one that fits begins no later than its limits allow.
        ends = [min(end for end in (b.low_to, b.high_to, OPEN_HIGH) if end is not None) for b in one.condition.bounds]
        if ends and one.condition == Criterion(bounds=one.condition.bounds):
            limits.append(max(ends))
    return {"$lte": min(limits)} if limits and min(limits) < OPEN_HIGH else {}


def _is_exact(clause: Document) -> bool:
    """Whether the clause gives whole keys, few enough to be merged: the index then has its hits in order."""
    for name in ("k", "f", "w"):
        keys = clause.get(name)
        if isinstance(keys, str) or (isinstance(keys, dict) and 0 < len(keys.get("$in", ())) <= _MERGED):
            return True
    return False
