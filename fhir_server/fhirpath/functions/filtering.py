"""https://hl7.org/fhirpath/N1/#filtering-and-projection · #combining"""

from __future__ import annotations

from fhir_server.fhirpath.code import Code, of_items
from fhir_server.fhirpath.comparison import Seen
from fhir_server.fhirpath.environment import Items, State
from fhir_server.fhirpath.functions.registry import Call, function
from fhir_server.fhirpath.operators import union as united
from fhir_server.fhirpath.types import is_chosen, specified


@function("where", 1)
def where(call: Call) -> Code:
    of_input, holds = call.input.items, call.arguments[0].truth

    def items(state: State, this: Items) -> Items:
        return [item[0] for item in state.each(of_input(state, this)) if holds(state, item)]

    def exists(state: State, this: Items) -> bool:
        return any(holds(state, item) for item in state.each(of_input(state, this)))

    return of_items(items, exists=exists)


@function("select", 1)
def select(call: Call) -> Code:
    of_input, project = call.input.items, call.arguments[0].items

    def items(state: State, this: Items) -> Items:
        found: Items = []
        for item in state.each(of_input(state, this)):
            projected = project(state, item)
            state.spend(len(projected))
            found.extend(projected)
        return found

    return of_items(items)


@function("repeat", 1)
def repeat(call: Call) -> Code:
    of_input, project = call.input.items, call.arguments[0].items

    def items(state: State, this: Items) -> Items:
        found: Items = []
        elements: set[int] = set()
        values = Seen(state)
        waiting = of_input(state, this)
        while waiting:
            following: Items = []
            for item in state.each(waiting):
                for each in project(state, item):
                    # Elements of the same content are still different ones, else a repeated item would hide another.
                    new = values.add(each) if each.parent is None else id(each.value) not in elements
                    if new:
                        elements.add(id(each.value))
                        found.append(each)
                        following.append(each)
            waiting = following
        return found

    return of_items(items)


@function("ofType", 1)
def of_type(call: Call) -> Code:
    wanted, of_input = call.type_name(), call.input.items
    specified(wanted)
    return of_items(lambda state, this: [item for item in of_input(state, this) if is_chosen(item.type, wanted)])


@function("union", 1)
def union(call: Call) -> Code:
    return united(call.input, call.arguments[0])


@function("combine", 1)
def combine(call: Call) -> Code:
    left, right = call.input.items, call.arguments[0].items

    def items(state: State, this: Items) -> Items:
        found = left(state, this) + right(state, this)
        state.spend(len(found))
        return found

    return of_items(items)
