"""Each primitive type as one test of a JSON value: exact JSON type, lexical form, range, real calendar dates.

https://hl7.org/fhir/R4/datatypes.html#primitive
The regular expressions of dates, time, id, oid and uuid are the published ones.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from fhir_server.definitions import type_definition

Test = Callable[[Any], bool]

MAX_STRING = 1024 * 1024  # characters; https://hl7.org/fhir/R4/datatypes.html#string
MAX_INTEGER = 2**31 - 1
MIN_INTEGER = -(2**31)
MAX_DIGITS = 100  # of a decimal: digits written, and powers of ten either way
MAX_EXPONENT = 308

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]").search
_SPACE = re.compile(r"[\s\x00-\x1f]").search


@dataclass(frozen=True, slots=True)
class Check:
    """A test of one JSON value, and for a value that fails it the issue code and the rule that is broken."""

    test: Test
    problem: Callable[[Any], tuple[str, str]]


def lexical(json_type: str, test: Test, rule: str) -> Check:
    """A Check for one of the JSON types string, boolean or number."""

    def problem(value: Any) -> tuple[str, str]:
        if json_name(value) != json_type:
            return "structure", f"This must be a JSON {json_type}, not {_article(json_name(value))}."
        if value == "":
            return "value", "A string must not be empty."
        return "value", rule

    return Check(test, problem)


def json_name(value: Any) -> str:
    """What JSON calls this value."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float | Decimal):
        return "number"
    if value is None:
        return "null"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def _article(name: str) -> str:
    return name if name == "null" else f"an {name}" if name in ("array", "object") else f"a {name}"


def is_boolean(value: Any) -> bool:
    return value is True or value is False


def is_string(value: Any) -> bool:
    """Characters below U+0020 other than tab, CR and LF are refused; printable text needs no search for them."""
    return type(value) is str and 0 < len(value) <= MAX_STRING and (value.isprintable() or not _CONTROL(value))


def is_uri(value: Any) -> bool:
    """No whitespace. A printable string has none but the space, so the expression is seldom needed."""
    return type(value) is str and value != "" and " " not in value and (value.isprintable() or not _SPACE(value))


def is_code(value: Any) -> bool:
    """No whitespace but single spaces within."""
    if type(value) is not str or not value:
        return False
    if " " not in value:
        return value.isprintable() or not _SPACE(value)
    return all(part and not _SPACE(part) for part in value.split(" "))


def is_integer(value: Any) -> bool:
    return type(value) is int and MIN_INTEGER <= value <= MAX_INTEGER


def is_positive_int(value: Any) -> bool:
    return type(value) is int and 0 < value <= MAX_INTEGER


def is_unsigned_int(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_INTEGER


def is_decimal(value: Any) -> bool:
    """Any JSON number within reason: 1E+999999999 is legal JSON, and nobody's measurement."""
    if type(value) is Decimal:
        _, digits, exponent = value.as_tuple()
        if type(exponent) is not int or len(digits) > MAX_DIGITS:
            return False
        return exponent >= -MAX_EXPONENT and exponent + len(digits) <= MAX_EXPONENT
    return type(value) is int and abs(value) < 10**MAX_DIGITS


def is_base64(value: Any) -> bool:
    """Readers shall ignore whitespace, so it is no error."""
    if type(value) is not str or not value:
        return False
    try:
        binascii.a2b_base64(value, strict_mode=True)
    except ValueError:  # binascii.Error is one
        compact = "".join(value.split())
        if not compact or compact == value:
            return False
        try:
            binascii.a2b_base64(compact, strict_mode=True)
        except ValueError:
            return False
    return True


def _published(name: str) -> Test:
    match = re.compile(type_definition(name).regex, re.ASCII).fullmatch
    return lambda value: type(value) is str and match(value) is not None


def _calendar(name: str) -> Test:
    """The published expression, and a day that exists: every month has 28."""
    match = re.compile(type_definition(name).regex, re.ASCII).fullmatch

    def test(value: Any) -> bool:
        return type(value) is str and match(value) is not None and (value[8:10] < "29" or _exists(value))

    return test


def _exists(value: str) -> bool:
    try:
        date(int(value[:4]), int(value[5:7]), int(value[8:10]))
    except ValueError:
        return False
    return True


_URI = lexical("string", is_uri, "A URI must not contain whitespace.")
_STRING = lexical(
    "string", is_string, f"A string has at most {MAX_STRING} characters and no control characters but tab, CR and LF."
)

PRIMITIVES: dict[str, Check] = {
    "boolean": lexical("boolean", is_boolean, "A boolean is true or false."),
    "integer": lexical("number", is_integer, "An integer is a whole number of 32 bits, without point or exponent."),
    "positiveInt": lexical("number", is_positive_int, f"A positiveInt is a whole number from 1 to {MAX_INTEGER}."),
    "unsignedInt": lexical("number", is_unsigned_int, f"An unsignedInt is a whole number from 0 to {MAX_INTEGER}."),
    "decimal": lexical(
        "number", is_decimal, f"A decimal has at most {MAX_DIGITS} digits and an exponent within {MAX_EXPONENT}."
    ),
    "string": _STRING,
    "markdown": _STRING,
    "uri": _URI,
    "url": _URI,
    "canonical": _URI,
    "code": lexical("string", is_code, "A code has no whitespace but single spaces within."),
    "id": lexical("string", _published("id"), "An id has 1 to 64 characters out of A-Z a-z 0-9 - and point."),
    "oid": lexical("string", _published("oid"), "An OID is written urn:oid:1.2.3."),
    "uuid": lexical("string", _published("uuid"), "A UUID is written urn:uuid: and 36 lower-case characters."),
    "base64Binary": lexical("string", is_base64, "Content must be base64 (RFC 4648), with its padding."),
    "date": lexical("string", _calendar("date"), "A date is YYYY, YYYY-MM or YYYY-MM-DD and must exist."),
    "dateTime": lexical(
        "string",
        _calendar("dateTime"),
        "A dateTime is YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+zz:zz (a time has seconds and a zone), "
        "and its date must exist.",
    ),
    "instant": lexical(
        "string", _calendar("instant"), "An instant is YYYY-MM-DDThh:mm:ss+zz:zz, and its date must exist."
    ),
    "time": lexical("string", _published("time"), "A time is hh:mm:ss, without a zone."),
}
