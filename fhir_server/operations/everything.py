"""https://hl7.org/fhir/R4/operation-patient-everything.html · https://hl7.org/fhir/R4/operation-encounter-everything.html

The compartment is walked newest first, by the creation stamp that never changes: what is written meanwhile shifts no
page. Each page brings along what its resources refer to outside the compartment; the cursor remembers what has been
brought, so that it comes once. docs/operations.md says what is followed and what is not.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from fhir_server import api
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import RESOURCE_TYPES, compartments
from fhir_server.operations.care_dates import Span, moments, span, within
from fhir_server.operations.input import CURSOR, published, read
from fhir_server.operations.references import targets
from fhir_server.operations.searchset import entry, link, outcome_entry, searchset
from fhir_server.outcomes import Invalid, Issue, TooCostly, ValueWrong
from fhir_server.registry import operation
from fhir_server.search import compile as compiler
from fhir_server.search import cursor, keyset
from fhir_server.search.cursor import Position
from fhir_server.search.parse import parse
from fhir_server.search.query import Query
from fhir_server.storage.stored import Stored

Json = dict[str, Any]

REMEMBERED = 250  # brought resources that a cursor knows of; more would make its URL too long
HOPS = 4  # from a resource to what it needs, and what that needs
_DIGEST = 8  # bytes
_BEGINNING = Position((2**62,))
# What is of the house and of no patient: what is brought from one of these leads to no other patient's record.
_OF_NO_PATIENT = frozenset(RESOURCE_TYPES) - compartments()["Patient"].keys()


@operation("everything", instances=("Patient", "Encounter"))
async def everything(ctx: Context, request: FhirRequest) -> FhirResponse:
    """Everything of a patient or an encounter, with what it refers to, a page at a time."""
    asked = _read(ctx, request)
    root = await _root(ctx, request)
    at, memory = _position(ctx, asked)
    find = compiler.compile(asked.query)
    find = replace(find, filter=_narrowed(find.filter, asked, root))
    room = asked.count - (at is _BEGINNING)
    wanted = keyset.page(find, at)
    found = await ctx.repository.find(ctx.principal, wanted.filter, sort=list(wanted.sort), limit=room + 1)
    more, rows = len(found) > room or found.cut, found[:room]
    following = keyset.position(find, rows, at=at) if rows else at
    rows = [row for row in rows if row.key not in memory]  # brought along before it came into the compartment
    walked = [root, *rows] if at is _BEGINNING else rows
    brought, issues = await _brought(ctx, asked, walked, memory)
    shown = [row for row in walked if asked.shows(row)]
    links = [("self", link(ctx, request, asked.pairs))]
    if more:
        memory.add(brought)
        following = Position((*following.values, memory.text()), following.seen)
        text = cursor.encode(following, asked.binding(ctx), ctx.secret)
        links.append(("next", link(ctx, request, [*asked.pairs, ("_cursor", text)])))
    entries = [entry(ctx, row) for row in shown]
    entries += [entry(ctx, row, "include") for row in brought if asked.shows(row, included=True)]
    total = len(shown) if at is _BEGINNING and not more else None
    return FhirResponse(text=searchset(links, entries + ([outcome_entry(issues)] if issues else []), total))


@dataclass(frozen=True, slots=True)
class _Asked:
    """The call, understood: `query` walks the compartment, `types` are those to be shown (None: all)."""

    root: tuple[str, str]
    query: Query
    dates: Span
    since: int | None
    types: frozenset[str] | None
    count: int
    cursor: str | None
    pairs: tuple[tuple[str, str], ...]

    def shows(self, row: Stored, *, included: bool = False) -> bool:
        if self.types is not None and row.type not in self.types:
            return False
        return included or self.since is None or row.updated >= self.since

    def follows(self, key: str) -> bool:
        """Whether a resource that is referred to may be shown, or lead to one that is."""
        if self.types is None or not self.types <= compartments()[self.root[0]].keys():
            return True
        return key.partition("/")[0] in self.types

    def binding(self, ctx: Context) -> str:
        """What a cursor belongs to."""
        types = "" if self.types is None else ",".join(sorted(self.types))
        return f"$everything&{self.query.canonical()}&{self.dates}&{types}#{ctx.principal.fingerprint()}"


def _read(ctx: Context, request: FhirRequest) -> _Asked:
    given = read(request, [*published("everything", request.type), CURSOR])
    root = request.instance()
    members = frozenset(compartments()[root[0]])
    named = [name.strip() for text in given.all("_type") for name in text.split(",")]
    for name in named:
        if name not in RESOURCE_TYPES:
            raise Invalid(f"'{name[:64]}' in parameter '_type' is not a resource type.")
    types = frozenset(named) if named else None
    # What is outside the compartment is found through all that is inside.
    walked = members if types is None or not types <= members else types
    filters = [("_type", ",".join(sorted(walked)))]
    if since := given.one("_since"):
        filters.append(("_lastUpdated", f"ge{since}"))
    count = given.one("_count")
    if count is not None and count < 1:
        raise ValueWrong("Parameter '_count' is 1 or more.")
    return _Asked(
        root=root,
        query=parse(None, filters, base_url=ctx.base_url, compartment=root),
        dates=span(given.one("start"), given.one("end")),
        since=moments("_since", since)[0] if since else None,
        types=types,
        count=min(count or ctx.settings.max_count, ctx.settings.max_count),
        cursor=given.one("_cursor"),
        pairs=tuple(pair for pair in given.pairs() if pair[0] != "_cursor"),
    )


async def _root(ctx: Context, request: FhirRequest) -> Stored:
    type_, id_ = request.instance()
    return api.there(await api.current(ctx, type_, id_), type_)


def _narrowed(found: Json, asked: _Asked, root: Stored) -> Json:
    """Without the root itself, which comes first, and with care in the span of dates."""
    clauses: list[Json] = [found, {"_id": {"$ne": root.key}}]
    return {"$and": clauses + within(asked.query.types, asked.dates)}


# ---- what is brought along ---------------------------------------------------------------------------


class _Memory:
    """The resources brought on earlier pages, each as 64 bits of a hash; the oldest are forgotten first."""

    def __init__(self, text: str = "") -> None:
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        self._digests = dict.fromkeys(data[i : i + _DIGEST] for i in range(0, len(data), _DIGEST))

    def __contains__(self, key: str) -> bool:
        return _digest(key) in self._digests

    def add(self, rows: Iterable[Stored]) -> None:
        self._digests.update((_digest(row.key), None) for row in rows)

    def text(self) -> str:
        return urlsafe_b64encode(b"".join(list(self._digests)[-REMEMBERED:])).decode().rstrip("=")


def _digest(key: str) -> bytes:
    return blake2b(key.encode(), digest_size=_DIGEST).digest()


def _position(ctx: Context, asked: _Asked) -> tuple[Position, _Memory]:
    if asked.cursor is None:
        return _BEGINNING, _Memory()
    found = cursor.decode(asked.cursor, asked.binding(ctx), ctx.secret)
    return Position(found.values[:1], found.seen), _Memory(found.values[1])


async def _brought(
    ctx: Context, asked: _Asked, rows: list[Stored], memory: _Memory
) -> tuple[list[Stored], list[Issue]]:
    """What these resources refer to outside the compartment and what that needs, none that was brought before."""
    limit = ctx.settings.max_include
    found: dict[str, Stored] = {}
    frontier = rows
    passed = {row.key for row in rows}
    for hop in range(HOPS):
        fresh = [
            key
            for key in targets(frontier, ctx.base_url)
            if key not in passed and key not in memory and asked.follows(key) and (hop == 0 or _leads_on(key))
        ]
        passed.update(fresh)
        frontier = await _outside(ctx, asked, fresh)
        found.update((row.key, row) for row in frontier)
        if len(found) > limit:
            note = f"Only {limit} resources are brought along on a page; there are more."
            return list(found.values())[:limit], [Issue("incomplete", note, severity="warning")]
    return list(found.values()), []


async def _outside(ctx: Context, asked: _Asked, keys: list[str]) -> list[Stored]:
    """Those that are not in the compartment: what is in it comes, or does not, on a page of its own."""
    name, id_ = asked.root
    members = [
        f"{number}>{name}/{id_}" for one in compartments()[name] for number in compiler.compartment_numbers(name, one)
    ]
    found: list[Stored] = []
    for start in range(0, len(keys), 1000):
        some = keys[start : start + 1000]
        wanted = {"$and": [{"_id": {"$in": some}}, {"k": {"$nin": members}}]}
        part = await ctx.repository.find(ctx.principal, wanted, limit=len(some), action="r")
        if part.cut:
            raise TooCostly("What the page refers to is too large for it; ask for less with a smaller _count.")
        found += part
    if not ctx.principal.is_open:
        # Their contexts are looked up one by one: a query finds none of them.
        have = {row.key for row in found}
        binaries = [key for key in keys if key.startswith("Binary/") and key not in have]
        read = await ctx.repository.read_many(ctx.principal, binaries)
        found += [stored for stored in read.values() if not stored.deleted]
    return found


def _leads_on(key: str) -> bool:
    return key.partition("/")[0] in _OF_NO_PATIENT
