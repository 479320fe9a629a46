"""A searchset Bundle with the stored texts as they are: https://hl7.org/fhir/R4/bundle.html#searchset"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from fhir_server import json
from fhir_server.context import Context, FhirRequest
from fhir_server.outcomes import Issue, operation_outcome
from fhir_server.storage.stored import Stored

Json = dict[str, Any]
Pairs = Sequence[tuple[str, str]]


def link(ctx: Context, request: FhirRequest, pairs: Pairs) -> str:
    """The URL of this operation with these parameters, and the form that the caller asked for."""
    every = [*pairs, *(pair for pair in request.query if pair[0] in ("_format", "_pretty"))]
    url = f"{ctx.base_url}/{request.path}"
    return f"{url}?{urlencode(every, quote_via=quote, safe=':,/*$')}" if every else url


def entry(ctx: Context, stored: Stored, mode: str = "match") -> str:
    """One entry as JSON text; `mode` is match or include."""
    return f'{{"fullUrl":"{ctx.base_url}/{stored.key}","resource":{stored.text},"search":{{"mode":"{mode}"}}}}'


def outcome_entry(issues: Iterable[Issue]) -> str:
    """What is to be said about the answer, as its last entry."""
    return f'{{"resource":{json.encode(operation_outcome(issues)).decode()},"search":{{"mode":"outcome"}}}}'


def searchset(links: Pairs, entries: Sequence[str], total: int | None = None) -> bytes:
    """The Bundle as JSON; `links` are (relation, URL)."""
    head: Json = {"resourceType": "Bundle", "type": "searchset"}
    if total is not None:
        head["total"] = total
    head["link"] = [{"relation": relation, "url": url} for relation, url in links]
    opening = json.encode(head)[:-1]
    return opening + b',"entry":[' + ",".join(entries).encode() + b"]}" if entries else opening + b"}"
