"""A group of entries as one document: exactly the bytes that are hashed, and what searches find them by.

{_id: "chain/0000000001", t: microseconds, p: hash of the group before, h: its own, e: entries as JSON text, k: keys}
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from bson.int64 import Int64

from fhir_server.audit.entry import MAX_PATIENTS, MAX_QUERY, Entry

Document = dict[str, Any]

MAX_ENTRIES = 500
MAX_CHARACTERS = 2_000_000  # of queries and patients in one group; a document holds 16 MB
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Entry]).decode
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


def document(key: bytes, chain: str, sequence: int, before: bytes, at: int, entries: Sequence[Entry]) -> Document:
    """The group that follows the one whose hash is `before`."""
    return _sealed(key, name(chain, sequence), before, at, encode(entries), keys(entries))


def closing(key: bytes, chain: str, sequence: int, before: bytes, at: int) -> Document:
    """The last group of a chain: whoever still believes to write there meets it and begins another."""
    return _sealed(key, name(chain, sequence), before, at, CLOSED, [])


def _sealed(key: bytes, id_: str, before: bytes, at: int, text: str, keys: list[str]) -> Document:
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


def encode(entries: Sequence[Entry]) -> str:
    """The entries as JSON text."""
    for entry in entries:
        if len(entry.query) > MAX_QUERY:
            entry.query = entry.query[:MAX_QUERY] + "…"
        if len(entry.patients) > MAX_PATIENTS:
            entry.patients = entry.patients[:MAX_PATIENTS]
    try:
        return _encode(entries).decode()
    except UnicodeEncodeError:  # half a surrogate pair in a query
        for entry in entries:
            entry.query = entry.query.encode(errors="replace").decode()
        return _encode(entries).decode()


def decode(text: str) -> list[Entry]:
    """The entries of a group, none of a closing one. Raises msgspec.DecodeError for what is no such text."""
    return _decode(text) if text else []


def keys(entries: Iterable[Entry]) -> list[str]:
    """What a group is found by: patients (p), users (a) and the resources (e) of its entries."""
    found: dict[str, None] = {}
    for entry in entries:
        for patient in entry.subjects:
            found["p" + patient] = None
        if entry.agent.user:
            found["a" + entry.agent.user] = None
        if entry.id:
            found[f"e{entry.type}/{entry.id}"] = None
    return list(found)


def portions(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """The entries in lists that each fit into a group."""
    portion: list[Entry] = []
    size = 0
    for entry in entries:
        length = min(len(entry.query), MAX_QUERY) + 64 * len(entry.patients)
        if portion and (len(portion) == MAX_ENTRIES or size + length > MAX_CHARACTERS):
            yield portion
            portion, size = [], 0
        portion.append(entry)
        size += length
    if portion:
        yield portion
