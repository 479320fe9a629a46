"""https://hl7.org/fhirpath/N1/#tree-navigation"""

from __future__ import annotations

from fhir_server.fhirpath import nodes
from fhir_server.fhirpath.code import Code, of_items
from fhir_server.fhirpath.environment import Items, State
from fhir_server.fhirpath.functions.registry import Call, function


def _children(state: State, items: Items) -> Items:
    found = [child for item in items for child in nodes.children(item)]
    state.spend(len(found))
    return found


@function("children")
def children(call: Call) -> Code:
    of_input = call.input.items

    def exists(state: State, this: Items) -> bool:
        return any(nodes.children(item) for item in of_input(state, this))

    return of_items(lambda state, this: _children(state, of_input(state, this)), exists=exists)


@function("descendants")
def descendants(call: Call) -> Code:
    of_input = call.input.items

    def items(state: State, this: Items) -> Items:
        start = of_input(state, this)
        # Most often it is asked for a whole resource, and by one invariant several times.
        key = ("descendants", *map(id, start))
        if key not in state.memo:
            found: Items = []
            level = start
            while level := _children(state, level):
                found.extend(level)
            state.memo[key] = (start, found)
        state.spend(len(state.memo[key][1]))
        return list(state.memo[key][1])

    return of_items(items)
