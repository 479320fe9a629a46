"""The words of an expression: https://hl7.org/fhirpath/N1/#lexical-elements"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fhir_server.fhirpath import dates
from fhir_server.fhirpath.errors import MAX_LENGTH, FhirPathError

_TIME = r"[0-9]{2}(?::[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?"
_DATE = r"[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?"
_WORDS = re.compile(
    rf"""
      (?P<space>(?:[\s\ufeff]+|//[^\r\n]*|/\*(?s:.*?)\*/)+)
    | (?P<moment>@(?:T{_TIME}|{_DATE}(?:T(?:{_TIME}(?:Z|[+-][0-9]{{2}}:[0-9]{{2}})?)?)?))
    | (?P<number>[0-9]+(?:\.[0-9]+)?)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<quoted>`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*")
    | (?P<string>'(?:[^'\\]|\\.)*')
    | (?P<special>\$(?:this|index|total)\b)
    | (?P<symbol><=|>=|!=|!~|[-+*/&|<>=~.,()\[\]{{}}%])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_ESCAPES = {"f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_LARGEST_INTEGER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Token:
    """A word: its kind (name, quoted, literal, number, special, symbol or end), its text or value, and where it is."""

    kind: str
    value: Any
    position: int


def tokens(expression: str) -> list[Token]:
    """All words, then one of the kind "end"; raises FhirPathError where there is none."""
    if len(expression) > MAX_LENGTH:
        raise FhirPathError(f"The expression is longer than {MAX_LENGTH} characters.")
    found: list[Token] = []
    position = 0
    while position < len(expression):
        match = _WORDS.match(expression, position)
        if match is None:
            raise malformed(position)
        if match.lastgroup != "space":
            found.append(_token(str(match.lastgroup), match[0], position))
        position = match.end()
    return [*found, Token("end", "", position)]


def malformed(position: int) -> FhirPathError:
    return FhirPathError(f"The expression is not FHIRPath, at position {position}.")


def _token(kind: str, text: str, position: int) -> Token:
    match kind:
        case "moment":
            moment = dates.literal(text[1:])
            if moment is None:
                raise malformed(position)
            return Token("literal", moment, position)
        case "number":
            whole = "." not in text and len(text) <= 10 and int(text) <= _LARGEST_INTEGER
            return Token("number", int(text) if whole else Decimal(text), position)
        case "string":
            return Token("literal", _unescaped(text), position)
        case "quoted":
            return Token("quoted", _unescaped(text), position)
        case "special":
            return Token("special", text[1:], position)
    return Token(kind, text, position)


def _unescaped(text: str) -> str:
    # An unknown escape is the character itself, as in the reference implementation and in published constraints.
    return _ESCAPE.sub(lambda found: _escape(found[1]), text[1:-1])


def _escape(code: str) -> str:
    return chr(int(code[1:], 16)) if len(code) > 1 else _ESCAPES.get(code, code)
