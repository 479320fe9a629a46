"""https://hl7.org/fhir/R4/search.html#quantity: a number with, if wanted, system and code or just the unit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fhir_server.search.fields import Field
from fhir_server.search.keys import Bounds, Criterion, Draft, Sink, after, before, fit
from fhir_server.search.paths import Leaf
from fhir_server.search.types import number
from fhir_server.search.types.values import Indexer, Settings, Visit, compare, refuse_modifier, split, unescape, wrong

MODIFIERS: frozenset[str] = frozenset()

_CURRENCIES = "urn:iso:std:iso:4217"


def _keys(number_: str, system: Any, code: Any, unit: Any) -> list[str]:
    """By the number alone, by system and code, and by the unit as written or coded."""
    keys = [number_]
    if system and code:
        keys.append(fit(f"{number_}|{system}|{code}"))
    keys.extend(fit(f"{number_}||{name}") for name in dict.fromkeys((code, unit)) if name)
    return keys


def _quantity(sink: Sink, leaf: Leaf) -> Visit:
    def visit(value: Any, draft: Draft) -> None:
        amount = value.get("value")
        if amount is None:
            return
        get = value.get
        low = high = number.to_float(amount)
        match get("comparator"):
            case "<":
                low, high = -math.inf, before(low)
            case "<=":
                low = -math.inf
            case ">":
                low, high = after(low), math.inf
            case ">=":
                high = math.inf
        number.add_range(sink, draft, _keys(sink.number, get("system"), get("code"), get("unit")), low, high)

    return visit


def _money(sink: Sink, leaf: Leaf) -> Visit:
    def visit(value: Any, draft: Draft) -> None:
        amount, currency = value.get("value"), value.get("currency")
        if amount is not None:
            point = number.to_float(amount)
            number.add_range(sink, draft, _keys(sink.number, _CURRENCIES, currency, None), point, point)

    return visit


def _range(sink: Sink, leaf: Leaf) -> Visit:
    def visit(value: Any, draft: Draft) -> None:
        ends = number.range_ends(value)
        if ends is not None:
            get = (value.get("low") or value["high"]).get
            number.add_range(sink, draft, _keys(sink.number, get("system"), get("code"), get("unit")), *ends)

    return visit


def _sampled(sink: Sink, leaf: Leaf) -> Visit:
    """From the lower to the upper limit where they are given: the samples themselves are not read."""

    def visit(value: Any, draft: Draft) -> None:
        get = value.get("origin", {}).get
        low, high = value.get("lowerLimit"), value.get("upperLimit")
        if low is not None and high is not None:
            keys = _keys(sink.number, get("system"), get("code"), get("unit"))
            number.add_range(sink, draft, keys, number.to_float(low), number.to_float(high))

    return visit


INDEXERS: Mapping[str, Indexer] = {
    "Quantity": _quantity,
    "Age": _quantity,
    "Count": _quantity,
    "Distance": _quantity,
    "Duration": _quantity,
    "Money": _money,
    "Range": _range,
    "SampledData": _sampled,
}


def criterion(field: Field, modifier: str, value: str, settings: Settings) -> Criterion:
    """The stored quantities that one search value finds: `5.4`, `le5.4|system|code` or `5.4||unit`."""
    if modifier:
        raise refuse_modifier(field, modifier)
    parts = [unescape(part) for part in split(value, "|")]
    try:
        comparison, low, high, around = number.searched(parts[0])
    except ValueError:
        raise wrong(field, "is not a quantity: [prefix]number, or [prefix]number|system|code") from None
    if len(parts) not in (1, 3) or (len(parts) == 3 and parts[1] and not parts[2]):
        raise wrong(field, "needs both system and code behind the number, or a unit as number||unit")
    unit = f"|{parts[1]}|{parts[2]}" if len(parts) == 3 and parts[2] else ""
    bounds: tuple[Bounds, ...] = ()
    for source in field.sources:
        bounds += compare(comparison, low, high, around, key=fit(source.number + unit), width=0.0)
    return Criterion(bounds=bounds)
