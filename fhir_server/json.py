"""JSON in and out: decimals digit by digit, duplicate keys and hostile nesting refused.

https://hl7.org/fhir/R4/json.html · decimals: https://hl7.org/fhir/R4/datatypes.html#decimal
"""

from __future__ import annotations

import json as _stdlib
from decimal import Decimal
from typing import Any

import msgspec

Json = dict[str, Any]

MAX_DEPTH = 100
_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


class InvalidJson(ValueError):
    """The bytes are not the JSON we accept; the message says why and never repeats the content."""


def decode(data: bytes | str) -> Any:
    """The value of a JSON text; numbers with a point or exponent become Decimal.

    Raises InvalidJson for malformed text, invalid UTF-8, lone surrogates, duplicate keys and
    nesting deeper than MAX_DEPTH.
    """
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else bytes(data)
    try:
        value = _decoder.decode(raw)
    except RecursionError:
        raise InvalidJson(f"The JSON is nested deeper than {MAX_DEPTH} levels.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, ArithmeticError, ValueError) as error:
        raise InvalidJson(f"The JSON cannot be parsed: {error}") from None
    # Each key is followed by one colon, so a colon too many outside strings is a key that was lost.
    if _colons(raw) != _count_keys(value, MAX_DEPTH):
        raise InvalidJson(f"The JSON has a duplicate key: {_duplicate_key(raw)}")
    return value


def encode(value: Any) -> bytes:
    """Compact UTF-8 JSON; a Decimal is written with the digits it was read with."""
    return _encoder.encode(value)


def pretty(value: Any) -> bytes:
    """Indented UTF-8 JSON for people."""
    return msgspec.json.format(_encoder.encode(value), indent=2)


def _colons(raw: bytes) -> int:
    """Colons outside the strings of a JSON text that is known to be well formed."""
    if b"\\" in raw:
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(raw.split(b'"')[::2]).count(b":")


def _count_keys(value: Any, depth: int) -> int:
    if depth <= 0:
        raise InvalidJson(f"The JSON is nested deeper than {MAX_DEPTH} levels.")
    if type(value) is dict:
        total = len(value)
        for child in value.values():
            if type(child) is dict or type(child) is list:
                total += _count_keys(child, depth - 1)
        return total
    total = 0
    if type(value) is list:
        for child in value:
            if type(child) is dict or type(child) is list:
                total += _count_keys(child, depth - 1)
    return total


def _duplicate_key(raw: bytes) -> str:
    """The name of the first repeated key: only asked for when there is one."""
    found: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in items:
            if key in seen:
                found.append(key)
            seen.add(key)

    _stdlib.loads(raw, object_pairs_hook=pairs)
    return found[0][:64] if found else "(unknown)"
