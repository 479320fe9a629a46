"""https://hl7.org/fhir/R4/http.html#search · https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from fhir_server import json
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.interactions import includes, pages
from fhir_server.interactions.explain import explain
from fhir_server.joins import Joins
from fhir_server.outcomes import Issue, operation_outcome
from fhir_server.registry import interaction
from fhir_server.search import compile as compiler
from fhir_server.search import cursor, keyset
from fhir_server.search.parse import parse
from fhir_server.search.query import Query
from fhir_server.storage.stored import Stored
from fhir_server.summary import check_elements, no_such_elements, summarize, unknown_elements

Json = dict[str, Any]
Links = list[tuple[str, str]]

_LINKED = ("_format", "_pretty")  # no part of the search, but of every link


@interaction("search-type")
@interaction("search-system")
@interaction("search-compartment")
async def search(ctx: Context, request: FhirRequest) -> FhirResponse:
    """A searchset Bundle: one page of matches as they are stored, and what was to be included with them."""
    query = _parse(ctx, request)
    deadline = time.monotonic() + ctx.settings.query_seconds
    joins = Joins(ctx.repository, ctx.principal, ctx.base_url, deadline=deadline)
    if query.only_count and not query.explain:
        counted = await _count(ctx, await joins.resolve(query), exact=query.total != "estimate")
        told = [_outcome(query.ignored)] if query.ignored else []
        return FhirResponse(text=_bundle([("self", _self(ctx, request, query))], told, counted))
    asked = await joins.glance(query)
    if query.explain:
        return await explain(ctx, query, asked, joins)
    rows, links, notes = await _page(ctx, request, joins, query, asked)
    included, more = await includes.included(ctx, query, rows)
    themselves = await _fitting_themselves(ctx, asked, rows)
    entries = [text for row in rows for text in _matches(ctx, asked, row, itself=row.key in themselves)]
    entries += [_entry(ctx, query, row, "include") for row in included]
    issues = [*query.ignored, *notes, *more]
    if issues:
        entries.append(_outcome(issues))
    # A first page without a next one has shown everything.
    whole = query.cursor is None and all(name != "next" for name, _ in links)
    total = len(rows) if whole and query.total != "none" else await _total(ctx, joins, query, asked)
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
    return _known_elements(query) if query.elements and lenient else query


def _known_elements(query: Query) -> Query:
    """The query without the names in `_elements` that no type searched has, which are said to be ignored."""
    unknown = unknown_elements(query.elements, query.types)
    if not unknown:
        return query
    known = tuple(name for name in query.elements if name not in unknown)
    used = [pair for pair in query.used if pair[0] != "_elements"]
    if known:
        used.append(("_elements", ",".join(known)))
    ignored = (*query.ignored, *no_such_elements(unknown, "warning"))
    return replace(query, elements=known, used=tuple(used), ignored=ignored)


# ---- pages -------------------------------------------------------------------------------------------


async def _page(
    ctx: Context, request: FhirRequest, joins: Joins, query: Query, asked: Query
) -> tuple[list[Stored], Links, tuple[Issue, ...]]:
    """The matches of the page asked for, the links from it to the others, and what the caller should know."""
    binding = f"{query.binding()}#{ctx.principal.fingerprint()}"
    at = cursor.decode(query.cursor, binding, ctx.secret) if query.cursor is not None else None
    found = await pages.rows(ctx, joins, query, asked, at)
    rows = found.rows[: query.count]
    more = len(found.rows) > query.count or found.cut
    forward = at is None or at.forward
    if not forward:
        rows.reverse()
    links = [("self", _self(ctx, request, query))]
    if rows:
        find = compiler.compile(asked)
        ends = {"previous": at is not None and (forward or more), "next": more or not forward}
        links.append(("first", _link(ctx, request, query)))
        for relation, there in ends.items():
            if there:
                place = keyset.position(find, rows, forward=relation == "next", at=at)
                text = cursor.encode(replace(place, moment=found.moment), binding, ctx.secret)
                links.append((relation, _link(ctx, request, query, text)))
    return [row for row in rows if not row.deleted], links, found.notes


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


async def _total(ctx: Context, joins: Joins, query: Query, asked: Query) -> int | None:
    if query.total in ("", "none"):
        return None
    exact = await joins.resolve(query) if asked.probes else asked
    return await _count(ctx, exact, exact=query.total == "accurate")


async def _count(ctx: Context, query: Query, *, exact: bool) -> int:
    wanted = compiler.count_filter(query)
    if exact:
        return await ctx.repository.count(ctx.principal, wanted, types=query.stored_types)
    return await ctx.repository.estimate(ctx.principal, wanted, types=query.stored_types)


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


async def _fitting_themselves(ctx: Context, query: Query, rows: list[Stored]) -> set[str]:
    """Of the rows of `_contained=both`, those that are matches whatever they contain."""
    if query.contained != "both" or query.contained_type == "container" or not rows:
        return set()
    wanted = compiler.count_filter(replace(query, contained="false"))
    these = {"$and": [wanted, {"_id": {"$in": [row.key for row in rows]}}]}
    return set(await ctx.repository.ids(ctx.principal, these, limit=len(rows)))


def _matches(ctx: Context, query: Query, row: Stored, *, itself: bool) -> Iterator[str]:
    """The entry of a match; for `_containedType=contained`, one for each contained resource that fits."""
    if query.contained == "false" or query.contained_type == "container":
        yield _entry(ctx, query, row, "match")
        return
    found = compiler.contained_matches(query, row.contained or ())
    resource = row.resource() if found else {}
    for contained in resource.get("contained", ()):
        if contained.get("id") in found:
            text = json.encode(_part(query, contained, list(query.elements))).decode()
            yield _written(f"{ctx.base_url}/{row.key}#{contained['id']}", text, "match")
    if itself:
        yield _entry(ctx, query, row, "match")


def _entry(ctx: Context, query: Query, stored: Stored, mode: str) -> str:
    text = stored.text
    # The list of elements does not apply to included resources.
    elements = list(query.elements) if mode == "match" else []
    if query.summary is not None or elements:
        text = json.encode(_part(query, stored.resource(), elements)).decode()
    return _written(f"{ctx.base_url}/{stored.key}", text, mode)


def _part(query: Query, resource: Json, elements: list[str]) -> Json:
    """What `_summary` and `_elements` leave of a resource: all of it without them."""
    if query.summary is None and not elements:
        return resource
    return summarize(resource, summary=query.summary, elements=elements or None, lenient=True)


def _written(url: str, text: str, mode: str) -> str:
    return f'{{"fullUrl":"{url}","resource":{text},"search":{{"mode":"{mode}"}}}}'


def _outcome(issues: Iterable[Issue]) -> str:
    outcome = json.encode(operation_outcome(issues)).decode()
    return f'{{"resource":{outcome},"search":{{"mode":"outcome"}}}}'
