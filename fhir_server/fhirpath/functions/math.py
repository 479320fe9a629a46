"""https://hl7.org/fhirpath/N1/#math-functions · boundaries: https://hl7.org/fhirpath/#boundary-functions"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fhir_server.fhirpath import dates, quantities
from fhir_server.fhirpath.code import Code, of_value
from fhir_server.fhirpath.comparison import as_quantity
from fhir_server.fhirpath.dates import Moment
from fhir_server.fhirpath.environment import Items, State
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.functions.registry import Builder, Call, function, scalar
from fhir_server.fhirpath.operators import number, whole
from fhir_server.fhirpath.quantities import Quantity, round_to

_NUMBERS = (int, Decimal)
_LARGEST_PRECISION = 31
_DEFAULT_PRECISION = 8
_COSTLY = 50  # steps of a series
_MEASURES = (*_NUMBERS, Moment, Quantity)


@scalar("abs", (*_NUMBERS, Quantity))
def abs_(value: Any) -> Any:
    return Quantity(abs(value.value), value.unit, value.calendar) if type(value) is Quantity else number(abs(value))


@scalar("ceiling", _NUMBERS)
def ceiling(value: Any) -> int | None:
    return whole(Decimal(value).to_integral_value("ROUND_CEILING"))


@scalar("floor", _NUMBERS)
def floor(value: Any) -> int | None:
    return whole(Decimal(value).to_integral_value("ROUND_FLOOR"))


@scalar("truncate", _NUMBERS)
def truncate(value: Any) -> int | None:
    return whole(Decimal(value).to_integral_value("ROUND_DOWN"))


@scalar("round", _NUMBERS, (int,), optional=1)
def round_(value: Any, precision: int = 0) -> Any:
    if not 0 <= precision <= _LARGEST_PRECISION:
        raise FhirPathError("round() takes a precision of 0 or more.")
    return value if type(value) is int else round_to(value, precision)


@scalar("exp", _NUMBERS, cost=_COSTLY)
def exp(value: Any) -> Decimal:
    return Decimal(value).exp()


@scalar("ln", _NUMBERS, cost=_COSTLY)
def ln(value: Any) -> Decimal | None:
    return Decimal(value).ln() if value > 0 else None


@scalar("log", _NUMBERS, _NUMBERS, cost=_COSTLY)
def log(value: Any, base: Any) -> Decimal | None:
    if value <= 0 or base <= 0 or base == 1:
        return None
    found = Decimal(value).ln() / Decimal(base).ln()
    return found.quantize(Decimal("1E-20")).normalize()


@scalar("power", _NUMBERS, _NUMBERS, cost=_COSTLY)
def power(value: Any, exponent: Any) -> Any:
    if (value < 0 and exponent % 1) or (not value and exponent < 0):
        return None
    found = Decimal(value) ** Decimal(exponent) if value or exponent else Decimal(1)
    return whole(found) if type(value) is int and type(exponent) is int and exponent >= 0 else found


@scalar("sqrt", _NUMBERS, cost=_COSTLY)
def sqrt(value: Any) -> Decimal | None:
    return Decimal(value).sqrt() if value >= 0 else None


# ---- boundaries and precision ------------------------------------------------------------------------


def _bounded(high: bool) -> Builder:
    def build(call: Call) -> Code:
        argument = call.argument(0)

        def value(state: State, this: Items) -> Any:
            found = call.input.value(state, this)
            precision = None if argument is None else argument.value(state, this)
            if found is None or (argument is not None and precision is None):
                return None
            if type(found) not in _MEASURES or type(precision) not in (int, type(None)):
                raise FhirPathError("A boundary is one of a number, a quantity, a date or a time.")
            return _boundary(found, precision, high)

        return of_value(value)

    return build


function("lowBoundary", 0, 1)(_bounded(False))
function("highBoundary", 0, 1)(_bounded(True))


def _boundary(value: Any, precision: int | None, high: bool) -> Any:
    if type(value) is Moment:
        return dates.boundary(value, precision, high=high)
    if type(value) is Quantity:
        found = _boundary(value.value, precision, high)
        return None if found is None else Quantity(found, value.unit, value.calendar)
    places = _DEFAULT_PRECISION if precision is None else precision
    if not 0 <= places <= _LARGEST_PRECISION:
        return None
    exact = Decimal(value)
    half = Decimal(5).scaleb(min(_exponent(exact), 0) - 1)
    # As the reference implementation: what is lower in size is cut, what is higher is rounded.
    outward = high is not exact.is_signed()
    size = abs(exact) + half if outward else abs(exact) - half
    rounded = size.quantize(Decimal(1).scaleb(-places), rounding="ROUND_HALF_UP" if outward else "ROUND_DOWN")
    return -rounded if exact.is_signed() else rounded


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


@scalar("precision", (*_NUMBERS, Moment))
def precision(value: Any) -> int:
    return value.precision if type(value) is Moment else max(-_exponent(Decimal(value)), 0)


@scalar("comparable", (*_NUMBERS, Quantity), (*_NUMBERS, Quantity))
def comparable(left: Any, right: Any) -> bool:
    one, other = as_quantity(left), as_quantity(right)
    return one is not None and other is not None and quantities.comparable(one, other)
