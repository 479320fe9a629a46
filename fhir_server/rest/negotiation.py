"""Which representation the caller gets: `_format` before Accept, JSON before all.

https://hl7.org/fhir/R4/http.html#mime-type · https://hl7.org/fhir/R4/http.html#parameters
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from fhir_server.outcomes import NotAcceptable


@dataclass(frozen=True, slots=True)
class Format:
    """How the answer is written: "json" or "html", and the Content-Type that says so."""

    kind: str
    content_type: bytes


FHIR_JSON = Format("json", b"application/fhir+json; charset=utf-8")
HTML = Format("html", b"text/html; charset=utf-8")
# A generic media type is answered with itself, as the specification asks.
FORMATS = {
    "application/fhir+json": FHIR_JSON,
    "application/json+fhir": FHIR_JSON,
    "application/json": Format("json", b"application/json; charset=utf-8"),
    "text/json": Format("json", b"text/json; charset=utf-8"),
    "text/html": HTML,
    "application/xhtml+xml": HTML,
    "application/*": FHIR_JSON,
    "text/*": HTML,
    "*/*": FHIR_JSON,
}
SHORT = {"json": FHIR_JSON, "html": HTML}
FHIR_VERSIONS = {"4.0", "4.0.1"}
_XML = "XML is not built yet; this server answers in JSON (application/fhir+json)."
_OTHER = "This server answers in JSON (application/fhir+json), for FHIR version 4.0."


def negotiate(accept: str, format_parameter: str | None = None) -> Format:
    """The format to answer in; raises NotAcceptable (406) when none of ours is wanted."""
    if format_parameter:
        return _by_parameter(format_parameter)
    if not accept:
        return FHIR_JSON
    # What is remembered must stay small whatever callers send.
    return _by_header(accept) if len(accept) <= 256 else _by_header.__wrapped__(accept)


def _by_parameter(value: str) -> Format:
    # An unescaped `+` of application/fhir+json arrives as a space.
    name = value.partition(";")[0].strip().lower().replace(" ", "+")
    found = SHORT.get(name) or FORMATS.get(name)
    if found is None:
        raise NotAcceptable(_XML if "xml" in name else _OTHER)
    return found


@lru_cache(256)
def _by_header(accept: str) -> Format:
    best: tuple[float, int, Format] | None = None
    for item in accept.split(","):
        name, *parameters = (part.strip() for part in item.lower().split(";"))
        found = FORMATS.get(name)
        quality = _quality(parameters)
        if found is None or not quality:
            continue
        specific = 2 - name.count("*")
        if best is None or (quality, specific) > best[:2]:
            best = (quality, specific, found)
    if best is None:
        raise NotAcceptable(_XML if "xml" in accept else _OTHER)
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
