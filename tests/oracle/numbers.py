"""Numbers and quantities: https://hl7.org/fhir/R4/search.html#number and #quantity

`eq` and `ne` take the precision of the number asked for, the other prefixes take it exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from math import inf
from typing import Any, NamedTuple

from tests.oracle.expressions import Node, is_a

UCUM = "http://unitsofmeasure.org"
CURRENCY = "urn:iso:std:iso:4217"
MASS = {
    "kg": Fraction(1000), "g": Fraction(1), "mg": Fraction(1, 10**3), "ug": Fraction(1, 10**6),
    "ng": Fraction(1, 10**9), "pg": Fraction(1, 10**12),
}  # fmt: skip
LENGTH = {"m": Fraction(1), "cm": Fraction(1, 100), "mm": Fraction(1, 1000)}

Bound = tuple[Fraction | float, int]  # a number, and -1 just below it, 0 itself, 1 just above it


class Amount(NamedTuple):
    """A number of a resource as the closed range from low to high, with its unit."""

    low: Bound
    high: Bound
    system: str = ""
    code: str = ""
    unit: str = ""


class Asked(NamedTuple):
    """A number that is searched for: its prefix, itself and half a unit of its last digit."""

    prefix: str
    number: Fraction
    half: Fraction


def exact(value: Any) -> Fraction:
    """The number as it is written."""
    return Fraction(Decimal(str(value)))


def asked(prefix: str, text: str) -> Asked:
    """The number of a search value; ArithmeticError when it is none."""
    number = Decimal(text)
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ArithmeticError("not a number")
    return Asked(prefix, Fraction(number), Fraction(10) ** exponent / 2)


def amounts(node: Node) -> Iterator[Amount]:
    """The numbers of a node; of a Quantity with a comparator, all numbers that it may be."""
    value = node.value
    if node.type == "Range":
        low, high = value.get("low", {}), value.get("high", {})
        if "value" in low or "value" in high:
            bottom: Bound = (exact(low["value"]), 0) if "value" in low else (-inf, 0)
            top: Bound = (exact(high["value"]), 0) if "value" in high else (inf, 0)
            yield Amount(bottom, top, *_unit(low if "value" in low else high))
    elif node.type == "Money":
        if "value" in value:
            at = (exact(value["value"]), 0)
            yield Amount(at, at, CURRENCY if "currency" in value else "", value.get("currency", ""))
    elif is_a(node.type, "Quantity"):
        if "value" in value:
            yield Amount(*_compared(value), *_unit(value))
    elif node.type in ("decimal", "integer", "positiveInt", "unsignedInt"):
        yield Amount((exact(value), 0), (exact(value), 0))


def _unit(quantity: dict[str, str]) -> tuple[str, str, str]:
    return quantity.get("system", ""), quantity.get("code", ""), quantity.get("unit", "")


def _compared(quantity: dict[str, Any]) -> tuple[Bound, Bound]:
    number = exact(quantity["value"])
    match quantity.get("comparator"):
        case "<":
            return (-inf, 0), (number, -1)
        case "<=":
            return (-inf, 0), (number, 0)
        case ">":
            return (number, 1), (inf, 0)
        case ">=":
            return (number, 0), (inf, 0)
    return (number, 0), (number, 0)


def compares(target: Amount, wanted: Asked) -> bool:
    """Whether the resource's number is in this relation to the one asked for."""
    number: Bound = (wanted.number, 0)
    match wanted.prefix:
        case "eq":
            return _within(target, wanted)
        case "ne":
            return not _within(target, wanted)
        case "gt":
            return target.high > number
        case "lt":
            return target.low < number
        case "ge":
            return target.high >= number
        case "le":
            return target.low <= number
        case "sa":
            return target.low > number
        case "eb":
            return target.high < number
    raise ValueError("unknown prefix")


def _within(target: Amount, wanted: Asked) -> bool:
    return (wanted.number - wanted.half, 0) <= target.low and target.high < (wanted.number + wanted.half, 0)


def in_unit(target: Amount, system: str, code: str) -> Amount | None:
    """The amount in the unit asked for: the same, or one that the table converts; None when it has another.

    Without a system, the code or the human unit must be the one asked for; without both, any unit will do.
    """
    if not code and not system:
        return target
    if not system:
        return target if code in (target.code, target.unit) else None
    if (target.system, target.code) == (system, code):
        return target
    for table in (MASS, LENGTH):
        if system == target.system == UCUM and code in table and target.code in table:
            factor = table[target.code] / table[code]
            return target._replace(low=_scaled(target.low, factor), high=_scaled(target.high, factor))
    return None


def _scaled(bound: Bound, factor: Fraction) -> Bound:
    number, side = bound
    return (number * factor if isinstance(number, Fraction) else number, side)
