"""The syntax of search values and names: https://hl7.org/fhir/R4/search.html#escaping"""

from __future__ import annotations

import re
from typing import NamedTuple

from fhir_server.definitions import RESOURCE_TYPES

CONTROLS = {
    "_count", "_elements", "_include", "_revinclude", "_sort", "_summary", "_total", "_format", "_pretty", "_type",
}  # fmt: skip
_PREFIX = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)(?=[-+.\d])")


class NotASearch(ValueError):
    """The query breaks the rules of the page, or asks for what the oracle leaves out (ap, :in, subsumption)."""


class Name(NamedTuple):
    """The name of a parameter: its code, its modifier, and after a point what is asked of the target."""

    code: str
    modifier: str = ""
    rest: str = ""


def name_of(text: str) -> Name:
    """`subject:Patient.name:exact` → Name("subject", "Patient", "name:exact")."""
    head, _, rest = text.partition(".")
    code, _, modifier = head.partition(":")
    return Name(code, modifier, rest)


def is_type(modifier: str) -> bool:
    """Whether a modifier is the name of a resource type."""
    return modifier in RESOURCE_TYPES


def split(text: str, separator: str) -> list[str]:
    """The parts between separators that have no backslash before them; escapes stay."""
    parts, start, position = [], 0, 0
    while position < len(text):
        if text[position] == "\\":
            position += 2
            continue
        if text[position] == separator:
            parts.append(text[start:position])
            start = position + 1
        position += 1
    return [*parts, text[start:]]


def unescape(text: str) -> str:
    """The text that is meant."""
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def escape(text: str) -> str:
    """The text as it is written in a search."""
    return re.sub(r"([\\,$|])", r"\\\1", text)


def prefixed(text: str) -> tuple[str, str]:
    """The prefix of a number, date or quantity, `eq` when there is none, and the rest."""
    match = _PREFIX.match(text)
    return (match[1], text[2:]) if match else ("eq", text)
