"""https://hl7.org/fhirpath/N1/#existence"""

from __future__ import annotations

from collections.abc import Callable

from fhir_server.fhirpath.code import Code, of_items, of_truth, of_value
from fhir_server.fhirpath.comparison import Seen, distinct
from fhir_server.fhirpath.environment import Items, State
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.functions.registry import Builder, Call, function


@function("exists", 0, 1)
def exists(call: Call) -> Code:
    criterion, items = call.argument(0), call.input.items
    if criterion is None:
        return of_truth(call.input.exists)
    holds = criterion.truth
    return of_truth(lambda state, this: any(holds(state, item) for item in state.each(items(state, this))))


@function("empty")
def empty(call: Call) -> Code:
    found = call.input.exists
    return of_truth(lambda state, this: not found(state, this))


@function("all", 1)
def all_(call: Call) -> Code:
    items, holds = call.input.items, call.arguments[0].truth
    return of_truth(lambda state, this: all(holds(state, item) for item in state.each(items(state, this))))


def _every(wanted: bool, together: Callable[[list[bool]], bool]) -> Builder:
    """Code that asks a collection of booleans how many are true, or false."""

    def build(call: Call) -> Code:
        items = call.input.items

        def truth(state: State, this: Items) -> bool:
            values = [item.value for item in items(state, this)]
            if any(type(value) is not bool for value in values):
                raise FhirPathError("The expression needs booleans, and has something else.")
            return together([value is wanted for value in values])

        return of_truth(truth)

    return build


function("allTrue")(_every(True, all))
function("anyTrue")(_every(True, any))
function("allFalse")(_every(False, all))
function("anyFalse")(_every(False, any))


@function("subsetOf", 1)
def subset_of(call: Call) -> Code:
    return _subset(call.input, call.arguments[0])


@function("supersetOf", 1)
def superset_of(call: Call) -> Code:
    return _subset(call.arguments[0], call.input)


def _subset(small: Code, large: Code) -> Code:
    def truth(state: State, this: Items) -> bool:
        seen = Seen(state, large.items(state, this))
        return all(item in seen for item in small.items(state, this))

    return of_truth(truth)


@function("count")
def count(call: Call) -> Code:
    return of_value(call.input.count)


@function("distinct")
def distinct_(call: Call) -> Code:
    items = call.input.items
    return of_items(lambda state, this: distinct(state, items(state, this)), exists=call.input.exists)


@function("isDistinct")
def is_distinct(call: Call) -> Code:
    items = call.input.items

    def truth(state: State, this: Items) -> bool:
        seen = Seen(state)
        return all(seen.add(item) for item in items(state, this))

    return of_truth(truth)


@function("not")
def not_(call: Call) -> Code:
    of_input = call.input.truth

    def truth(state: State, this: Items) -> bool | None:
        found = of_input(state, this)
        return None if found is None else not found

    return of_truth(truth)
