"""Which representation the caller gets: `_format` before Accept, JSON before all.

https://hl7.org/fhir/R4/http.html#mime-type · https://hl7.org/fhir/R4/http.html#parameters
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from fhir_server.outcomes import NotAcceptable


@dataclass(frozen=True, slots=True)
class Format:
    """How the answer is written: "json", "xml" or "html", and the Content-Type that says so."""

    kind: str
    content_type: bytes


FHIR_JSON = Format("json", b"application/fhir+json; charset=utf-8")
FHIR_XML = Format("xml", b"application/fhir+xml; charset=utf-8")
HTML = Format("html", b"text/html; charset=utf-8")
# A generic media type is answered with itself, as the specification asks.
FORMATS = {
    "application/fhir+json": FHIR_JSON,
    "application/json+fhir": FHIR_JSON,
    "application/json": Format("json", b"application/json; charset=utf-8"),
    "text/json": Format("json", b"text/json; charset=utf-8"),
    "application/fhir+xml": FHIR_XML,
    "application/xml+fhir": FHIR_XML,
    "application/xml": Format("xml", b"application/xml; charset=utf-8"),
    "text/xml": Format("xml", b"text/xml; charset=utf-8"),
    "text/html": HTML,
    "application/xhtml+xml": HTML,
    "text/*": HTML,
}
ANY = frozenset({"application/*", "*/*"})
SHORT = {"json": FHIR_JSON, "xml": FHIR_XML, "html": HTML}
FHIR_VERSIONS = {"4.0", "4.0.1"}
_REFUSED = "This server answers in JSON (application/fhir+json) and XML (application/fhir+xml), for FHIR version 4.0."


def negotiate(accept: str, format_parameter: str | None = None, default: Format = FHIR_JSON) -> Format:
    """The format to answer in, `default` for callers who take any; raises NotAcceptable (406) when none is wanted."""
    if format_parameter:
        return _by_parameter(format_parameter)
    if not accept:
        return default
    # What is remembered must stay small whatever callers send.
    return (_by_header if len(accept) <= 256 else _by_header.__wrapped__)(accept) or default


def _by_parameter(value: str) -> Format:
    # An unescaped `+` of application/fhir+json arrives as a space.
    name = value.partition(";")[0].strip().lower().replace(" ", "+")
    found = SHORT.get(name) or FORMATS.get(name)
    if found is None:
        raise NotAcceptable(_REFUSED)
    return found


@lru_cache(256)
def _by_header(accept: str) -> Format | None:
    """The format that is liked best, the more specific one of two; None when any of application/* will do."""
    best: tuple[float, int, Format | None] | None = None
    for item in accept.split(","):
        name, *parameters = (part.strip() for part in item.lower().split(";"))
        found = FORMATS.get(name)
        quality = _quality(parameters)
        if (found is None and name not in ANY) or not quality:
            continue
        specific = 2 - name.count("*")
        if best is None or (quality, specific) > best[:2]:
            best = (quality, specific, found)
    if best is None:
        raise NotAcceptable(_REFUSED)
    return best[2]


def _quality(parameters: list[str]) -> float:
    """The q of a media range, 0 to 1; 0 as well for another FHIR version than ours."""
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            try:
                quality = float(value)
            except ValueError:
                return 0.0
        elif name == "fhirversion" and value.strip('"') not in FHIR_VERSIONS:
            return 0.0
    return quality if 0.0 < quality <= 1.0 else 0.0
