"""https://hl7.org/fhir/R4/http.html#search · https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urlencode

from fhir_server import json
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.outcomes import Issue, operation_outcome
from fhir_server.registry import interaction
from fhir_server.search import compile as compiler
from fhir_server.search import cursor, include
from fhir_server.search.compile import Find
from fhir_server.search.parse import parse
from fhir_server.search.query import Query
from fhir_server.storage.stored import Stored
from fhir_server.summary import check_elements, summarize

Json = dict[str, Any]
Links = list[tuple[str, str]]

_LINKED = ("_format", "_pretty")  # no part of the search, but of every link


@interaction("search-type")
@interaction("search-system")
@interaction("search-compartment")
async def search(ctx: Context, request: FhirRequest) -> FhirResponse:
    """A searchset Bundle: one page of matches as they are stored, and what was to be included with them."""
    query = _parse(ctx, request)
    if query.only_count:
        counted = await _count(ctx, query, exact=query.total != "estimate")
        return FhirResponse(text=_bundle([("self", _self(ctx, request, query))], [], counted))
    find = compiler.compile(query)
    rows, links = await _page(ctx, request, query, find)
    included, notes = await _included(ctx, query, rows)
    entries = [_entry(ctx, query, row, "match") for row in rows]
    entries += [_entry(ctx, query, row, "include") for row in included]
    issues = [*query.ignored, *notes]
    if issues:
        entries.append(_outcome(issues))
    # A first page without a next one has shown everything.
    whole = query.cursor is None and all(name != "next" for name, _ in links)
    total = len(rows) if whole and query.total != "none" else await _total(ctx, query)
    return FhirResponse(text=_bundle(links, entries, total))


def _parse(ctx: Context, request: FhirRequest) -> Query:
    handling = request.prefer_handling
    lenient = handling == "lenient" or (handling is None and not ctx.settings.strict_search)
    query = parse(
        request.type,
        request.query,
        base_url=ctx.base_url,
        lenient=lenient,
        compartment=request.compartment,
        default_count=ctx.settings.default_count,
        max_count=ctx.settings.max_count,
    )
    if query.elements and not lenient:
        check_elements(query.elements, query.types)
    return query


# ---- pages -------------------------------------------------------------------------------------------


async def _page(ctx: Context, request: FhirRequest, query: Query, find: Find) -> tuple[list[Stored], Links]:
    """The matches of the page asked for, and the links from it to the others."""
    binding = f"{query.binding()}#{ctx.principal.fingerprint()}"
    at = cursor.decode(query.cursor, binding, ctx.secret) if query.cursor is not None else None
    wanted = compiler.page(find, at) if at is not None else find
    keys = bool(query.includes)
    # One more than the page tells whether there is another.
    rows = await ctx.repository.find(
        ctx.principal, wanted.filter, sort=list(wanted.sort), limit=query.count + 1, keys=keys
    )
    more = len(rows) > query.count
    rows = rows[: query.count]
    forward = at is None or at.forward
    if not forward:
        rows.reverse()
    links = [("self", _self(ctx, request, query))]
    if rows:
        ends = {"previous": at is not None and (forward or more), "next": more or not forward}
        links.append(("first", _link(ctx, request, query)))
        for relation, there in ends.items():
            if there:
                place = compiler.position(find, rows, forward=relation == "next", at=at)
                links.append((relation, _link(ctx, request, query, cursor.encode(place, binding, ctx.secret))))
    return rows, links


def _self(ctx: Context, request: FhirRequest, query: Query) -> str:
    return _link(ctx, request, query, query.cursor)


def _link(ctx: Context, request: FhirRequest, query: Query, place: str | None = None) -> str:
    """A URL of this search with the parameters that were really used."""
    path = "/".join([*(request.compartment or ()), *([request.type] if request.type else [])])
    if request.compartment and not request.type:
        path += "/*"
    pairs = [pair for pair in query.used if pair[0] != "_cursor"]
    pairs += [pair for pair in request.query if pair[0] in _LINKED]
    if place is not None:
        pairs.append(("_cursor", place))
    url = f"{ctx.base_url}/{path}" if path else ctx.base_url
    return f"{url}?{urlencode(pairs, quote_via=quote, safe=':,/*$')}" if pairs else url


# ---- totals ------------------------------------------------------------------------------------------


async def _total(ctx: Context, query: Query) -> int | None:
    if query.total in ("", "none"):
        return None
    return await _count(ctx, query, exact=query.total == "accurate")


async def _count(ctx: Context, query: Query, *, exact: bool) -> int:
    wanted = compiler.count_filter(query)
    if exact:
        return await ctx.repository.count(ctx.principal, wanted)
    return await ctx.repository.estimate(ctx.principal, wanted)


# ---- includes ----------------------------------------------------------------------------------------


async def _included(ctx: Context, query: Query, rows: list[Stored]) -> tuple[list[Stored], list[Issue]]:
    """What the matches refer to and what refers to them, each once and none that is a match itself."""
    limit = ctx.settings.max_include
    found: dict[str, Stored] = {}
    if query.includes and rows:
        wanted = include.wanted(query.includes, rows)
        for stored in (await ctx.repository.read_many(ctx.principal, wanted.ids[: limit + 1])).values():
            if not stored.deleted:
                found[stored.key] = stored
        if wanted.canonicals:
            await _add(ctx, found, include.canonical_filter(wanted.canonicals))
    if query.revincludes and rows:
        await _add(ctx, found, include.referring_filter(query.revincludes, rows))
    for row in rows:
        found.pop(row.key, None)
    if len(found) <= limit:
        return list(found.values()), []
    note = f"Only {limit} resources are included on a page; there are more."
    return list(found.values())[:limit], [Issue("incomplete", note, severity="warning")]


async def _add(ctx: Context, found: dict[str, Stored], wanted: Json | None) -> None:
    if wanted is not None:
        # The page's own matches may be among them, so there must be room for those.
        limit = ctx.settings.max_include + ctx.settings.max_count + 1
        for stored in await ctx.repository.find(ctx.principal, wanted, limit=limit):
            found.setdefault(stored.key, stored)


# ---- the Bundle --------------------------------------------------------------------------------------


def _bundle(links: Links, entries: Iterable[str], total: int | None) -> bytes:
    """The Bundle as JSON text, with the entries' texts as they are."""
    head: Json = {"resourceType": "Bundle", "type": "searchset"}
    if total is not None:
        head["total"] = total
    head["link"] = [{"relation": relation, "url": url} for relation, url in links]
    opening = json.encode(head)[:-1]
    listed = ",".join(entries)
    return opening + b',"entry":[' + listed.encode() + b"]}" if listed else opening + b"}"


def _entry(ctx: Context, query: Query, stored: Stored, mode: str) -> str:
    text = stored.text
    # The list of elements does not apply to included resources.
    elements = list(query.elements) if mode == "match" and query.elements else None
    if query.summary is not None or elements:
        text = json.encode(
            summarize(stored.resource(), summary=query.summary, elements=elements, lenient=True)
        ).decode()
    return f'{{"fullUrl":"{ctx.base_url}/{stored.key}","resource":{text},"search":{{"mode":"{mode}"}}}}'


def _outcome(issues: Iterable[Issue]) -> str:
    outcome = json.encode(operation_outcome(issues)).decode()
    return f'{{"resource":{outcome},"search":{{"mode":"outcome"}}}}'
