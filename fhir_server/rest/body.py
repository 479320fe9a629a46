"""The request's body: read within limits, unpacked, and decoded by its media type.

https://hl7.org/fhir/R4/http.html#mime-type · https://hl7.org/fhir/R4/binary.html#rest
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from typing import Any

from fhir_server import json, xml
from fhir_server.outcomes import FhirError, Malformed, Timeout, TooLarge, UnsupportedMedia
from fhir_server.rest.negotiation import FHIR_VERSIONS

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

JSON = frozenset({"application/fhir+json", "application/json", "text/json", "application/json+fhir"})
XML = frozenset({"application/fhir+xml", "application/xml", "text/xml", "application/xml+fhir"})
JSON_PATCH = "application/json-patch+json"
FORM = "application/x-www-form-urlencoded"
_nul = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class Disconnected(Exception):
    """The caller went away before the request was complete."""


async def read_body(receive: Receive, headers: dict[bytes, bytes], limit: int, seconds: float) -> bytes:
    """The whole body, at most `limit` bytes in at most `seconds`, unpacked when it came as gzip.

    Raises TooLarge (413), Timeout (408), UnsupportedMedia (415), Malformed (400), Disconnected.
    """
    declared = headers.get(b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(seconds):
            data = await _read(receive, limit)
    except TimeoutError:
        close = {"Connection": "close"}
        raise Timeout(f"The body did not arrive within {seconds:g} seconds.", status=408, headers=close) from None
    encoding = headers.get(b"content-encoding", b"").lower()
    if encoding in (b"", b"identity") or not data:
        return data
    if encoding != b"gzip":
        raise UnsupportedMedia("Content-Encoding may be gzip.", headers={"Accept-Encoding": "gzip"})
    return gunzip(data, limit)


async def _read(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        if not message.get("more_body"):
            return b"".join((*chunks, chunk)) if chunks else chunk
        chunks.append(chunk)


def gunzip(data: bytes, limit: int) -> bytes:
    """The unpacked bytes, never more than `limit` of them in memory. Raises Malformed, TooLarge."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(data, limit + 1)
    except zlib.error:
        raise Malformed("The body is not gzip, as Content-Encoding says.") from None
    if len(unpacked) > limit:
        raise _too_large(limit)
    if not unpacker.eof or unpacker.unused_data:
        raise Malformed("The gzip body is not complete, or something follows it.")
    return unpacked


def _too_large(limit: int) -> FhirError:
    return TooLarge(f"A request body may have at most {limit} bytes.")


def bare_type(header: str) -> str:
    """The media type of a Content-Type header, in lower case, without a look at its parameters."""
    return header.partition(";")[0].strip().lower()


def media_type(header: str) -> str:
    """The bare media type in lower case; UnsupportedMedia (415) for another charset than UTF-8 or FHIR version."""
    return _media_type(header) if len(header) <= 256 else _media_type.__wrapped__(header)


@lru_cache(256)
def _media_type(header: str) -> str:
    name, *parameters = (part.strip() for part in header.lower().split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        value = value.strip('" ')
        if key.strip() == "charset" and value not in ("utf-8", "utf8"):
            raise UnsupportedMedia("The charset must be utf-8.")
        if key.strip() == "fhirversion" and value not in FHIR_VERSIONS:
            raise UnsupportedMedia("The FHIR version must be 4.0.")
    return name


def decode_body(data: bytes, media: str, method: str) -> Any:
    """The JSON object of a resource, or the list of a JSON Patch; XML becomes the JSON that says the same.

    Without a media type JSON is assumed. Raises Malformed (400), UnsupportedMedia (415).
    """
    if not media or media in JSON:
        return _object(data)
    if media in XML:
        return xml.decode(data)
    if media == JSON_PATCH and method == "PATCH":
        operations = _value(data)
        if not isinstance(operations, list):
            raise Malformed("A JSON Patch must be one JSON array.")
        return operations
    raise UnsupportedMedia("The body must be application/fhir+json or application/fhir+xml.")


def decode_binary(data: bytes, media: str) -> Any:
    """What was sent to /Binary: a Binary resource when JSON or XML is one, and otherwise the bytes as they are."""
    if media not in JSON and media not in XML:
        return data
    try:
        value = _value(data) if media in JSON else xml.decode(data)
    except Malformed:
        # Only the FHIR media types promise a resource; any other JSON or XML is content like a PDF.
        if "fhir" in media:
            raise
        return data
    return value if isinstance(value, dict) and value.get("resourceType") == "Binary" else data


def _object(data: bytes) -> dict[str, Any]:
    value = _value(data)
    if not isinstance(value, dict):
        raise Malformed("The body must be one JSON object.")
    return value


def _value(data: bytes) -> Any:
    if b"\\u0000" in data and _nul.search(data):
        raise Malformed("The JSON contains a NUL character.")
    try:
        return json.decode(data)
    except json.InvalidJson as error:
        raise Malformed(str(error)) from None


def check_form(media: str) -> None:
    """POST _search takes a form and nothing else: https://hl7.org/fhir/R4/http.html#search"""
    if media and media != FORM:
        raise UnsupportedMedia(f"POST _search takes {FORM}.")


def is_binary(path: str) -> bool:
    """Whether what is written to this URL is a Binary, whose content may have any media type."""
    return (path == "Binary" or path.startswith("Binary/")) and "$" not in path
