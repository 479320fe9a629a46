"""Syntax and target type of Reference.reference: https://hl7.org/fhir/R4/references.html#literal"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.validation.primitives import PRIMITIVES, Check, is_uri

_ID = r"[A-Za-z0-9\-.]{1,64}"
_RELATIVE = re.compile(rf"([A-Z][A-Za-z]+)/{_ID}(?:/_history/{_ID})?").fullmatch
_UUID = re.compile(r"urn:uuid:[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}").fullmatch
_OID = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+").fullmatch
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+").fullmatch
_RESTFUL = re.compile(rf"https?://\S+/({'|'.join(sorted(RESOURCE_TYPES))})/{_ID}(?:/_history/{_ID})?").fullmatch
_FRAGMENT = re.compile(rf"#(?:{_ID})?").fullmatch  # "#" alone: the resource that contains this one
_CONDITIONAL = re.compile(r"([A-Z][A-Za-z]+)\?\S+").fullmatch

_SYNTAX = (
    "A reference is relative (Type/id, with a known type), an absolute URL, urn:uuid:, urn:oid: or #id of a "
    "contained resource."
)


@cache
def reference_check(targets: tuple[str, ...]) -> Check:
    """The Check of Reference.reference where these resource types may be pointed to; () for all of them."""
    allowed = frozenset(targets) or RESOURCE_TYPES

    def test(value: Any) -> bool:
        if type(value) is not str:
            return False
        named = _RELATIVE(value) or _RESTFUL(value)
        return named[1] in allowed if named else _is_other(value)

    def problem(value: Any) -> tuple[str, str]:
        if not PRIMITIVES["string"].test(value):
            return PRIMITIVES["string"].problem(value)
        named = _RELATIVE(value) or _RESTFUL(value)
        if named and named[1] in RESOURCE_TYPES:
            return "value", f"This reference must be to one of: {', '.join(sorted(allowed))}."
        return "value", _SYNTAX

    return Check(test, problem)


def is_conditional(value: Any) -> bool:
    """Whether this is a search that stands for a reference inside a transaction (Patient?identifier=…)."""
    conditional = _CONDITIONAL(value) if type(value) is str else None
    return conditional is not None and conditional[1] in RESOURCE_TYPES


def _is_other(value: str) -> bool:
    """Everything but the relative form, the most frequent first."""
    if value.startswith("urn:"):
        if value.startswith("urn:uuid:"):
            return _UUID(value) is not None
        return _OID(value) is not None if value.startswith("urn:oid:") else is_uri(value)
    if value.startswith("#"):
        return _FRAGMENT(value) is not None
    return _ABSOLUTE(value) is not None and is_uri(value)
