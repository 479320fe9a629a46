"""A query string, or a form that stands for one, as decoded pairs in order.

https://hl7.org/fhir/R4/http.html#search · https://url.spec.whatwg.org/#urlencoded-parsing
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from fhir_server.outcomes import Invalid

MAX_PAIRS = 1000  # parameters of one search; comma lists within one are not counted
_zone_after_space = re.compile(r"(T\d\d:\d\d(?::\d\d(?:\.\d+)?)?) (\d\d:\d\d)")


def parse_pairs(query: bytes) -> list[tuple[str, str]]:
    """The name and value of each parameter; a cache-busting `_=…` is left out.

    A `+` before a time zone that was not escaped, and so reads as a space, is put back.
    Raises Invalid (400) for bytes that are no UTF-8, a NUL, and more than MAX_PAIRS parameters.
    """
    if not query:
        return []
    parts = query.split(b"&", MAX_PAIRS + 1)
    if len(parts) > MAX_PAIRS:
        raise Invalid(f"A query may have at most {MAX_PAIRS} parameters.")
    pairs = []
    for part in parts:
        name, _, value = part.partition(b"=")
        if not part or name == b"_":
            continue
        text = _decode(value)
        if " " in text:
            text = _zone_after_space.sub(r"\1+\2", text)
        pairs.append((_decode(name), text))
    return pairs


def _decode(part: bytes) -> str:
    if b"+" in part:
        part = part.replace(b"+", b" ")
    if b"%" in part:
        part = unquote_to_bytes(part)
    try:
        text = part.decode()
    except UnicodeDecodeError:
        raise Invalid("The query is not percent-encoded UTF-8.") from None
    if "\0" in text:
        raise Invalid("The query contains a NUL character.")
    return text
