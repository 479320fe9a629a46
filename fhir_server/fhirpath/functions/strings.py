"""https://hl7.org/fhirpath/N1/#string-manipulation · additional: https://hl7.org/fhirpath/#additional-string-functions"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from typing import Any

from fhir_server.fhirpath import pattern
from fhir_server.fhirpath.code import Code, of_items, of_value
from fhir_server.fhirpath.dates import Moment
from fhir_server.fhirpath.environment import Items, State
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.functions.registry import Call, function, scalar
from fhir_server.fhirpath.operators import check_length, text
from fhir_server.fhirpath.types import system_node, system_value

_JSON_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_COSTLY = 10  # steps of a regular expression
_TEXT = (str, Moment)  # a FHIR date is a string too


@scalar("indexOf", _TEXT, (str,))
def index_of(value: Any, part: str) -> int:
    return str(value).find(part)


@scalar("lastIndexOf", _TEXT, (str,))
def last_index_of(value: Any, part: str) -> int:
    return str(value).rfind(part)


@scalar("substring", _TEXT, (int,), (int,), optional=1)
def substring(value: Any, start: int, length: int | None = None) -> str | None:
    whole = str(value)
    if not 0 <= start < len(whole):
        return None
    return whole[start:] if length is None else whole[start : start + max(length, 0)]


@scalar("startsWith", _TEXT, (str,))
def starts_with(value: Any, prefix: str) -> bool:
    return str(value).startswith(prefix)


@scalar("endsWith", _TEXT, (str,))
def ends_with(value: Any, suffix: str) -> bool:
    return str(value).endswith(suffix)


@scalar("contains", _TEXT, (str,))
def contains(value: Any, part: str) -> bool:
    return part in str(value)


@scalar("upper", _TEXT)
def upper(value: Any) -> str:
    return str(value).upper()


@scalar("lower", _TEXT)
def lower(value: Any) -> str:
    return str(value).lower()


@scalar("length", _TEXT)
def length(value: Any) -> int:
    return len(str(value))


@scalar("trim", _TEXT)
def trim(value: Any) -> str:
    return str(value).strip()


@scalar("replace", _TEXT, (str,), (str,))
def replace(value: Any, part: str, substitution: str) -> str:
    whole = str(value)
    check_length(len(whole) + whole.count(part) * (len(substitution) - len(part)))
    return whole.replace(part, substitution)


# ---- regular expressions -----------------------------------------------------------------------------


@scalar("matches", _TEXT, (str,), cost=_COSTLY)
def matches(value: Any, expression: str) -> bool:
    return pattern.compile(expression).search(str(value))


@scalar("matchesFull", _TEXT, (str,), cost=_COSTLY)
def matches_full(value: Any, expression: str) -> bool:
    return pattern.compile(expression).fullmatch(str(value))


@scalar("replaceMatches", _TEXT, (str,), (str,), cost=_COSTLY)
def replace_matches(value: Any, expression: str, substitution: str) -> str:
    return str(value) if not expression else text(pattern.replace(expression, str(value), substitution))


# ---- lists -------------------------------------------------------------------------------------------


@function("toChars")
def to_chars(call: Call) -> Code:
    def items(state: State, this: Items) -> Items:
        value = _string(call.input.value(state, this))
        state.spend(len(value or ""))
        return [system_node(character) for character in value or ""]

    return of_items(items)


@function("split", 1)
def split(call: Call) -> Code:
    def items(state: State, this: Items) -> Items:
        value, separator = _string(call.input.value(state, this)), _string(call.arguments[0].value(state, this))
        if value is None or separator is None:
            return []
        state.spend(len(value))
        parts = value.split(separator) if separator else list(value)
        return [system_node(part) for part in parts]

    return of_items(items)


@function("join", 0, 1)
def join(call: Call) -> Code:
    def value(state: State, this: Items) -> Any:
        separator = "" if not call.arguments else _string(call.arguments[0].value(state, this))
        parts = [system_value(item) for item in call.input.items(state, this)]
        texts = [part for each in parts if (part := _string(each)) is not None]
        if not texts:
            return None
        separator = separator or ""
        check_length(sum(map(len, texts)) + len(separator) * len(texts))
        return state.made(separator.join(texts))

    return of_value(value)


def _string(value: Any) -> str | None:
    """A System value as the string it is; raises FhirPathError when it is none."""
    if type(value) not in (str, type(None), Moment):
        raise FhirPathError("The expression needs a string, and has something else.")
    return None if value is None else str(value)


# ---- encodings ---------------------------------------------------------------------------------------


@scalar("encode", _TEXT, (str,))
def encode(value: Any, encoding: str) -> str | None:
    data = str(value).encode("utf-8", "replace")
    match encoding:
        case "hex":
            return text(data.hex())
        case "base64":
            return text(base64.b64encode(data).decode("ascii"))
        case "urlbase64":
            return text(base64.urlsafe_b64encode(data).decode("ascii"))
    return None


@scalar("decode", _TEXT, (str,))
def decode(value: Any, encoding: str) -> str | None:
    try:
        data = str(value).encode("ascii")
        match encoding:
            case "hex":
                return binascii.unhexlify(data).decode()
            case "base64":
                return base64.b64decode(data, validate=True).decode()
            case "urlbase64":
                return base64.b64decode(data, altchars=b"-_", validate=True).decode()
    except ValueError:
        raise FhirPathError("decode() is given what is not so encoded.") from None
    return None


@scalar("escape", _TEXT, (str,))
def escape(value: Any, target: str) -> str | None:
    match target:
        case "html":
            return text(html.escape(str(value)))
        case "json":
            return text(json.dumps(str(value), ensure_ascii=False)[1:-1])
    return None


@scalar("unescape", _TEXT, (str,))
def unescape(value: Any, target: str) -> str | None:
    match target:
        case "html":
            return html.unescape(str(value))
        case "json":
            # What is not escaped stays: a quote may stand there as it is.
            return _JSON_ESCAPE.sub(lambda found: str(json.loads(f'"{found[0]}"')), str(value))
    return None
