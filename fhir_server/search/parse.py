"""The pairs of a query string become a Query: https://hl7.org/fhir/R4/search.html.

Nothing unknown is passed over in silence: it is refused (400), or named in `Query.ignored` when lenient.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from urllib.parse import parse_qsl

from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.outcomes import Invalid, Issue, NotSupported
from fhir_server.search import controls, general
from fhir_server.search.chain import chain, has
from fhir_server.search.cost import MAX_COST, cost
from fhir_server.search.criteria import ordinary
from fhir_server.search.filter import filtered
from fhir_server.search.query import Filter, Query
from fhir_server.search.restrictions import check_once
from fhir_server.search.scope import Scope, Unknown
from fhir_server.search.types.values import Settings

MAX_PARAMETERS = 200
_EVERY_TYPE = tuple(sorted(RESOURCE_TYPES))
_NEVER = {"_query": "this server has no named queries"}


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
    if sum(name.startswith(("_include", "_revinclude")) for name, _ in pairs) > controls.MAX_INCLUDES:
        raise Invalid(f"A search takes up to {controls.MAX_INCLUDES} includes.")
    types = _types(resource_type, pairs)
    moment = time.time_ns() // 1000 if now is None else now
    scope = Scope(types, Settings(base_url, moment))
    query = Query(types, compartment=compartment, count=default_count)
    filters: list[Filter] = []
    used: list[tuple[str, str]] = []
    ignored: list[Issue] = []
    total = 0
    for name, value in controls.once(pairs):
        try:
            if name.partition(":")[0] in controls.CONTROLS:
                query = controls.read(query, name, value, max_count)
                value = str(query.count) if name == "_count" else value
            else:
                filters.append(_filter(scope, name, value))
                total += cost(filters[-1].condition)
            if total > MAX_COST:
                raise Invalid(f"With parameter '{name[:64]}' the search has too many values over all its types.")
            used.append((name, value))
        except Unknown as unknown:
            if not lenient:
                raise unknown.error from None
            ignored.extend(replace(issue, severity="warning") for issue in unknown.error.issues)
    check_once(types, filters)
    if query.summary == "text" and (query.includes or query.revincludes):
        raise Invalid("Includes cannot be combined with _summary=text.")
    return replace(query, filters=tuple(filters), used=tuple(used), ignored=tuple(ignored))


def conditional(resource_type: str, criterion: str, base_url: str) -> Query:
    """The query of a conditional interaction: "identifier=system|value", percent-encoded, a leading "Type?" allowed.

    Raises Invalid (400) for an empty criterion and for parameters that shape a result instead of choosing resources.
    """
    text = criterion.strip().removeprefix(resource_type).removeprefix("?")
    try:
        decoded = parse_qsl(text, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise Invalid("A condition is percent-encoded UTF-8.") from None
    pairs = [pair for pair in decoded if pair[0] not in ("_format", "_pretty")]
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


def _filter(scope: Scope, name: str, value: str) -> Filter:
    """What one pair of the query asks for."""
    if name.partition(":")[0] == "_filter":
        return filtered(scope, name, value, _filter)
    if name.startswith("_has:") or name == "_has":
        return has(scope, name, value, _filter)
    if "." in name:
        return chain(scope, name, value, _filter)
    code = name.partition(":")[0]
    if code in _NEVER:
        raise Unknown(NotSupported(f"Parameter '{code}' is not supported: {_NEVER[code]}."))
    own = general.PARAMETERS.get(code)
    return own(scope, name, value) if own is not None else ordinary(scope, name, value)
