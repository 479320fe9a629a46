"""The parameters that every resource type has: https://hl7.org/fhir/R4/search.html#all."""

from __future__ import annotations

from collections.abc import Callable

from fhir_server.outcomes import Invalid, NotSupported
from fhir_server.search.keys import Criterion
from fhir_server.search.query import Either, Filter, Listed
from fhir_server.search.registry import type_number
from fhir_server.search.scope import Scope, Unknown, listed
from fhir_server.search.text import text
from fhir_server.search.types import date
from fhir_server.search.types.values import unescape


def _modifier(name: str, *allowed: str) -> str:
    code, _, modifier = name.partition(":")
    if modifier not in ("", *allowed):
        raise NotSupported(f"Modifier ':{modifier[:64]}' is not supported for search parameter '{code}'.")
    return modifier


def _always(scope: Scope, name: str, value: str) -> Filter:
    """`_id:missing` and the like: every resource has one."""
    if value not in ("true", "false"):
        raise Invalid(f"The value of '{name[:64]}' is either true or false.")
    numbers = tuple(type_number(one) for one in scope.types)
    return Filter(name, value, Criterion(keys=numbers if value == "false" else ()))


def _id(scope: Scope, name: str, value: str) -> Filter:
    if name.endswith(":missing"):
        return _always(scope, name, value)
    negated = _modifier(name, "not") == "not"
    values = listed(name, value)
    wanted: list[str] = []
    for one in values:
        of_type, slash, id_ = unescape(one).rpartition("/")
        wanted += [f"{type_}/{id_}" for type_ in scope.types if not slash or type_ == of_type]
    return Filter(name, ",".join(sorted(set(values))), Criterion(ids=tuple(wanted)), negated=negated)


def _last_updated(scope: Scope, name: str, value: str) -> Filter:
    if name.endswith(":missing"):
        return _always(scope, name, value)
    _modifier(name)
    values = listed(name, value)
    spans: list[tuple[int | None, int | None]] = []
    for one in values:
        try:
            comparison, low, high, around = date.searched(one, scope.settings)
        except ValueError:
            raise Invalid("The value of search parameter '_lastUpdated' is not a date.") from None
        spans += _moments(comparison, low, high, around)
    return Filter(name, ",".join(sorted(set(values))), Criterion(updated=tuple(spans)))


def _moments(comparison: str, low: int, high: int, around: int) -> list[tuple[int | None, int | None]]:
    """The times, first and last, that the comparison allows; a stored instant has no width."""
    match comparison:
        case "eq":
            return [(low, high)]
        case "ne":
            return [(None, low - 1), (high + 1, None)]
        case "gt" | "sa":
            return [(high + 1, None)]
        case "lt" | "eb":
            return [(None, low - 1)]
        case "ge":
            return [(low, None)]
        case "le":
            return [(None, high)]
    return [(low - around, high + around)]


def _list(scope: Scope, name: str, value: str) -> Filter:
    _modifier(name)
    values = [unescape(one).removeprefix("List/") for one in listed(name, value)]
    for one in values:
        if one.startswith("$"):
            raise Unknown(NotSupported(f"The functional list '{one[:64]}' is not supported; name a List by its id."))
    lists = tuple(Listed(one, scope.types) for one in values)
    return Filter(name, ",".join(sorted(set(values))), lists[0] if len(lists) == 1 else Either(lists))


PARAMETERS: dict[str, Callable[[Scope, str, str], Filter]] = {
    "_id": _id,
    "_lastUpdated": _last_updated,
    "_list": _list,
    "_text": text,
    "_content": text,
}
