"""AuditEvents: those of the server's own trail, made when they are read, together with those that callers stored.

https://hl7.org/fhir/R4/auditevent.html · docs/audit.md
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from fhir_server import auditing, json
from fhir_server.access.visibility import condition, visible
from fhir_server.audit.event import Place, place
from fhir_server.audit.find import Incomplete, Search, newest, number, one
from fhir_server.audit.store import Store
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.interactions import pages
from fhir_server.interactions.read import read, shown
from fhir_server.interactions.search import search
from fhir_server.interactions.vread import vread
from fhir_server.joins import Joins
from fhir_server.outcomes import Issue, NotFound, TooCostly, operation_outcome
from fhir_server.registry import interaction
from fhir_server.search import compile as compiler
from fhir_server.search import cursor, keyset
from fhir_server.search.cursor import Position
from fhir_server.search.parse import parse
from fhir_server.search.query import Query
from fhir_server.storage.stored import Stored
from fhir_server.summary import summarize

Json = dict[str, Any]

MAX_COUNTED = 100_000
SECONDS = 5.0  # that the trail is searched for one page; the next link goes on from there
_STORED_ONLY = "The server's own audit trail is not searched in this way; these are AuditEvents that callers stored."


@interaction("read AuditEvent")
async def read_event(ctx: Context, request: FhirRequest) -> FhirResponse:
    """One of the trail, by its place, or one that was stored."""
    found = await _own(ctx, request)
    return shown(request, found) if found is not None else await read(ctx, request)


@interaction("vread AuditEvent")
async def vread_event(ctx: Context, request: FhirRequest) -> FhirResponse:
    """What is in the trail has one version."""
    found = await _own(ctx, request) if request.version == "1" else None
    return shown(request, found) if found is not None else await vread(ctx, request)


async def _own(ctx: Context, request: FhirRequest) -> Stored | None:
    """The AuditEvent of the trail; None when the id is none of the trail. NotFound (404) like any that is hidden."""
    _, id_ = request.instance()
    where = place(id_)
    if where is None:
        return None
    await auditing.settle(ctx)
    allowed = condition(ctx.principal, "AuditEvent", "r")
    found = await one(_store(ctx), _wanted(ctx, allowed), where) if allowed is not None else None
    if found is None:
        raise NotFound("There is no AuditEvent with this id.")
    return found.stored()


def _store(ctx: Context) -> Store:
    return Store(ctx.repository.database)


def _wanted(ctx: Context, allowed: Json, *more: Json) -> Search:
    clauses = [clause for clause in (allowed, *more) if clause]
    filter_ = {"$and": clauses} if clauses else {}
    return Search(filter_, ctx.base_url, limited=allowed != {})


# ---- search --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Page:
    """Rows newest first, and from where each of the two sources goes on; `at` is None where it has not begun."""

    rows: list[Stored]
    trail: tuple[int, Place] | None
    stored: Position | None
    more: bool


@interaction("search-type AuditEvent")
@interaction("search-compartment AuditEvent")
async def search_events(ctx: Context, request: FhirRequest) -> FhirResponse:
    """The trail and what was stored, newest first."""
    query = _parse(ctx, request)
    if query is None:
        return _with_warning(await search(ctx, request))
    await auditing.settle(ctx)
    joins = Joins(ctx.repository, ctx.principal, ctx.base_url, deadline=time.monotonic() + ctx.settings.query_seconds)
    asked = await joins.resolve(query)
    wanted = _wanted(ctx, visible(ctx.principal, ("AuditEvent",)), compiler.count_filter(asked))
    try:
        if query.only_count:
            counted = await _count(ctx, asked, wanted)
            return FhirResponse(resource=_bundle([("self", _link(ctx, request, query))], [], counted))
        page = await _page(ctx, joins, query, asked, wanted)
    except KeyError:  # a condition that only the database understands
        return _with_warning(await search(ctx, request))
    links = [("self", _link(ctx, request, query, query.cursor)), ("first", _link(ctx, request, query))]
    if page.more:
        links.append(("next", _link(ctx, request, query, _encode(ctx, query, page))))
    entries = [_entry(ctx, query, row) for row in page.rows]
    if query.ignored:
        entries.append(_outcome(query.ignored))
    total = len(page.rows) if not page.more and query.cursor is None else None
    return FhirResponse(resource=_bundle(links, entries, total))


def _parse(ctx: Context, request: FhirRequest) -> Query | None:
    """The query in the trail's order; None for what can only be asked of stored resources."""
    given = list(request.query)
    if not any(name == "_sort" for name, _ in given):
        given.append(("_sort", "-date"))
    handling = request.prefer_handling
    query = parse(
        "AuditEvent",
        given,
        base_url=ctx.base_url,
        lenient=handling == "lenient" or (handling is None and not ctx.settings.strict_search),
        compartment=request.compartment,
        default_count=ctx.settings.default_count,
        max_count=ctx.settings.max_count,
    )
    other = query.includes or query.revincludes or query.explain or query.contained != "false"
    other = other or any(one.name.endswith(":missing") for one in query.filters)  # answered by what stored ones have
    order = [(one.code, one.descending) for one in query.sort]
    return None if other or order != [("date", True)] else query


