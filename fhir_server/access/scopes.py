"""SMART scopes, version 1 and 2, as what they allow.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl

from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.outcomes import FhirError, Invalid
from fhir_server.search.parse import conditional
from fhir_server.search.query import Query

ACTIONS = "cruds"
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}
_SHAPE = re.compile(r"(patient|user|system)/(\*|[A-Z][A-Za-z]{1,40})\.([a-z*]{1,8})(?:\?([^\s]{1,500}))?")
_V2 = re.compile(r"c?r?u?d?s?")
# A granular scope says what a resource itself is like: nothing that has to be looked up elsewhere.
_ORDINARY = re.compile(r"[a-z][a-z-]*|_id|_tag|_security|_profile")


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope for resources: whose (`level`), of which type ("*": all), which actions, and which of them."""

    level: str  # patient | user | system
    type: str
    actions: str  # of "cruds", in that order
    criterion: str = ""  # search parameters of a granular scope, "category=laboratory"

    def allows(self, type_: str, action: str) -> bool:
        """Whether the action on some resources of the type is within this scope."""
        return action in self.actions and self.type in ("*", type_)

    def query(self, type_: str) -> Query | None:
        """What a granular scope asks of a resource of the type; None when it asks nothing."""
        return _query(type_, self.criterion) if self.criterion else None

    def __str__(self) -> str:
        rest = f"?{self.criterion}" if self.criterion else ""
        return f"{self.level}/{self.type}.{self.actions}{rest}"


def parse_scope(text: str) -> Scope | None:
    """The scope for resources that the text is; None when it is none, or one this server cannot keep to.

    Version 1 (`read`, `write`, `*`) is understood as rs, cud and cruds. The letters of version 2 come in order.
    """
    found = _SHAPE.fullmatch(text)
    if found is None:
        return None
    level, type_, suffix, criterion = found.groups()
    actions = _V1.get(suffix) or (suffix if _V2.fullmatch(suffix) else "")
    if not actions or (type_ != "*" and type_ not in RESOURCE_TYPES):
        return None
    if criterion is not None and not _is_criterion(type_, criterion):
        return None
    return Scope(level, type_, actions, criterion or "")


def resource_scopes(text: str) -> tuple[Scope, ...]:
    """Those of a space separated list that are scopes for resources."""
    return tuple(scope for word in text.split() if (scope := parse_scope(word)) is not None)


def _is_criterion(type_: str, criterion: str) -> bool:
    """Whether a granular scope can be kept to: parameters of one type that are answered from its own keys."""
    if type_ == "*" or any(not _ORDINARY.fullmatch(n) for n, _ in parse_qsl(criterion, keep_blank_values=True)):
        return False
    try:
        return _query(type_, criterion).filters != ()
    except FhirError:
        return False


@lru_cache(512)
def _query(type_: str, criterion: str) -> Query:
    if "\0" in criterion or "%00" in criterion:
        raise Invalid("A scope contains a NUL character.")
    return conditional(type_, criterion, "")
