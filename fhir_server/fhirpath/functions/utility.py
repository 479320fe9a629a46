"""https://hl7.org/fhirpath/N1/#utility-functions · #aggregates · types · sorting"""

from __future__ import annotations

from datetime import datetime
from functools import cmp_to_key
from typing import Any

from fhir_server.fhirpath import dates
from fhir_server.fhirpath.code import Code, of_items, of_truth, of_value
from fhir_server.fhirpath.comparison import order
from fhir_server.fhirpath.dates import Moment
from fhir_server.fhirpath.environment import Items, State
from fhir_server.fhirpath.functions.registry import Call, function
from fhir_server.fhirpath.nodes import Node
from fhir_server.fhirpath.syntax import Polarity
from fhir_server.fhirpath.types import is_a, is_chosen, specified, system_value


@function("trace", 1, 2)
def trace(call: Call) -> Code:
    return call.input  # what is traced would be patient data in a log


def _moment(kind: str, time: datetime) -> Moment | None:
    text = time.isoformat(timespec="milliseconds")
    if kind == dates.DATE:
        return dates.date(text[:10])
    return dates.time(text[11:23]) if kind == dates.TIME else dates.date_time(text)


@function("now")
def now(call: Call) -> Code:
    return of_value(lambda state, this: _moment(dates.DATE_TIME, state.environment.moment()))


@function("today")
def today(call: Call) -> Code:
    return of_value(lambda state, this: _moment(dates.DATE, state.environment.moment()))


@function("timeOfDay")
def time_of_day(call: Call) -> Code:
    return of_value(lambda state, this: _moment(dates.TIME, state.environment.moment()))


@function("aggregate", 1, 2)
def aggregate(call: Call) -> Code:
    step, start = call.arguments[0], call.argument(1)

    def items(state: State, this: Items) -> Items:
        outside = state.total
        total = [] if start is None else start.items(state, this)
        try:
            for item in state.each(call.input.items(state, this)):
                state.total = total
                total = step.items(state, item)
        finally:
            state.total = outside
        return total

    return of_items(items)


@function("is", 1)
def is_(call: Call) -> Code:
    return type_test(call.input, call.type_name())


def type_test(of_input: Code, wanted: str) -> Code:
    """`input is wanted`"""
    specified(wanted)

    def truth(state: State, this: Items) -> bool | None:
        found = of_input.items(state, this)
        if len(found) > 1:
            of_input.value(state, this)  # raises
        return is_a(found[0].type, wanted) if found else None

    return of_truth(truth)


@function("as", 1)
def as_(call: Call) -> Code:
    return type_cast(call.input, call.type_name())


def type_cast(of_input: Code, wanted: str) -> Code:
    """`input as wanted`; several items are filtered, as R4's published invariants and search parameters have it."""
    specified(wanted)
    items = of_input.items
    return of_items(lambda state, this: [item for item in items(state, this) if is_chosen(item.type, wanted)])


@function("type")
def type_(call: Call) -> Code:
    def items(state: State, this: Items) -> Items:
        return [Node(_information(item), "System.TypeInfo") for item in call.input.items(state, this)]

    return of_items(items)


def _information(item: Node) -> dict[str, str]:
    if item.type.startswith("System."):
        return {"namespace": "System", "name": item.type.removeprefix("System.")}
    return {"namespace": "FHIR", "name": item.type}


@function("sort", 0, 10)
def sort(call: Call) -> Code:
    """By the values of the arguments, or the items' own; a minus before an argument turns its order."""
    keys: list[tuple[Code, int]] = []
    for syntax in call.syntax:
        if isinstance(syntax, Polarity) and syntax.operator == "-":
            keys.append((call.compile(syntax.operand), -1))
        else:
            keys.append((call.compile(syntax), 1))
    signs = [sign for _, sign in keys] or [1]

    def compare(left: tuple[Node, list[Any]], right: tuple[Node, list[Any]]) -> int:
        for one, other, sign in zip(left[1], right[1], signs, strict=True):
            if one is None or other is None:  # where there is nothing comes first, whatever the order
                found = (one is not None) - (other is not None)
            else:
                found = (order(one, other) or 0) * sign
            if found:
                return found
        return 0

    def items(state: State, this: Items) -> Items:
        found = call.input.items(state, this)
        state.spend(len(found) * 10)
        keyed = [
            (item[0], [code.value(state, item) for code, _ in keys] or [system_value(item[0])])
            for item in state.each(found)
        ]
        return [item for item, _ in sorted(keyed, key=cmp_to_key(compare))]

    return of_items(items)