async def _page(ctx: Context, joins: Joins, query: Query, asked: Query, wanted: Search) -> _Page:
    """The two sources merged by time, as far as the page goes."""
    trail, at = _decode(ctx, query)
    found = await pages.rows(ctx, joins, query, asked, at)
    others, taken = found.rows, 0
    page = _Page([], trail, at, False)
    own = newest(_store(ctx), wanted, after=trail, seconds=SECONDS)
    try:
        async for event in own:
            while taken < len(others) and len(page.rows) < query.count and _date(others[taken]) > event.at:
                page.rows.append(others[taken])
                taken += 1
            if len(page.rows) == query.count:
                page.more = True
                break
            page.rows.append(event.stored())
            page.trail = (event.at, event.where)
    except Incomplete as stop:
        page.more, page.trail = True, (stop.at, stop.where)
        taken += _newer(page, others[taken:], stop.at, query.count)
    finally:
        await own.aclose()
    if not page.more:
        rest = others[taken : taken + query.count - len(page.rows)]
        page.rows += rest
        taken += len(rest)
        page.more = taken < len(others) or found.cut
    if taken:
        page.stored = keyset.position(compiler.compile(asked), others[:taken], at=at)
    page.rows = [row for row in page.rows if not row.deleted]
    return page


def _newer(page: _Page, others: Sequence[Stored], at: int, count: int) -> int:
    """Take those stored ones into the page that come before the point where the trail's search stopped."""
    fitting = [row for row in others if _date(row) > at][: max(count - len(page.rows), 0)]
    page.rows += fitting
    return len(fitting)


def _date(row: Stored) -> int:
    return int((row.sort or {}).get("d", 0))


async def _count(ctx: Context, asked: Query, wanted: Search) -> int:
    """How many there are, both kinds; TooCostly (400) when that takes too long to find out."""
    count = await ctx.repository.count(ctx.principal, compiler.count_filter(asked))
    try:
        if wanted == _wanted(ctx, {}, compiler.count_filter(Query(("AuditEvent",)))) and not asked.probes:
            return count + await number(_store(ctx), seconds=ctx.settings.query_seconds)
        async for _ in newest(_store(ctx), wanted, seconds=ctx.settings.query_seconds):
            count += 1
            if count > MAX_COUNTED:
                raise TooCostly("There are too many to count; narrow the search by date.")
    except Incomplete:
        raise TooCostly("Counting them takes too long; narrow the search by date.") from None
    return count


# ---- cursors -------------------------------------------------------------------------------------------


def _binding(ctx: Context, query: Query) -> str:
    return f"audit&{query.binding()}#{ctx.principal.fingerprint()}"


def _encode(ctx: Context, query: Query, page: _Page) -> str:
    trail = [page.trail[0], page.trail[1].id] if page.trail is not None else None
    stored = [*page.stored.values] if page.stored is not None else None
    moment = page.stored.moment if page.stored is not None else None
    return cursor.encode(Position((trail, stored), moment=moment), _binding(ctx, query), ctx.secret)


def _decode(ctx: Context, query: Query) -> tuple[tuple[int, Place] | None, Position | None]:
    if query.cursor is None:
        return None, None
    found = cursor.decode(query.cursor, _binding(ctx, query), ctx.secret)
    trail, stored = found.values
    where = place(trail[1]) if trail is not None else None
    at = Position(tuple(stored), moment=found.moment) if stored is not None else None
    return (trail[0], where) if where is not None else None, at


# ---- the Bundle ----------------------------------------------------------------------------------------


def _link(ctx: Context, request: FhirRequest, query: Query, place: str | None = None) -> str:
    path = "/".join([*(request.compartment or ()), "AuditEvent"])
    pairs = [pair for pair in query.used if pair[0] != "_cursor"]
    pairs += [pair for pair in request.query if pair[0] in ("_format", "_pretty")]
    if place is not None:
        pairs.append(("_cursor", place))
    return f"{ctx.base_url}/{path}?{urlencode(pairs, quote_via=quote, safe=':,/*$')}"


def _entry(ctx: Context, query: Query, row: Stored) -> Json:
    resource = row.resource()
    if query.summary is not None or query.elements:
        resource = summarize(resource, summary=query.summary, elements=list(query.elements) or None, lenient=True)
    return {"fullUrl": f"{ctx.base_url}/{row.key}", "resource": resource, "search": {"mode": "match"}}


def _outcome(issues: Sequence[Issue]) -> Json:
    return {"resource": operation_outcome(issues), "search": {"mode": "outcome"}}


def _bundle(links: list[tuple[str, str]], entries: list[Json], total: int | None) -> Json:
    bundle: Json = {"resourceType": "Bundle", "type": "searchset"}
    if total is not None:
        bundle["total"] = total
    bundle["link"] = [{"relation": relation, "url": url} for relation, url in links]
    if entries:
        bundle["entry"] = entries
    return bundle


def _with_warning(response: FhirResponse) -> FhirResponse:
    """The answer of an ordinary search, which says that the trail is not in it."""
    bundle: Json = json.decode(response.text) if response.text is not None else dict(response.resource or {})
    if bundle.get("type") == "searchset":
        issue = Issue("incomplete", _STORED_ONLY, severity="warning")
        bundle.setdefault("entry", []).append(_outcome([issue]))
        response.text, response.resource = None, bundle
    return response
