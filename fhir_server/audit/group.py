"""A group of entries as one document: exactly the bytes that are hashed, and what searches find them by.

{_id: "chain/0000000001", t: microseconds, p: hash of the group before, h: its own, e: lines of entries, k: keys}
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from typing import Any

from bson.int64 import Int64

from fhir_server.audit.lines import Lines, keys

Document = dict[str, Any]

CLOSED = ""  # the entries of the last group of a chain


def name(chain: str, sequence: int) -> str:
    """The `_id` of a group."""
    return f"{chain}/{sequence:010d}"


def place(id_: str) -> tuple[str, int]:
    """Chain and sequence number of an `_id`; ValueError for what is none."""
    chain, _, digits = id_.partition("/")
    if len(digits) != 10 or not digits.isdecimal():
        raise ValueError("not the id of a group")
    return chain, int(digits)


def document(key: bytes, chain: str, sequence: int, before: bytes, at: int, lines: Lines) -> Document:
    """The group that follows the one whose hash is `before`."""
    return _sealed(key, name(chain, sequence), before, at, lines.text(), keys(lines.entries))


def closing(key: bytes, chain: str, sequence: int, before: bytes, at: int) -> Document:
    """The last group of a chain: whoever still believes to write there meets it and begins another."""
    return _sealed(key, name(chain, sequence), before, at, CLOSED, [])


def _sealed(key: bytes, id_: str, before: bytes, at: int, text: str, keys: list[int]) -> Document:
    sealed = seal(key, id_, before, at, text)
    return {"_id": id_, "t": Int64(at), "p": before, "h": sealed, "k": keys, "e": text}


def seal(key: bytes, id_: str, before: bytes, at: int, text: str) -> bytes:
    """HMAC-SHA-256 over all that a group says, its place included."""
    head = b"%s\0%s%s" % (id_.encode(), before, at.to_bytes(8, "big", signed=True))
    return hmac.digest(key, head + text.encode(), "sha256")


def sealed_by(keys: Iterable[bytes], group: Mapping[str, Any], id_: str | None = None) -> bytes | None:
    """The key that sealed the group (at another place, when `id_` is given); None when it is not as it was sealed."""
    try:
        content = (id_ or group["_id"], bytes(group["p"]), int(group["t"]), group["e"])
        sealed = bytes(group["h"])
        return next((key for key in keys if hmac.compare_digest(seal(key, *content), sealed)), None)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None
