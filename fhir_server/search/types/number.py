"""https://hl7.org/fhir/R4/search.html#number: a number searched for stands for what rounds to it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from fhir_server.search.fields import Field
from fhir_server.search.keys import Bounds, Criterion, Draft, Sink, wide
from fhir_server.search.paths import Leaf
from fhir_server.search.types.values import Indexer, Settings, Visit, compare, prefix, refuse_modifier, wrong

MODIFIERS: frozenset[str] = frozenset()

_NUMBER = re.compile(r"[+-]?\d{1,40}(?P<fraction>\.\d{1,40})?(?P<exponent>[eE][+-]?\d{1,3})?", re.ASCII)


def to_float(value: Any) -> float:
    """The number as stored in ranges; one too large for that is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def add_range(sink: Sink, draft: Draft, keys: list[str], low: float, high: float) -> None:
    """Store the range under each of the keys, and its low end for sorting."""
    for key in keys:
        draft.ranges[(key if low == high else wide(key), low, high)] = None
    if sink.ascending:
        sink.sort(draft, high if math.isinf(low) else low)


def _number(sink: Sink, leaf: Leaf) -> Visit:
    keys = [sink.number]

    def visit(value: Any, draft: Draft) -> None:
        number = to_float(value)
        add_range(sink, draft, keys, number, number)

    return visit


def _range(sink: Sink, leaf: Leaf) -> Visit:
    keys = [sink.number]

    def visit(value: Any, draft: Draft) -> None:
        if ends := range_ends(value):
            add_range(sink, draft, keys, *ends)

    return visit


def range_ends(value: Any) -> tuple[float, float] | None:
    """Low and high of a Range; an end that is not given is infinite."""
    low, high = value.get("low", {}).get("value"), value.get("high", {}).get("value")
    if low is None and high is None:
        return None
    ends = (-math.inf if low is None else to_float(low), math.inf if high is None else to_float(high))
    return ends if ends[0] <= ends[1] else (ends[1], ends[0])


INDEXERS: Mapping[str, Indexer] = {
    "integer": _number,
    "positiveInt": _number,
    "unsignedInt": _number,
    "decimal": _number,
    "Range": _range,
}


def searched(text: str) -> tuple[str, float, float, float]:
    """Comparison, low, high (inclusive) and how far `ap` reaches; raises ValueError.

    `eq`, `ne` and `ap` take the number as precise as it is written, the others exactly.
    """
    comparison, rest = prefix(text)
    match = _NUMBER.fullmatch(rest)
    if match is None:
        raise ValueError("not a number")
    value = Decimal(rest)
    exact = float(value)
    if math.isinf(exact):
        raise ValueError("out of range")
    if comparison not in ("eq", "ne"):
        return comparison, exact, exact, abs(exact) / 10
    half = _half_of_last_digit(value, match)
    # The upper end is exclusive: [99.5 ... 100.5)
    return comparison, float(value - half), math.nextafter(float(value + half), -math.inf), 0.0


def _half_of_last_digit(value: Decimal, match: re.Match[str]) -> Decimal:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    # The page's own example: 1e2 is [95 ... 105), while 1.00e2 is as precise as 100.
    example = match["exponent"] is not None and match["fraction"] is None
    return Decimal(5).scaleb(exponent - (2 if example else 1))


def criterion(field: Field, modifier: str, value: str, settings: Settings) -> Criterion:
    """The stored numbers that one search value finds."""
    if modifier:
        raise refuse_modifier(field, modifier)
    try:
        comparison, low, high, around = searched(value)
    except ValueError:
        raise wrong(field, "is not a number: [prefix]number") from None
    bounds: tuple[Bounds, ...] = ()
    for source in field.sources:
        bounds += compare(comparison, low, high, around, key=source.number, width=0.0)
    return Criterion(bounds=bounds)
