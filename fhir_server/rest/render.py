"""FhirResponse → status, headers and bytes.

https://hl7.org/fhir/R4/http.html#summary · https://hl7.org/fhir/R4/http.html#versioning
"""

from __future__ import annotations

import re
import zlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from fhir_server import json, xml
from fhir_server.context import FhirResponse
from fhir_server.rest.document import CSP
from fhir_server.rest.html import page
from fhir_server.rest.negotiation import Format

Headers = list[tuple[bytes, bytes]]

# `no-cache` lets a browser keep an answer but makes it ask with If-None-Match first; patient data is never shared.
_ALWAYS: Headers = [
    (b"cache-control", b"private, no-cache"),
    (b"vary", b"accept, authorization"),
    (b"x-content-type-options", b"nosniff"),
]
_PAGE: Headers = [(b"content-security-policy", CSP.encode()), (b"referrer-policy", b"no-referrer")]
# Stored content may be HTML or SVG: opened in a browser it must not run as a page of ours. PDF viewers break in a
# sandbox, and cannot reach the origin anyway.
_CONTENT: Headers = [(b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; sandbox")]
_media_type = re.compile(r"[\w.+-]+/[\w.+-]+(?:\s*;\s*[\w.+-]+=(?:[\w.+:/-]+|\"[\w.+:/ -]*\"))*", re.ASCII)
# For text of our own: no depth to bound, since a Bundle adds its levels to those of a stored resource.
_decode = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(moment: datetime) -> str:
    """An HTTP date with its seconds: `Sun, 06 Nov 1994 08:49:37 GMT`."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return (
        f"{_DAYS[moment.weekday()]}, {moment.day:02d} {_MONTHS[moment.month - 1]} {moment.year:04d} "
        f"{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d} GMT"
    )


def render_headers(response: FhirResponse, base_url: str, request_id: str) -> Headers:
    """Every header but those that describe the body."""
    headers = [*_ALWAYS, (b"x-request-id", request_id.encode())]
    if response.version is not None:
        headers.append((b"etag", b'W/"%d"' % response.version))
    if response.last_modified is not None:
        headers.append((b"last-modified", http_date(response.last_modified).encode()))
    if response.location is not None:
        headers.append((b"location", f"{base_url}/{response.location}".encode()))
    for name, value in response.headers.items():
        if "\n" not in value and "\r" not in value:
            headers.append((name.lower().encode("latin-1"), value.encode("latin-1", "replace")))
    return headers


def render_body(response: FhirResponse, format_: Format, pretty: bool, base_url: str) -> tuple[bytes, Headers]:
    """The body with its headers; without content both are empty."""
    if response.raw is not None:
        return response.raw, _content_headers(response.content_type)
    if response.text is None and response.resource is None:
        return b"", []
    about = [(b"content-type", format_.content_type)]
    if format_.kind == "xml":
        return xml.encode(_resource(response), pretty=pretty), about
    data = response.text if response.text is not None else json.encode(response.resource)
    if format_.kind == "html":
        return page(data, response.status, base_url), [*about, *_PAGE]
    if pretty:
        data = msgspec.json.format(data, indent=2) + b"\n"
    return data, about


def _resource(response: FhirResponse) -> dict[str, Any]:
    return _decode(response.text) if response.text is not None else response.resource or {}


def _content_headers(declared: str | None) -> Headers:
    known = declared is not None and _media_type.fullmatch(declared)
    media = declared if declared is not None and known else "application/octet-stream"
    header = (b"content-type", media.encode("latin-1"))
    return [header] if media.lower() == "application/pdf" else [header, *_CONTENT]


def compress(body: bytes) -> bytes:
    """The body as gzip at the fastest level: about 100 MB/s, a fifth of the size for FHIR JSON."""
    return zlib.compress(body, level=1, wbits=31)
