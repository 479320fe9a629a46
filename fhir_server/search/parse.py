"""The pairs of a query string become a Query: https://hl7.org/fhir/R4/search.html.

Nothing unknown is passed over in silence: it is refused (400), or named in `Query.ignored` when lenient.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.outcomes import FhirError, Invalid, Issue, NotSupported
from fhir_server.search import controls
from fhir_server.search.fields import Field, fields
from fhir_server.search.keys import Criterion, beginning, wide
from fhir_server.search.query import Filter, Query
from fhir_server.search.registry import parameters
from fhir_server.search.types import date, search_type
from fhir_server.search.types.values import Settings, split, unescape

MAX_PARAMETERS = 200
MAX_VALUES = 1000  # of one comma list
MAX_WIDTH = 10_000  # of one `$in`, over all types searched
_EVERY_TYPE = tuple(sorted(RESOURCE_TYPES))
_LATER = {
    "_has": "Reverse chaining (_has)",
    "_filter": "Parameter '_filter'",
    "_list": "Parameter '_list'",
    "_query": "Parameter '_query'",
    "_text": "Parameter '_text'",
    "_content": "Parameter '_content'",
    "_contained": "Parameter '_contained'",
    "_containedType": "Parameter '_containedType'",
}
_NOT_YET = {
    "text": "_text",
    "in": "value sets",
    "not-in": "value sets",
    "above": "hierarchies",
    "below": "hierarchies",
    "of-type": "identifier types",
}


@dataclass(frozen=True, slots=True)
class _Search:
    """What the whole query is read against."""

    types: tuple[str, ...]
    settings: Settings
    lenient: bool


def parse(
    resource_type: str | None,
    pairs: Sequence[tuple[str, str]],
    *,
    base_url: str,
    lenient: bool = False,
    compartment: tuple[str, str] | None = None,
    default_count: int = 20,
    max_count: int = 1000,
    now: int | None = None,
) -> Query:
    """The query that these decoded pairs ask for; `resource_type` None searches all types, or those of `_type`.

    `base_url` is absolute without a slash behind, `now` microseconds since 1970. Raises Invalid or NotSupported
    (400), naming the parameter.
    """
    if len(pairs) > MAX_PARAMETERS:
        raise Invalid(f"A search takes up to {MAX_PARAMETERS} parameters.")
    types = _types(resource_type, pairs)
    moment = time.time_ns() // 1000 if now is None else now
    search = _Search(types, Settings(base_url, moment), lenient)
    query = Query(types, compartment=compartment, count=default_count)
    filters: list[Filter] = []
    used: list[tuple[str, str]] = []
    ignored: list[Issue] = []
    for name, value in pairs:
        if name in controls.UNSEEN:
            continue
        try:
            if name.partition(":")[0] in controls.CONTROLS:
                query = controls.read(query, name, value, max_count)
            elif value.strip() == "":
                raise Invalid(f"Search parameter '{name[:64]}' has no value.")
            else:
                filters.append(_bounded(_filter(search, name, value)))
            used.append((name, value))
        except _Unknown as unknown:
            if not lenient:
                raise unknown.error from None
            ignored.extend(replace(issue, severity="warning") for issue in unknown.error.issues)
    if query.summary == "text" and (query.includes or query.revincludes):
        raise Invalid("Includes cannot be combined with _summary=text.")
    return replace(query, filters=tuple(filters), used=tuple(used), ignored=tuple(ignored))


def conditional(resource_type: str, criterion: str, base_url: str) -> Query:
    """The query of a conditional interaction: "identifier=system|value", percent-encoded, a leading "Type?" allowed.

    Raises Invalid (400) for an empty criterion and for parameters that shape a result instead of choosing resources.
    """
    text = criterion.strip().removeprefix(resource_type).removeprefix("?")
    pairs = [pair for pair in parse_qsl(text, keep_blank_values=True) if pair[0] not in ("_format", "_pretty")]
    for name, _ in pairs:
        if name.partition(":")[0] in controls.CONTROLS or name in controls.UNSEEN:
            raise Invalid(f"A condition cannot use '{name[:64]}'.")
    if not pairs:
        raise Invalid("A condition needs at least one search parameter.")
    return parse(resource_type, pairs, base_url=base_url)


def _types(resource_type: str | None, pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The types searched: the URL's, limited by each `_type`."""
    chosen = (resource_type,) if resource_type else _EVERY_TYPE
    for name, value in pairs:
        if name == "_type":
            asked = [text.strip() for text in value.split(",") if text.strip()]
            for text in asked:
                if text not in RESOURCE_TYPES:
                    raise Invalid(f"'{text[:64]}' in parameter '_type' is not a resource type.")
            if not asked:
                raise Invalid("Search parameter '_type' has no value.")
            chosen = tuple(one for one in chosen if one in asked)
    return chosen


