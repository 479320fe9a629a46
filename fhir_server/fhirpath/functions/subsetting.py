"""https://hl7.org/fhirpath/N1/#subsetting"""

from __future__ import annotations

from collections.abc import Callable

from fhir_server.fhirpath.code import Code, of_items, several
from fhir_server.fhirpath.comparison import Seen, distinct
from fhir_server.fhirpath.environment import Items, State
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.functions.registry import Builder, Call, function


def at(of_input: Code, index: Code) -> Code:
    """`input[index]`"""

    def items(state: State, this: Items) -> Items:
        number = _number(index, state, this)
        return [] if number is None or number < 0 else of_input.items(state, this)[number : number + 1]

    return of_items(items)


def _number(code: Code, state: State, this: Items) -> int | None:
    number = code.value(state, this)
    if number is not None and type(number) is not int:
        raise FhirPathError("An index or a number of items is an integer.")
    return number


@function("single")
def single(call: Call) -> Code:
    of_input = call.input.items

    def items(state: State, this: Items) -> Items:
        found = of_input(state, this)
        if len(found) > 1:
            raise several()
        return found

    return of_items(items)


def _slice(part: slice) -> Builder:
    def build(call: Call) -> Code:
        of_input = call.input.items
        return of_items(lambda state, this: of_input(state, this)[part])

    return build


function("first")(_slice(slice(1)))
function("last")(_slice(slice(-1, None)))
function("tail")(_slice(slice(1, None)))


def _counted(cut: Callable[[Items, int], Items]) -> Builder:
    def build(call: Call) -> Code:
        def items(state: State, this: Items) -> Items:
            number = _number(call.arguments[0], state, this)
            return [] if number is None else cut(call.input.items(state, this), max(number, 0))

        return of_items(items)

    return build


function("skip", 1)(_counted(lambda items, number: items[number:]))
function("take", 1)(_counted(lambda items, number: items[:number]))


@function("intersect", 1)
def intersect(call: Call) -> Code:
    def items(state: State, this: Items) -> Items:
        found = call.input.items(state, this)
        if not found:
            return found
        other = Seen(state, call.arguments[0].items(state, this))
        return distinct(state, [item for item in found if item in other])

    return of_items(items)


@function("exclude", 1)
def exclude(call: Call) -> Code:
    def items(state: State, this: Items) -> Items:
        other = Seen(state, call.arguments[0].items(state, this))
        return [item for item in call.input.items(state, this) if item not in other]

    return of_items(items)
