"""Request line and headers → the FhirRequest they ask for.

https://hl7.org/fhir/R4/http.html · Prefer: RFC 7240
"""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from fhir_server.context import FhirRequest
from fhir_server.outcomes import Invalid
from fhir_server.rest.query import parse_pairs

RETURNS = {"minimal": "minimal", "representation": "representation", "operationoutcome": "OperationOutcome"}
HANDLINGS = {"strict", "lenient"}
_sane_id = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_illegal_path = re.compile(rb"[^\x21-\x7e]|%0[0aAdD]")


def joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by lower-case name; a repeated one is one comma list, as RFC 9110 has it."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        found[name] = value if name not in found else found[name] + b", " + value
    return found


# Of this process, and a count: asking for random bytes at each request was 5 % of a read.
_OURS = secrets.token_hex(4)
_count = itertools.count(1)


def request_id(headers: dict[bytes, bytes]) -> str:
    """The caller's X-Request-Id when it is harmless, a new one otherwise."""
    given = headers.get(b"x-request-id")
    if given is not None and _sane_id.fullmatch(given):
        return given.decode()
    return f"{_OURS}{next(_count):08x}"


def read_head(method: str, path: bytes, query: bytes, headers: dict[bytes, bytes]) -> FhirRequest:
    """The request without its body; `path` is what follows the base, still percent-encoded.

    Raises Invalid (400) for a path or query that cannot be read.
    """
    if _illegal_path.search(path):
        raise Invalid("The URL contains a control character, or one that must be percent-encoded.")
    request = FhirRequest(method, path.decode().strip("/"), parse_pairs(query))
    for name, field in _TEXT_HEADERS.items():
        if name in headers:
            setattr(request, field, headers[name].decode("latin-1"))
    if b"if-modified-since" in headers:
        request.if_modified_since = parse_http_date(headers[b"if-modified-since"].decode("latin-1"))
    if b"prefer" in headers:
        _prefer(request, headers[b"prefer"].decode("latin-1"))
    return request


_TEXT_HEADERS = {
    b"accept": "accept",
    b"if-match": "if_match",
    b"if-none-match": "if_none_match",
    b"if-none-exist": "if_none_exist",
    b"x-security-context": "security_context",
}


def parse_http_date(text: str) -> datetime | None:
    """The moment of an HTTP date in UTC; None, as RFC 9110 asks, for what is no date."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def preferences(header: str) -> dict[str, str]:
    """Preference → value ("" when it has none), names in lower case; the first of a kind counts."""
    found: dict[str, str] = {}
    for part in re.split("[,;]", header):
        name, _, value = part.partition("=")
        found.setdefault(name.strip().lower(), value.strip().strip('"'))
    return found


def _prefer(request: FhirRequest, header: str) -> None:
    # A preference we do not know is no error: RFC 7240, section 2.
    wanted = preferences(header)
    request.prefer_return = RETURNS.get(wanted.get("return", "").lower())
    handling = wanted.get("handling", "").lower()
    request.prefer_handling = handling if handling in HANDLINGS else None
