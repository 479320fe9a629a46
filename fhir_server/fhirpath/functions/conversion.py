"""https://hl7.org/fhirpath/N1/#conversion"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fhir_server.fhirpath import dates, quantities
from fhir_server.fhirpath.code import Code, of_items, of_truth, of_value, several
from fhir_server.fhirpath.dates import Moment
from fhir_server.fhirpath.environment import Items, State
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.functions.registry import Call, function
from fhir_server.fhirpath.nodes import Node
from fhir_server.fhirpath.operators import number, to_text
from fhir_server.fhirpath.quantities import Quantity

_TRUE = {"true", "t", "yes", "y", "1", "1.0"}
_FALSE = {"false", "f", "no", "n", "0", "0.0"}
_INTEGER = re.compile(r"[+-]?[0-9]{1,10}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,100}(\.[0-9]{1,100})?")


def to_boolean(value: Any) -> bool | None:
    if type(value) is bool:
        return value
    if type(value) in (int, Decimal):
        return {0: False, 1: True}.get(value)
    if type(value) is str:
        word = value.lower()
        return True if word in _TRUE else False if word in _FALSE else None
    return None


def to_integer(value: Any) -> int | None:
    if type(value) is bool or type(value) is int:
        return int(value)
    if type(value) is str and _INTEGER.fullmatch(value):
        found: int | None = number(int(value))
        return found
    return None


def to_decimal(value: Any) -> Decimal | None:
    if type(value) in (bool, int, Decimal):
        return Decimal(value)
    return Decimal(value) if type(value) is str and _DECIMAL.fullmatch(value) else None


def to_string(value: Any) -> str | None:
    return None if isinstance(value, Node) else to_text(value)


def to_date(value: Any) -> Moment | None:
    if type(value) is Moment:
        return None if value.kind == dates.TIME else Moment(dates.DATE, value.parts[:3])
    return dates.date(value) or to_date(dates.date_time(value)) if type(value) is str else None


def to_date_time(value: Any) -> Moment | None:
    if type(value) is Moment:
        return None if value.kind == dates.TIME else Moment(dates.DATE_TIME, value.parts, value.offset, value.zulu)
    return dates.date_time(value) if type(value) is str else None


def to_time(value: Any) -> Moment | None:
    if type(value) is Moment:
        return value if value.kind == dates.TIME else None
    return dates.time(value) if type(value) is str else None


def to_quantity(value: Any) -> Quantity | None:
    if type(value) is Quantity:
        return value
    if type(value) in (bool, int, Decimal):
        return Quantity.of(value)
    return quantities.parse(value) if type(value) is str else None


def _register(name: str, convert: Callable[[Any], Any]) -> None:
    """toX() and convertsToX()."""

    def conversion(call: Call) -> Code:
        of_input = call.input.value

        def value(state: State, this: Items) -> Any:
            found = of_input(state, this)
            return None if found is None else convert(found)

        return of_value(value)

    def test(call: Call) -> Code:
        of_input = call.input.value

        def truth(state: State, this: Items) -> bool | None:
            found = of_input(state, this)
            return None if found is None else convert(found) is not None

        return of_truth(truth)

    function(f"to{name}")(conversion)
    function(f"convertsTo{name}")(test)


_register("Boolean", to_boolean)
_register("Integer", to_integer)
_register("Decimal", to_decimal)
_register("String", to_string)
_register("Date", to_date)
_register("DateTime", to_date_time)
_register("Time", to_time)


def _quantity(call: Call) -> Code:
    unit = call.argument(0)

    def value(state: State, this: Items) -> Quantity | None:
        found = to_quantity(call.input.value(state, this))
        wanted = None if unit is None else unit.value(state, this)
        return found if found is None or unit is None else _in_unit(found, wanted)

    return of_value(value)


def _in_unit(quantity: Quantity, unit: Any) -> Quantity | None:
    """The quantity in another unit, if it converts into it."""
    if type(unit) is not str:
        return None
    word = quantities.CALENDAR.get(unit)
    zero = Quantity.of(0, word or unit, calendar=word is not None)
    return quantities.add(zero, quantity, 1)


def _is_quantity(call: Call) -> Code:
    found = _quantity(call)
    of_input = call.input.value

    def truth(state: State, this: Items) -> bool | None:
        return None if of_input(state, this) is None else found.value(state, this) is not None

    return of_truth(truth)


function("toQuantity", 0, 1)(_quantity)
function("convertsToQuantity", 0, 1)(_is_quantity)


@function("iif", 2, 3)
def iif(call: Call) -> Code:
    criterion, then, otherwise = call.arguments[0], call.arguments[1], call.argument(2)

    def items(state: State, this: Items) -> Items:
        of_input = call.input.items(state, this)
        if len(of_input) > 1:
            raise several()
        found = criterion.items(state, of_input)
        if len(found) > 1 or (found and type(found[0].value) is not bool):
            raise FhirPathError("The criterion of iif() is no boolean.")
        if found and found[0].value:
            return then.items(state, of_input)
        return [] if otherwise is None else otherwise.items(state, of_input)

    return of_items(items)
