"""A page's place in a search, as an opaque signed text: https://hl7.org/fhir/R4/http.html#paging"""

from __future__ import annotations

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import msgspec

from fhir_server.outcomes import Invalid

_SIGNATURE = 12  # bytes


@dataclass(frozen=True, slots=True)
class Position:
    """Behind (or, not forward, before) the row with these sort values.

    `seen` are the ids already shown that share the row's creation stamp. `moment` is the database's time (seconds
    and a counter) at which an order that may change was first read: every page shows that order.
    """

    values: tuple[Any, ...]
    seen: tuple[str, ...] = ()
    forward: bool = True
    moment: tuple[int, int] | None = None


def encode(position: Position, binding: str, secret: bytes) -> str:
    """The position as URL-safe text, good only for the query that `binding` names."""
    # The driver's 64-bit integers are a type of their own.
    content = msgspec.json.encode([position.values, position.seen, position.forward, position.moment], enc_hook=int)
    return urlsafe_b64encode(_sign(content, binding, secret) + content).decode().rstrip("=")


def decode(text: str, binding: str, secret: bytes) -> Position:
    """The position; raises Invalid (400) when the text was changed, or made for another query or server."""
    try:
        data = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        raise _refusal() from None
    signature, content = data[:_SIGNATURE], data[_SIGNATURE:]
    if not hmac.compare_digest(signature, _sign(content, binding, secret)):
        raise _refusal()
    values, seen, forward, moment = msgspec.json.decode(content)
    return Position(tuple(values), tuple(seen), forward, tuple(moment) if moment else None)


def _sign(content: bytes, binding: str, secret: bytes) -> bytes:
    # The content has a fixed beginning and end, so the two parts cannot run into each other.
    message = content + b"\0" + binding.encode(errors="surrogatepass")
    return blake2b(message, key=secret[:64], digest_size=_SIGNATURE).digest()


def _refusal() -> Invalid:  # type: ignore[valid-type]
    return Invalid("Parameter '_cursor' does not belong to this search; start again without it.")
