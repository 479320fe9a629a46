"""What the search types share: escapes in values, prefixes, and how a value in a resource is visited."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fhir_server.outcomes import FhirError, Invalid, NotSupported
from fhir_server.search.fields import Field
from fhir_server.search.keys import Bounds, Draft, Sink, after, before
from fhir_server.search.paths import Leaf

Visit = Callable[[Any, Draft], None]
Indexer = Callable[[Sink, Leaf], Visit]

_PREFIX = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)(?=[^a-z])")


@dataclass(frozen=True, slots=True)
class Settings:
    """What reading values depends on: the server's own base URL and the time, microseconds since 1970."""

    base_url: str
    now: int


def split(text: str, separator: str) -> list[str]:
    r"""The parts between separators that no backslash protects; the escapes stay in.

    https://hl7.org/fhir/R4/search.html#escaping
    """
    if "\\" not in text:
        return text.split(separator)
    parts, start, position = [], 0, 0
    while position < len(text):
        if text[position] == "\\":
            position += 2
            continue
        if text[position] == separator:
            parts.append(text[start:position])
            start = position + 1
        position += 1
    parts.append(text[start:])
    return parts


def unescape(text: str) -> str:
    r"""The value meant: `\,` `\|` `\$` and `\\` stand for their second character."""
    return re.sub(r"\\([,|$\\])", r"\1", text) if "\\" in text else text


def wrong(field: Field, rule: str) -> FhirError:
    """The value of this parameter breaks a rule of its type. The value itself is not repeated: it may be PHI."""
    return Invalid(f"The value of search parameter '{field.parameter.code}' {rule}.")


def refuse_modifier(field: Field, modifier: str) -> FhirError:
    return NotSupported(
        f"Modifier ':{modifier[:64]}' is not supported for search parameter '{field.parameter.code}'"
        f" of type {field.parameter.type}."
    )


def prefix(text: str) -> tuple[str, str]:
    """The comparison and what is behind it: `ge2020` is ("ge", "2020"); without one it is `eq`."""
    match = _PREFIX.match(text)
    return (match[1], text[2:]) if match else ("eq", text)


def compare(comparison: str, low: float, high: float, around: float, *, key: str, width: float) -> tuple[Bounds, ...]:
    """The stored ranges that a search value from `low` to `high` (inclusive) finds, by the table of prefixes.

    `around` is how far `ap` reaches beyond both ends. https://hl7.org/fhir/R4/search.html#prefix
    """

    def bounds(**limits: float) -> Bounds:
        return Bounds(key, width, **limits)

    match comparison:
        case "eq":
            return (bounds(low_from=low, high_to=high),)
        case "ne":
            return (bounds(low_to=before(low)), bounds(high_from=after(high)))
        case "gt":
            return (bounds(high_from=after(high)),)
        case "lt":
            return (bounds(low_to=before(low)),)
        case "ge":
            return (bounds(high_from=low),)
        case "le":
            return (bounds(low_to=high),)
        case "sa":
            return (bounds(low_from=after(high)),)
        case "eb":
            return (bounds(high_to=before(low)),)
    return (bounds(low_to=high + around, high_from=low - around),)
