"""https://hl7.org/fhir/R4/search.html#number: a number searched for stands for what rounds to it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

from fhir_server.search.fields import Field
from fhir_server.search.keys import Bounds, Criterion, Draft, Sink, wide
from fhir_server.search.paths import Leaf
from fhir_server.search.types.values import Indexer, Settings, Visit, compare, prefix, refuse_modifier, wrong

MODIFIERS: frozenset[str] = frozenset()

_NUMBER = re.compile(r"[+-]?\d{1,40}(?P<fraction>\.\d{1,40})?(?P<exponent>[eE][+-]?\d{1,3})?", re.ASCII)
# More digits than a number searched for can have, and no exceptions: what is too large becomes infinite.
EXACT = Context(prec=100, traps=[])


def to_float(value: Any) -> float:
    """The number as stored in ranges; one too large for that is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def add_range(draft: Draft, keys: Iterable[str], low: float, high: float) -> None:
    """Store the range under each of the keys."""
    for key in keys:
        draft.ranges[(key if low == high else wide(key), low, high)] = None


def add_scalar(sink: Sink, draft: Draft, low: float, high: float) -> None:
    """Sort by the low end, where there is one."""
    if sink.ascending:
        sink.sort(draft, high if math.isinf(low) else low)


def _number(sink: Sink, leaf: Leaf) -> Visit:
    keys = [sink.number]

    def visit(value: Any, draft: Draft) -> None:
        number = to_float(value)
        add_range(draft, keys, number, number)
        add_scalar(sink, draft, number, number)

    return visit


def _range(sink: Sink, leaf: Leaf) -> Visit:
    keys = [sink.number]

    def visit(value: Any, draft: Draft) -> None:
        low, high = value.get("low", {}).get("value"), value.get("high", {}).get("value")
        if low is not None or high is not None:
            low, high = ends(low, high)
            add_range(draft, keys, low, high)
            add_scalar(sink, draft, low, high)

    return visit


def ends(low: Any | None, high: Any | None) -> tuple[float, float]:
    """Low and high as they are stored; an end that is not given is infinite."""
    first, last = (-math.inf if low is None else to_float(low), math.inf if high is None else to_float(high))
    return (first, last) if first <= last else (last, first)


INDEXERS: Mapping[str, Indexer] = {
    "integer": _number,
    "positiveInt": _number,
    "unsignedInt": _number,
    "decimal": _number,
    "Range": _range,
}


@dataclass(frozen=True, slots=True)
class Searched:
    """A number searched for: how to compare, and how far the range it stands for reaches to both sides.

    Of `eq` and `ne` the upper end does not belong to the range.
    """

    comparison: str
    value: Decimal
    reach: Decimal

    def bounds(self, key: str, to_float: Callable[[Decimal], float] = to_float) -> tuple[Bounds, ...]:
        """The ranges stored under the key that it finds; `to_float` converts the ends to the unit stored."""
        low, high = to_float(EXACT.subtract(self.value, self.reach)), to_float(EXACT.add(self.value, self.reach))
        if self.comparison in ("eq", "ne"):
            # A number with more digits than a float still finds itself.
            high = max(math.nextafter(high, -math.inf), to_float(self.value))
        return compare(self.comparison, low, high, 0.0, key=key, width=0.0)


def searched(text: str) -> Searched:
    """What `5.4` or `le5.4` asks for; raises ValueError."""
    comparison, rest = prefix(text)
    match = _NUMBER.fullmatch(rest)
    if match is None:
        raise ValueError("not a number")
    value = Decimal(rest)
    if math.isinf(float(value)):
        raise ValueError("out of range")
    match comparison:
        case "eq" | "ne":
            reach = _half_of_last_digit(value, match)
        case "ap":
            reach = abs(value).scaleb(-1, EXACT)
        case _:
            reach = Decimal(0)
    return Searched(comparison, value, reach)


def _half_of_last_digit(value: Decimal, match: re.Match[str]) -> Decimal:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    # The page's own example: 1e2 is [95 ... 105), though that is one digit more than is written.
    example = match["exponent"] is not None and len(value.as_tuple().digits) == 1
    return Decimal(5).scaleb(exponent - (2 if example else 1))


def criterion(field: Field, modifier: str, value: str, settings: Settings) -> Criterion:
    """The stored numbers that one search value finds."""
    if modifier:
        raise refuse_modifier(field, modifier)
    try:
        wanted = searched(value)
    except ValueError:
        raise wrong(field, "is not a number: [prefix]number") from None
    bounds: tuple[Bounds, ...] = ()
    for source in field.sources:
        bounds += wanted.bounds(source.number)
    return Criterion(bounds=bounds)
