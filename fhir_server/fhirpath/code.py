"""Compiled code: one expression as closures, each for another question, so that no node is made only to be counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_server.fhirpath.environment import Items, State
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.nodes import Node
from fhir_server.fhirpath.types import is_fhir, system_node, system_value

ToItems = Callable[[State, Items], Items]
ToValue = Callable[[State, Items], Any]
ToTruth = Callable[[State, Items], bool | None]
ToExistence = Callable[[State, Items], bool]
ToCount = Callable[[State, Items], int]

TRUE, FALSE = Node(True, "System.Boolean"), Node(False, "System.Boolean")


class Code:
    """What an expression does, given the state of the evaluation and its context ($this).

    `items` is all it selects. `value` is the System value of its one item, the Node itself if it has no such value,
    None if there is no item. `truth` is the same as a condition, by the rules of singleton evaluation. `exists` says
    whether there is any item, `count` how many. `constant` is the items of what is the same always.
    """

    __slots__ = ("constant", "count", "exists", "items", "truth", "value")

    def __init__(
        self,
        items: ToItems,
        value: ToValue,
        truth: ToTruth,
        exists: ToExistence,
        count: ToCount,
        constant: Items | None = None,
    ) -> None:
        self.items = items
        self.value = value
        self.truth = truth
        self.exists = exists
        self.count = count
        self.constant = constant


def of_items(
    items: ToItems,
    *,
    exists: ToExistence | None = None,
    count: ToCount | None = None,
    value: ToValue | None = None,
) -> Code:
    """Code that selects items."""
    return Code(
        items,
        value or (lambda state, this: one(items(state, this))),
        lambda state, this: condition(items(state, this)),
        exists or (lambda state, this: bool(items(state, this))),
        count or (lambda state, this: len(items(state, this))),
    )


def of_value(value: ToValue) -> Code:
    """Code that makes one System value, or None."""

    def items(state: State, this: Items) -> Items:
        found = value(state, this)
        return [] if found is None else [found if isinstance(found, Node) else system_node(found)]

    def truth(state: State, this: Items) -> bool | None:
        found = value(state, this)
        return None if found is None else found is not False

    return Code(
        items,
        value,
        truth,
        lambda state, this: value(state, this) is not None,
        lambda state, this: 0 if value(state, this) is None else 1,
    )


def of_truth(truth: ToTruth) -> Code:
    """Code that says true, false or (None) nothing."""

    def items(state: State, this: Items) -> Items:
        found = truth(state, this)
        return [] if found is None else [TRUE if found else FALSE]

    return Code(
        items,
        truth,
        truth,
        lambda state, this: truth(state, this) is not None,
        lambda state, this: 0 if truth(state, this) is None else 1,
    )


def of_constant(items: Items) -> Code:
    """Code that is always the same."""
    code = of_items(lambda state, this: items)
    code.constant = items
    if len(items) <= 1:
        value, truth = one(items), condition(items)
        code.value = lambda state, this: value
        code.truth = lambda state, this: truth
    return code


def one(items: Items) -> Any:
    """The System value of the only item, or the item itself; None if there is none.

    Raises FhirPathError when there are several.
    """
    if not items:
        return None
    if len(items) > 1:
        raise several()
    return system_value(items[0])


def several() -> FhirPathError:
    return FhirPathError("The expression has several items where one is expected.")


def condition(items: Items) -> bool | None:
    """The items as a condition: https://hl7.org/fhirpath/N1/#singleton-evaluation-of-collections

    One item that is no boolean is true. So are several elements, which published invariants need ("telecom or
    endpoint"); several values are an error.
    """
    if not items:
        return None
    if len(items) > 1:
        if all(is_fhir(item) and item.type != "boolean" for item in items):
            return True
        raise several()
    value = items[0].value
    return value if value is True or value is False else None if value is None and not items[0].companion else True
