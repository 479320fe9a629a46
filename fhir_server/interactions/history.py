"""https://hl7.org/fhir/R4/http.html#history: of an instance, of a type, of everything; newest first."""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import urlencode

from fhir_server import api, json
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.outcomes import Invalid, NotFound, ValueWrong
from fhir_server.registry import interaction
from fhir_server.search.types.date import period
from fhir_server.storage.history import Span
from fhir_server.storage.stored import Stored, instant

_KNOWN = {"_count", "_since", "_at", "_cursor", "_sort", "_format", "_pretty", "_summary", "_elements", "_"}
_SORT = "-_lastUpdated"
_CURSOR = re.compile(r"([0-9]{1,18}):([A-Za-z]+/[A-Za-z0-9.-]{1,64}/[0-9]{1,18})")


@interaction("history-instance")
@interaction("history-type")
@interaction("history-system")
async def history(ctx: Context, request: FhirRequest) -> FhirResponse:
    """A Bundle of versions, deletions included, a page at a time."""
    query = _query(request)
    span = _span(ctx, request, query)
    count_only = query.get("_summary") == "count" or span.limit == 1
    if count_only and (span.since is not None or span.at is not None):
        raise Invalid("Versions are counted without _since and _at only.", expression=["http._count"])
    total = None
    if request.id is not None or count_only:
        total = await ctx.repository.history.count(ctx.principal, span)
        if request.id is not None and total == 0:
            raise NotFound(f"There is no {request.type} with this id.")
        if span.since is not None or span.at is not None:
            total = None
    versions = [] if count_only else await ctx.repository.history.versions(ctx.principal, span)
    more = len(versions) == span.limit
    shown = await api.withhold(ctx.principal, ctx.repository, versions[: span.limit - 1])
    return FhirResponse(text=_bundle(ctx, request, shown, more=more, total=total))


def _query(request: FhirRequest) -> dict[str, str]:
    """The parameters, each known and given once; Invalid (400) otherwise."""
    query: dict[str, str] = {}
    for name, value in request.query:
        if name not in _KNOWN:
            raise Invalid(f"History does not know the parameter {name[:64]!r}.", expression=[f"http.{name[:64]}"])
        if name in query and name != "_":
            raise Invalid(f"{name} is given more than once.", expression=[f"http.{name}"])
        query[name] = value
    if query.get("_sort", _SORT) != _SORT:
        raise Invalid(f"History is sorted by {_SORT} only.", expression=["http._sort"])
    if "_since" in query and "_at" in query:
        raise Invalid("History takes _since or _at, not both.", expression=["http._at"])
    return query


def _span(ctx: Context, request: FhirRequest, query: dict[str, str]) -> Span:
    return Span(
        type=request.type,
        id=request.id,
        since=_time(query, "_since")[0] if "_since" in query else None,
        at=_time(query, "_at") if "_at" in query else None,
        after=_after(query["_cursor"]) if "_cursor" in query else None,
        limit=_count(ctx, query) + 1,
    )


def _count(ctx: Context, query: dict[str, str]) -> int:
    text = query.get("_count", str(ctx.settings.default_count))
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueWrong("_count is a number, 0 or more.", expression=["http._count"])
    return min(int(text), ctx.settings.max_count)


def _time(query: dict[str, str], name: str) -> tuple[int, int]:
    try:
        return period(query[name].replace(" ", "+"))
    except (ValueError, OverflowError):
        raise ValueWrong(f"{name} is a date, dateTime or instant.", expression=[f"http.{name}"]) from None


def _bundle(ctx: Context, request: FhirRequest, versions: list[Stored], *, more: bool, total: int | None) -> bytes:
    """The Bundle with each stored text spliced in as it is."""
    here = f"{ctx.base_url}/{request.path}"
    kept = [(name, value) for name, value in request.query if name not in ("_cursor", "_")]
    links = [{"relation": "self", "url": f"{here}?{urlencode(kept)}" if kept else here}]
    if more and versions:
        links.append({"relation": "next", "url": f"{here}?{urlencode([*kept, ('_cursor', _cursor(versions[-1]))])}"})
    head: dict[str, object] = {"resourceType": "Bundle", "type": "history"}
    if total is not None:
        head["total"] = total
    head["link"] = links
    opening = json.encode(head)[:-1]
    if not versions:
        return opening + b"}"
    return opening + b',"entry":[' + b",".join(_entry(ctx, version) for version in versions) + b"]}"


def _entry(ctx: Context, stored: Stored) -> bytes:
    method = "DELETE" if stored.deleted else stored.method or "PUT"
    returned = stored.version == 1 or method == "POST"
    tail = {
        "request": {"method": method, "url": stored.type if method == "POST" else stored.key},
        "response": {
            "status": "204" if stored.deleted else "201" if returned else "200",
            "etag": f'W/"{stored.version}"',
            "lastModified": instant(stored.updated),
        },
    }
    opening = b'{"fullUrl":' + json.encode(f"{ctx.base_url}/{stored.key}")
    if not stored.deleted:
        opening += b',"resource":' + stored.text.encode()
    return opening + b"," + json.encode(tail)[1:]


def _cursor(stored: Stored) -> str:
    """Opaque to callers; it grants nothing, since every page is filtered for its caller anew."""
    content = f"{stored.updated}:{stored.key}/{stored.version}"
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def _after(cursor: str) -> tuple[int, str]:
    try:
        content = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (ValueError, binascii.Error):
        content = ""
    found = _CURSOR.fullmatch(content)
    if found is None:
        raise Invalid("The _cursor is not one of this server's.", expression=["http._cursor"])
    return int(found[1]), found[2]
