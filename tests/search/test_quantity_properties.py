"""Any quantity, searched for in any unit of its dimension, is found when plain arithmetic says so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.search.finder import envelope, find, query

UCUM = "http://unitsofmeasure.org"
Units = dict[str, tuple[Fraction, Fraction]]


def _multiples(**factors: str | Fraction) -> Units:
    return {code: (Fraction(factor), Fraction()) for code, factor in factors.items()}


# Code → (factor, zero) by dimension, written down here once more: (value + zero) · factor.
DIMENSIONS: list[Units] = [
    _multiples(**{"g": "1", "mg": "0.001", "ug": "1e-6", "kg": "1000", "[lb_av]": "453.59237", "[gr]": "0.06479891"}),
    _multiples(**{"s": "1", "ms": "0.001", "min": "60", "h": "3600", "d": "86400", "wk": "604800"}),
    _multiples(**{"/s": "1", "/min": Fraction(1, 60), "{beats}/min": Fraction(1, 60), "/h": Fraction(1, 3600)}),
    _multiples(**{"g/L": "1", "mg/dL": "0.01", "ug/mL": "0.001", "g%": "10", "kg.m-3": "1"}),
    {
        "K": (Fraction(1), Fraction()),
        "Cel": (Fraction(1), Fraction("273.15")),
        "[degF]": (Fraction(5, 9), Fraction("459.67")),
    },
]
PREFIXES = ["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]
# So few digits that two exact results are never as near to each other as floats are.
NUMBERS = st.builds(
    lambda digits, exponent: Decimal(digits).scaleb(exponent), st.integers(-99999, 99999), st.integers(-4, 0)
)


@dataclass(frozen=True)
class Case:
    """A stored value, how it is to be understood, its unit; what is searched for, and in which unit."""

    units: Units
    stored: Decimal
    comparator: str
    unit: str
    prefix: str
    wanted: Decimal
    wanted_unit: str


def base(case: Case, value: Fraction | Decimal, unit: str) -> Fraction:
    factor, zero = case.units[unit]
    return (Fraction(value) + zero) * factor


@st.composite
def cases(draw: st.DrawFn) -> Case:
    units = draw(st.sampled_from(DIMENSIONS))
    code = st.sampled_from(sorted(units))
    unit, wanted_unit = draw(code), draw(code)
    prefix, wanted = draw(st.sampled_from(PREFIXES)), draw(NUMBERS)
    comparator = draw(st.sampled_from(["", "", "<", "<=", ">", ">="]))
    case = Case(units, draw(NUMBERS), comparator, unit, prefix, wanted, wanted_unit)
    # What is at one of the ends is rarely met by chance.
    end = draw(st.sampled_from([None, *ends(case)]))
    factor, zero = units[unit]
    return case if end is None else replace(case, stored=decimal(end / factor - zero))


def decimal(value: Fraction) -> Decimal:
    """The number itself, or what is near to it (further than floats are apart) when its digits have no end."""
    exact = Decimal(value.numerator) / value.denominator
    return exact if exact == value else Context(prec=9).plus(exact)


def ends(case: Case) -> tuple[Fraction, Fraction, Fraction]:
    """Low end, value and high end of what is searched for, in base units."""
    exponent = case.wanted.as_tuple().exponent
    assert isinstance(exponent, int)
    reach = Fraction(abs(case.wanted)) / 10 if case.prefix == "ap" else Fraction(10) ** exponent / 2
    low, value, high = (base(case, Fraction(case.wanted) + way, case.wanted_unit) for way in (-reach, 0, reach))
    return low, value, high


def expected(case: Case) -> bool:
    """https://hl7.org/fhir/R4/search.html#prefix, with a comparator for a range open to one side."""
    target = base(case, case.stored, case.unit)
    low, value, high = ends(case)
    below, above = case.comparator.startswith("<"), case.comparator.startswith(">")
    closed = case.comparator in ("<=", ">=", "")

    def reaches_over(limit: Fraction, *, itself: bool) -> bool:
        return above or target > limit or (itself and closed and target == limit)

    def reaches_under(limit: Fraction, *, itself: bool) -> bool:
        return below or target < limit or (itself and closed and target == limit)

    contained = not below and not above and low <= target < high
    match case.prefix:
        case "" | "eq":
            return contained
        case "ne":
            return not contained
        case "gt":
            return reaches_over(value, itself=False)
        case "ge":
            return reaches_over(value, itself=True)
        case "lt":
            return reaches_under(value, itself=False)
        case "le":
            return reaches_under(value, itself=True)
        case "sa":
            return not reaches_under(value, itself=True)
        case "eb":
            return not reaches_over(value, itself=True)
    return reaches_over(low, itself=True) and reaches_under(high, itself=True)


def found(case: Case, *, stored_in: str = UCUM) -> bool:
    quantity: dict[str, Any] = {"value": case.stored, "system": stored_in, "code": case.unit}
    if case.comparator:
        quantity["comparator"] = case.comparator
    document = envelope({"resourceType": "Observation", "id": "a", "valueQuantity": quantity})
    asked = query(f"Observation?value-quantity={case.prefix}{case.wanted:f}|{UCUM}|{case.wanted_unit}")
    return bool(find(asked, [document]))


def _grams(stored: str, unit: str, prefix: str, wanted: str, wanted_unit: str) -> Case:
    return Case(DIMENSIONS[0], Decimal(stored), "", unit, prefix, Decimal(wanted), wanted_unit)


@settings(max_examples=500)
@given(cases())
@example(_grams("5.4", "mg", "ge", "0.0054", "g"))
@example(_grams("5.35", "mg", "eq", "0.0054", "g"))
@example(_grams("5.45", "mg", "eq", "0.0054", "g"))
@example(_grams("4.86", "mg", "ap", "0.0054", "g"))
def test_found_as_arithmetic_says(case: Case) -> None:
    assert found(case) == expected(case)


@given(cases())
def test_another_system_has_other_units(case: Case) -> None:
    assert not found(case, stored_in="http://example.org/units")


@given(st.sampled_from(DIMENSIONS), NUMBERS, st.data())
def test_other_dimensions_are_never_found(units: Units, value: Decimal, data: st.DataObject) -> None:
    others = data.draw(st.sampled_from([one for one in DIMENSIONS if one is not units]))
    unit, wanted = data.draw(st.sampled_from(sorted(units))), data.draw(st.sampled_from(sorted(others)))
    for prefix in PREFIXES:
        assert not found(Case(units, value, "", unit, prefix, value, wanted))


def test_a_wrong_expectation_fails() -> None:
    """The comparison above can fail: with a factor that is wrong they differ."""
    wrong = _multiples(g="1", mg="0.01")
    asked = [Case(wrong, Decimal("5.4"), "", "mg", prefix, Decimal("0.0054"), "g") for prefix in PREFIXES]
    assert any(found(case) != expected(case) for case in asked)
