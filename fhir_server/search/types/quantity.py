"""https://hl7.org/fhir/R4/search.html#quantity: a number with, if wanted, system and code or just the unit.

A stored quantity is found by the number alone, by number and unit as it is written or coded, and by number, system
and code. Of the last, UCUM's units that convert are there (and searched for) in base units, so that 5.4 mg finds
0.0054 g.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from fhir_server import ucum
from fhir_server.search.fields import Field
from fhir_server.search.keys import Bounds, Criterion, Draft, Sink, after, before, fit
from fhir_server.search.paths import Leaf
from fhir_server.search.types import number
from fhir_server.search.types.values import Indexer, Settings, Visit, refuse_modifier, split, unescape, wrong

MODIFIERS: frozenset[str] = frozenset()

_CURRENCIES = "urn:iso:std:iso:4217"
_SAMPLE = re.compile(r"(?<!\S)(?:[EUL]|[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?)(?!\S)", re.ASCII)

Quantity = Mapping[str, Any]


# ---- as stored ---------------------------------------------------------------------------------------


def _unit(quantity: Quantity) -> ucum.Unit | None:
    """The unit of a quantity, when it is one of UCUM's that convert."""
    code = quantity.get("code")
    return ucum.canonical(code) if code and quantity.get("system") == ucum.SYSTEM else None


def _in_base(quantity: Quantity) -> Decimal | None:
    """The value in base units."""
    unit, value = _unit(quantity), quantity.get("value")
    return None if unit is None or value is None else unit.to_base(_exact(value))


def _exact(value: Any) -> Decimal | int:
    """A number of JSON as it is written; floats are only in resources made by programs."""
    return Decimal(repr(value)) if isinstance(value, float) else value


def _keys(number_: str, quantity: Quantity, unit: ucum.Unit | None) -> list[str]:
    """By the number alone, by system and code unless `unit` says it better, by the unit as coded or written."""
    system, code, name = quantity.get("system"), quantity.get("code"), quantity.get("unit")
    keys = [number_]
    if system and code and unit is None:
        keys.append(_coded(number_, system, code))
    if code:
        keys.append(_named(number_, code))
    if name and name != code:
        keys.append(_named(number_, name))
    return keys


def _coded(number_: str, system: str, code: str) -> str:
    return fit(f"{number_}|{system}|{code}")


def _named(number_: str, unit: str) -> str:
    return fit(f"{number_}||{unit}")


def _converted(number_: str, unit: ucum.Unit) -> str:
    return fit(f"{number_}^{unit.dimension}")


def _compared(comparator: str | None, value: float) -> tuple[float, float]:
    """From where to where the actual value can be."""
    match comparator:
        case "<":
            return -math.inf, before(value)
        case "<=":
            return -math.inf, value
        case ">":
            return after(value), math.inf
        case ">=":
            return value, math.inf
    return value, value


def _quantity(sink: Sink, leaf: Leaf) -> Visit:
    number_ = sink.number

    def visit(value: Any, draft: Draft) -> None:
        amount, comparator = value.get("value"), value.get("comparator")
        if amount is None:
            return
        unit = _unit(value)
        low, high = _compared(comparator, number.to_float(amount))
        number.add_range(draft, _keys(number_, value, unit), low, high)
        number.add_scalar(sink, draft, low, high)
        if unit is not None:
            base = number.to_float(unit.to_base(_exact(amount)))
            number.add_range(draft, (_converted(number_, unit),), *_compared(comparator, base))

    return visit


def _money(sink: Sink, leaf: Leaf) -> Visit:
    quantity = _quantity(sink, leaf)

    def visit(value: Any, draft: Draft) -> None:
        quantity({"value": value.get("value"), "system": _CURRENCIES, "code": value.get("currency")}, draft)

    return visit


def _range(sink: Sink, leaf: Leaf) -> Visit:
    def visit(value: Any, draft: Draft) -> None:
        _between(sink, draft, value.get("low", {}), value.get("high", {}))

    return visit


def _between(sink: Sink, draft: Draft, low: Quantity, high: Quantity) -> None:
    """Store what lies between two quantities; one without a value is no limit."""
    given = [quantity for quantity in (low, high) if quantity.get("value") is not None]
    if not given:
        return
    one, other = given[0], given[-1]
    first, second = _unit(one), _unit(other)
    alike = all(one.get(name) == other.get(name) for name in ("system", "code", "unit"))
    ends = number.ends(low.get("value"), high.get("value"))
    number.add_range(draft, _keys(sink.number, one if alike else {}, first), *ends)
    number.add_scalar(sink, draft, *ends)
    if first is not None and second is not None and first.dimension == second.dimension:
        number.add_range(draft, (_converted(sink.number, first),), *number.ends(_in_base(low), _in_base(high)))


def _sampled(sink: Sink, leaf: Leaf) -> Visit:
    """https://hl7.org/fhir/R4/observation.html#search: "just search on the bounds of the values in sampled data"."""

    def visit(value: Any, draft: Draft) -> None:
        origin = value.get("origin", {})
        low, high = _bounds(value)
        _between(sink, draft, {**origin, "value": low}, {**origin, "value": high})

    return visit


def _bounds(sampled: Mapping[str, Any]) -> tuple[Any | None, Any | None]:
    """The lowest and highest value, None where it is beyond a limit; of a series without numbers its limits."""
    samples = _SAMPLE.findall(sampled.get("data", ""))
    numbers = [Decimal(sample) for sample in samples if sample not in ("E", "L", "U")]
    if not numbers:
        limits = sampled.get("lowerLimit"), sampled.get("upperLimit")
        return (None, None) if None in limits else limits
    origin, factor = _exact(sampled.get("origin", {}).get("value", 0)), _exact(sampled.get("factor", 1))
    low, high = (number.EXACT.add(origin, number.EXACT.multiply(end, factor)) for end in (min(numbers), max(numbers)))
    return None if "L" in samples else low, None if "U" in samples else high


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


# ---- as searched for ---------------------------------------------------------------------------------


def criterion(field: Field, modifier: str, value: str, settings: Settings) -> Criterion:
    """The stored quantities that one search value finds: `5.4`, `le5.4|system|code` or `5.4||unit`."""
    if modifier:
        raise refuse_modifier(field, modifier)
    parts = [unescape(part) for part in split(value, "|")]
    try:
        wanted = number.searched(parts[0])
    except ValueError:
        raise wrong(field, "is not a quantity: [prefix]number, or [prefix]number|system|code") from None
    if len(parts) not in (1, 3) or (len(parts) == 3 and parts[1] and not parts[2]):
        raise wrong(field, "needs both system and code behind the number, or a unit as number||unit")
    system, code = parts[1:] if len(parts) == 3 else ("", "")
    bounds: tuple[Bounds, ...] = ()
    for source in field.sources:
        bounds += _found(wanted, source.number, system, code)
    return Criterion(bounds=bounds)


def _found(wanted: number.Searched, number_: str, system: str, code: str) -> tuple[Bounds, ...]:
    unit = _unit({"system": system, "code": code})
    if unit is not None:
        to_base = unit.to_base
        return wanted.bounds(_converted(number_, unit), lambda value: number.to_float(to_base(value)))
    if system:
        return wanted.bounds(_coded(number_, system, code))
    return wanted.bounds(_named(number_, code) if code else number_)