class _Unknown(Exception):
    """A parameter that is not known or not there yet: `handling=lenient` may pass over it."""

    def __init__(self, error: FhirError) -> None:
        super().__init__(str(error))
        self.error = error


def _filter(search: _Search, name: str, value: str) -> Filter:
    code, _, modifier = name.partition(":")
    if code in _LATER:
        raise _Unknown(NotSupported(f"{_LATER[code]} is not supported yet."))
    if "." in name:
        raise _Unknown(NotSupported(f"Chained parameters are not supported yet: '{name[:64]}'."))
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Invalid(f"Search parameter '{code[:64]}' is not valid Unicode.") from None
    values = split(value, ",")
    if len(values) > MAX_VALUES:
        raise Invalid(f"Search parameter '{code[:64]}' takes up to {MAX_VALUES} values.")
    if any(not text for text in values):
        raise Invalid(f"Search parameter '{code[:64]}' has an empty value in its list.")
    text = ",".join(sorted(set(values)))
    if code == "_id":
        return Filter(name, text, _ids(search, modifier, values), negated=modifier == "not")
    if code == "_lastUpdated":
        return Filter(name, text, _updated(search, modifier, values))
    found = [_field(type_name, code, alone=len(search.types) == 1) for type_name in search.types]
    if modifier == "missing":
        return Filter(name, text, _presence(found), negated=_missing(code, value))
    return Filter(
        name,
        text,
        _criterion(found, modifier, values, search.settings),
        negated=modifier == "not",
        single=len(found) == 1 and not found[0].many,
    )


def _bounded(one: Filter) -> Filter:
    if len(one.criterion.keys) + len(one.criterion.ids or ()) > MAX_WIDTH:
        raise Invalid(f"Search parameter '{one.code[:64]}' has too many values for so many resource types.")
    return one


def _field(type_name: str, code: str, *, alone: bool) -> Field:
    field = fields(type_name).get(code)
    if field is not None:
        return field
    if not alone:
        raise _Unknown(
            Invalid(f"Search parameter '{code[:64]}' is not common to all types searched ({type_name} has none).")
        )
    parameter = parameters(type_name).get(code)
    if parameter is not None:
        kind = f"of type {parameter.type}" if parameter.type in ("composite", "special") else ""
        raise _Unknown(NotSupported(f"Search parameter '{code}' {kind} of {type_name} is not supported yet."))
    near = difflib.get_close_matches(code, [*fields(type_name), "_id", "_lastUpdated"], n=3)
    hint = f" Near it are: {', '.join(near)}." if near else ""
    raise _Unknown(Invalid(f"{type_name} has no search parameter '{code[:64]}'.{hint}"))


def _criterion(found: Iterable[Field], modifier: str, values: Iterable[str], settings: Settings) -> Criterion:
    """Any of the values, in any of the types."""
    every = Criterion()
    for field in found:
        kind = search_type(field.parameter.type)
        if modifier in _NOT_YET and modifier not in kind.MODIFIERS:
            raise NotSupported(
                f"Modifier ':{modifier}' ({_NOT_YET[modifier]}) is not supported yet for search parameter"
                f" '{field.parameter.code}'."
            )
        for value in values:
            every |= kind.criterion(field, modifier, value, settings)
    return every


def _missing(code: str, value: str) -> bool:
    if value not in ("true", "false"):
        raise Invalid(f"The value of '{code}:missing' is either true or false.")
    return value == "true"


def _presence(found: Iterable[Field]) -> Criterion:
    """Any value at all: all keys of the parameter, or any of its ranges."""
    every = Criterion()
    for field in found:
        for source in field.sources:
            if field.parameter.type in ("date", "number", "quantity"):
                every |= Criterion(range_keys=(source.number, wide(source.number)))
            else:
                mark = f">{source.target}/" if source.target else ""
                every |= Criterion(between=(beginning(source.number + mark),))
    return every


def _ids(search: _Search, modifier: str, values: Iterable[str]) -> Criterion:
    if modifier not in ("", "not"):
        raise NotSupported(f"Modifier ':{modifier[:64]}' is not supported for search parameter '_id'.")
    wanted: list[str] = []
    for value in values:
        text = unescape(value)
        of_type, slash, id_ = text.rpartition("/")
        wanted += [f"{one}/{id_}" for one in search.types if not slash or one == of_type]
    return Criterion(ids=tuple(wanted))


def _updated(search: _Search, modifier: str, values: Iterable[str]) -> Criterion:
    if modifier:
        raise NotSupported(f"Modifier ':{modifier[:64]}' is not supported for search parameter '_lastUpdated'.")
    spans: list[tuple[int | None, int | None]] = []
    for value in values:
        try:
            comparison, low, high, around = date.searched(value, search.settings)
        except ValueError:
            raise Invalid("The value of search parameter '_lastUpdated' is not a date.") from None
        spans += _moments(comparison, low, high, around)
    return Criterion(updated=tuple(spans))


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
