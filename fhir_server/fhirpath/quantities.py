"""Quantities with units: https://hl7.org/fhirpath/N1/#quantity · units by fhir_server.ucum."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fhir_server import ucum

# Words for calendar durations, plural and singular → singular.
CALENDAR = {
    word: name
    for name in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
    for word in (name, f"{name}s")
}
# UCUM's code for a calendar word; a calendar year or month is none of its units.
CODES = {"week": "wk", "day": "d", "hour": "h", "minute": "min", "second": "s", "millisecond": "ms"}
_YEARS_AND_MONTHS = {"year": ("year", "a", 12), "month": ("month", "mo", 1)}
_TEXT = re.compile(r"([+-]?[0-9]+(?:\.[0-9]+)?)(?:\s*'([^']+)'|\s+([a-z]+))?")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value with a UCUM code, or with a calendar word in the singular ("month")."""

    value: Decimal
    unit: str = "1"
    calendar: bool = False

    @classmethod
    def of(cls, value: Decimal | int, unit: str = "1", *, calendar: bool = False) -> Quantity:
        return cls(Decimal(value), unit, calendar)

    def __str__(self) -> str:
        return f"{self.value:f} {self.unit}" if self.calendar else f"{self.value:f} '{self.unit}'"


def parse(text: str) -> Quantity | None:
    """The quantity that a string is: "4 days", "4 'mg'", "4"."""
    match = _TEXT.fullmatch(text.strip())
    if match is None or (match[3] and match[3] not in CALENDAR):
        return None
    if match[3]:
        return Quantity.of(Decimal(match[1]), CALENDAR[match[3]], calendar=True)
    return Quantity.of(Decimal(match[1]), match[2] or "1")


def from_fhir(element: Mapping[str, Any]) -> Quantity | None:
    """A FHIR Quantity; None when it has no value, or a comparator."""
    value, code = element.get("value"), element.get("code") or element.get("unit")
    if isinstance(value, float):
        value = Decimal(repr(value))
    if not isinstance(value, (int, Decimal)) or isinstance(value, bool) or "comparator" in element:
        return None
    if not isinstance(code, str):
        return Quantity.of(value)
    system = element.get("system", ucum.SYSTEM)
    return Quantity.of(value, code if system == ucum.SYSTEM else f"{system}|{code}")


def _base(quantity: Quantity) -> tuple[str, Decimal] | None:
    """Dimension and value in base units; None when the unit is not known."""
    if quantity.calendar and quantity.unit in _YEARS_AND_MONTHS:
        return "calendar month", quantity.value * _YEARS_AND_MONTHS[quantity.unit][2]
    unit = ucum.canonical(CODES[quantity.unit] if quantity.calendar else quantity.unit)
    return None if unit is None else (unit.dimension, unit.to_base(quantity.value))


def comparable(left: Quantity, right: Quantity) -> bool:
    """Whether one could be converted into the other's unit."""
    return _together(left, right) is not None


def compare(left: Quantity, right: Quantity) -> int | None:
    """-1, 0 or 1; None when the units do not convert into each other."""
    together = _together(left, right)
    return None if together is None else (together[0] > together[1]) - (together[0] < together[1])


def equivalent(left: Quantity, right: Quantity) -> bool:
    """Whether they are the same at the precision of the less precise one; a calendar year is then UCUM's."""
    if left.unit in _YEARS_AND_MONTHS and not right.calendar:
        left = Quantity(left.value, _YEARS_AND_MONTHS[left.unit][1])
    elif right.unit in _YEARS_AND_MONTHS and not left.calendar:
        right = Quantity(right.value, _YEARS_AND_MONTHS[right.unit][1])
    together = _together(left, right)
    if together is None:
        return False
    # In the unit of the less precise one, so that its last digit says what counts.
    coarse, fine = sorted((left, right), key=lambda each: -each.value.adjusted() if not each.value else _places(each))
    scale = _base(coarse)
    if scale is None or left.unit == right.unit or not coarse.value:
        return round_to(fine.value, _places(coarse)) == coarse.value
    other = _base(fine)
    assert other is not None
    one = _base(Quantity(Decimal(1), coarse.unit, coarse.calendar))
    zero = _base(Quantity(Decimal(0), coarse.unit, coarse.calendar))
    assert one is not None
    assert zero is not None
    return round_to((other[1] - zero[1]) / (one[1] - zero[1]), _places(coarse)) == coarse.value


def _places(quantity: Quantity) -> int:
    exponent = quantity.value.as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0


def round_to(value: Decimal, places: int) -> Decimal:
    """Half away from zero, to so many digits after the point."""
    return value.quantize(Decimal(1).scaleb(-places), rounding="ROUND_HALF_UP")


def _together(left: Quantity, right: Quantity) -> tuple[Decimal, Decimal] | None:
    if left.unit == right.unit and left.calendar == right.calendar:
        return left.value, right.value
    one, other = _base(left), _base(right)
    return (one[1], other[1]) if one is not None and other is not None and one[0] == other[0] else None


def add(left: Quantity, right: Quantity, sign: int) -> Quantity | None:
    """Sum (sign 1) or difference (-1) in the left one's unit; None when the units do not convert."""
    if left.unit == right.unit and left.calendar == right.calendar:
        return Quantity(left.value + sign * right.value, left.unit, left.calendar)
    together, one = _together(left, right), _base(Quantity(Decimal(1), left.unit, left.calendar))
    if together is None or one is None or not one[1]:
        return None
    return Quantity(left.value + sign * together[1] / one[1], left.unit, left.calendar)


def multiply(left: Quantity, right: Quantity) -> Quantity:
    return Quantity(left.value * right.value, _product(_code(left), _code(right), "."))


def divide(left: Quantity, right: Quantity) -> Quantity | None:
    if not right.value:
        return None
    return Quantity(left.value / right.value, _product(_code(left), _code(right), "/"))


def _code(quantity: Quantity) -> str:
    return CODES.get(quantity.unit, quantity.unit) if quantity.calendar else quantity.unit


def _product(left: str, right: str, operator: str) -> str:
    """The unit of a product ("g.m") or quotient ("g/m")."""
    if right == "1":
        return left
    if left == right and operator == "/":
        return "1"
    right = f"({right})" if operator == "/" and ("." in right or "/" in right) else right
    return right if left == "1" and operator == "." else f"{left}{operator}{right}"
