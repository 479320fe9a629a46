"""Search criteria on one resource type, held against single resources in memory.

What one resource alone does not show (chains, _has, lists, value sets, hierarchies) is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

import structlog

from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.outcomes import FhirError, Invalid, NotSupported, Unprocessable
from fhir_server.search import registry
from fhir_server.search.compile import compile
from fhir_server.search.keys import Criterion
from fhir_server.search.memory import matches
from fhir_server.search.parse import conditional
from fhir_server.search.query import Both, Condition, Either, Except, Filter, Known, Presence, Query

log = structlog.get_logger(__name__)

MAX_LENGTH = 4000  # characters
# What no change of is told: they are not kept as versions, or it is by them that subscriptions themselves work.
SILENT = {
    "AuditEvent": "the audit trail is no part of the changes",
    "Parameters": "it is never stored",
    "Subscription": "subscriptions do not follow subscriptions",
}
_CUSTOM = registry.number_text(registry.FIRST_CUSTOM)


class Criteria:
    """Criteria on a type ("status=finished&class=VR"); get them by `criteria()`, so that equal ones are one object."""

    __slots__ = ("__weakref__", "_filter", "_generation", "base_url", "keys", "text", "type")

    def __init__(self, type_: str, text: str, base_url: str, query: Query) -> None:
        self.type = type_
        self.text = text
        self.base_url = base_url
        self.keys = _keys(query)  # at least one of them is in View.keys of whatever fits; None: nothing to look up by
        self._filter = compile(query).filter
        self._generation = registry.generation()

    def holds(self, document: Mapping[str, Any] | None) -> bool:
        """Whether the resource with this search document fits; nothing fits where there is none."""
        if document is None or document.get("ty") != self.type:
            return False
        if self._generation != registry.generation():
            self._renew()
        return matches(self._filter, document)

    def _renew(self) -> None:
        """Custom search parameters have changed, and with them their numbers; what is gone leaves us as we were."""
        self._generation = registry.generation()
        try:
            self._filter = compile(_parse(self.type, self.text, self.base_url)).filter
        except FhirError as error:
            log.warning("criteria no longer understood", type=self.type, reason=error.code)


_known: WeakValueDictionary[tuple[str, str, str], Criteria] = WeakValueDictionary()


def criteria(type_: str, text: str, base_url: str) -> Criteria:
    """The criteria that this text stands for; the same object as long as equal ones are in use.

    Raises Unprocessable (422) when the type is unknown, or the text no search, or one that a resource alone does not
    answer.
    """
    query = _parse(type_, text, base_url)
    key = (type_, query.canonical(), base_url)
    found = _known.get(key)
    if found is None:
        found = _known[key] = Criteria(type_, text, base_url, query)
    return found


def _parse(type_: str, text: str, base_url: str) -> Query:
    if type_ not in RESOURCE_TYPES:
        raise Unprocessable("The criteria name no R4 resource type.", code="value")
    if len(text) > MAX_LENGTH:
        raise Unprocessable(f"Criteria are up to {MAX_LENGTH} characters long.", code="too-long")
    if "\0" in text or "%00" in text:
        raise Unprocessable("The criteria contain a NUL character.")
    try:
        query = _conditional(type_, text, base_url)
    except (Invalid, NotSupported) as error:
        issues = [replace(issue, severity="error") for issue in error.issues]
        raise Unprocessable(str(error), issues=issues) from None
    for one in query.filters:
        if not _is_own(one.condition):
            name = one.name[:64]
            raise Unprocessable(
                f"'{name}' asks for more than the resource itself, which a subscription is not judged by.",
                code="not-supported",
            )
    # `otherwise` only helps a database's index.
    return replace(query, filters=tuple(replace(one, otherwise=None) for one in query.filters))


def _conditional(type_: str, text: str, base_url: str) -> Query:
    try:
        return conditional(type_, text, base_url)
    except NotSupported as error:
        if error.issues[0].code != "incomplete":
            raise
    # A parameter that older resources lack keys of: here every resource is indexed anew, so it counts already.
    with _complete():
        return conditional(type_, text, base_url)


@contextmanager
def _complete() -> Iterator[None]:
    custom = [one for name in RESOURCE_TYPES for one in registry.parameters(name).values() if one.custom]
    with registry.trial(replace(one, complete=True) for one in custom):
        yield


def _is_own(condition: Condition) -> bool:
    """Whether nothing needs to be looked up for it."""
    if isinstance(condition, Both | Either):
        return all(_is_own(part) for part in condition.parts)
    if isinstance(condition, Except):
        return _is_own(condition.part)
    return isinstance(condition, Criterion | Presence | Known)


def coarseness(keys: frozenset[str]) -> tuple[int, int]:
    """How badly keys tell resources apart: ids are best, then references, then whatever has fewest."""
    if all(key[registry.NUMBER_WIDTH :][:1].isalpha() for key in keys):
        return 0, len(keys)  # "Patient/1", where other keys have their mark
    is_reference = all(key[registry.NUMBER_WIDTH :].startswith(">") for key in keys)
    return (1 if is_reference else 2), len(keys)


def are_of_patients(keys: frozenset[str]) -> bool:
    """Whether each is a reference to a patient, by a parameter that keeps its number."""
    return all(key[registry.NUMBER_WIDTH :].startswith(">Patient/") and key < _CUSTOM for key in keys)


def patients_keys(filter: Mapping[str, Any], patients: Set[str]) -> frozenset[str] | None:
    """Keys that refer to these patients, of which whatever fits a database's filter has one; None: it need not."""
    told = [keys for name, wanted in filter.items() if (keys := _patients_keys(name, wanted, patients)) is not None]
    return min(told, key=len, default=None)


def _patients_keys(name: str, wanted: Any, patients: Set[str]) -> frozenset[str] | None:
    if name in ("$and", "$or"):
        parts = [patients_keys(one, patients) for one in wanted]
        known = [keys for keys in parts if keys is not None]
        if name == "$and":
            return min(known, key=len, default=None)
        return frozenset().union(*known) if len(known) == len(parts) else None
    among = wanted.get("$in") if isinstance(wanted, Mapping) else [wanted]
    if name == "_id" and among == []:
        return frozenset()  # nothing fits
    if name != "k" or among is None:
        return None
    keys = frozenset(among)
    theirs = are_of_patients(keys) and all(key[registry.NUMBER_WIDTH + 1 :] in patients for key in keys)
    return keys if theirs else None


def _keys(query: Query) -> frozenset[str] | None:
    """The keys of the filter that tells resources apart best."""
    return min((keys for one in query.filters if (keys := _keys_of(one)) is not None), key=coarseness, default=None)


def _keys_of(one: Filter) -> frozenset[str] | None:
    wanted = one.condition
    if one.negated or not isinstance(wanted, Criterion):
        return None
    if wanted.ids and wanted == Criterion(ids=wanted.ids):
        return frozenset(wanted.ids)
    # The numbers of custom parameters change when their definitions do, so nothing is kept by them.
    if wanted != Criterion(keys=wanted.keys) or any(key[: registry.NUMBER_WIDTH] >= _CUSTOM for key in wanted.keys):
        return None
    return frozenset(wanted.keys)
