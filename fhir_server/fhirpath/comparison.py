"""Equality, equivalence and order: https://hl7.org/fhirpath/N1/#equality · #comparison"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fhir_server.fhirpath import dates, quantities
from fhir_server.fhirpath.dates import Moment
from fhir_server.fhirpath.environment import Items, State
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.nodes import Node, children
from fhir_server.fhirpath.quantities import Quantity, round_to
from fhir_server.fhirpath.types import system_value

_NUMBERS = (int, Decimal)


def equal(state: State, left: Items, right: Items) -> bool | None:
    """`=`: the same items in the same order; None when one is empty, or precision leaves it open."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    answer: bool | None = True
    for one, other in zip(left, right, strict=True):
        same = equal_values(state, _value(one), _value(other))
        if same is False:
            return False
        if same is None:
            answer = None
    return answer


def equal_values(state: State, left: Any, right: Any) -> bool | None:
    """The same of two System values, or Nodes that are none."""
    kind, other = type(left), type(right)
    if kind is str and other is str:
        return bool(left == right)
    if kind is bool or other is bool:
        return left is right
    if kind in _NUMBERS and other in _NUMBERS:
        return bool(left == right)
    if kind is Moment and other is Moment:
        if (left.kind == dates.TIME) != (right.kind == dates.TIME):
            return False
        order = dates.compare(left, right)
        return None if order is None else order == 0
    if kind is Moment and other is str:
        return bool(str(left) == right)
    if kind is str and other is Moment:
        return bool(left == str(right))
    if Quantity in (kind, other):
        return _equal_quantities(left, right)
    if kind is Node and other is Node:
        return _equal_nodes(state, left, right)
    return False


def _value(node: Node) -> Any:
    """A System value, or the Node itself where there is none: a primitive that has only extensions is those."""
    value = system_value(node)
    return node if value is None else value


def _equal_quantities(left: Any, right: Any) -> bool | None:
    one, other = as_quantity(left), as_quantity(right)
    if one is None or other is None:
        return False
    order = quantities.compare(one, other)
    return None if order is None else order == 0


def as_quantity(value: Any) -> Quantity | None:
    """A quantity, or a number as one without unit."""
    if type(value) is Quantity:
        return value
    return Quantity.of(value) if type(value) in _NUMBERS else None


def _equal_nodes(state: State, left: Node, right: Node) -> bool | None:
    """Elements with the same elements, extensions included; ids do not count."""
    if left is right or left.value is right.value is not None:
        return True
    if left.type != right.type and type(left.value) is not type(right.value):
        return False
    one, other = _compared(left), _compared(right)
    state.spend(len(one) + len(other))
    if [node.name for node in one] != [node.name for node in other]:
        return False
    return True if not one else equal(state, one, other)


def _compared(node: Node) -> Items:
    return [each for each in children(node) if each.name != "id"]


def equivalent(state: State, left: Items, right: Items) -> bool:
    """`~`: the same items in any order, loosely; two empty collections are."""
    if len(left) != len(right):
        return False
    rest = [_value(each) for each in right]
    for one in left:
        state.spend(len(rest))
        value = _value(one)
        found = next((i for i, other in enumerate(rest) if equivalent_values(state, value, other)), None)
        if found is None:
            return False
        del rest[found]
    return True


def equivalent_values(state: State, left: Any, right: Any) -> bool:
    """Case and kinds of white space do not count in strings, nor digits beyond the less precise number's."""
    kind, other = type(left), type(right)
    if kind is str and other is str:
        return " ".join(left.casefold().split()) == " ".join(right.casefold().split())
    if kind in _NUMBERS and other in _NUMBERS:
        places = min(_places(left), _places(right))
        return _rounded(left, places) == _rounded(right, places)
    if kind is Quantity and other is Quantity:
        return quantities.equivalent(left, right)
    if kind is Node and other is Node and type(left.value) is dict and type(right.value) is dict:
        return _equivalent_nodes(state, left, right)
    return equal_values(state, left, right) is True


def _equivalent_nodes(state: State, left: Node, right: Node) -> bool:
    if left.type != right.type:
        return False
    if left.type == "Coding":  # https://hl7.org/fhir/R4/fhirpath.html#types: by code and system
        return all(left.value.get(name) == right.value.get(name) for name in ("code", "system"))
    if left.type == "CodeableConcept":
        one, other = ([c for c in children(n) if c.name == "coding"] for n in (left, right))
        if one or other:
            return equivalent(state, one, other)
    one, other = _compared(left), _compared(right)
    state.spend(len(one) + len(other))
    return sorted(n.name for n in one) == sorted(n.name for n in other) and equivalent(state, one, other)


def _places(number: int | Decimal) -> int:
    """Digits after the point, trailing zeros left out."""
    exponent = Decimal(number).normalize().as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0


def _rounded(number: int | Decimal, places: int) -> Decimal:
    return round_to(Decimal(number), places)


def order(left: Any, right: Any) -> int | None:
    """-1, 0 or 1 for two System values; None when precision or units leave it open.

    Raises FhirPathError when they cannot be ordered.
    """
    kind, other = type(left), type(right)
    if (kind in _NUMBERS and other in _NUMBERS) or (kind is str and other is str):
        return int(left > right) - int(left < right)
    if kind is Moment and other is Moment and (left.kind == dates.TIME) == (right.kind == dates.TIME):
        return dates.compare(left, right)
    if Quantity in (kind, other):
        one, two = as_quantity(left), as_quantity(right)
        if one is not None and two is not None:
            return quantities.compare(one, two)
    raise FhirPathError("The expression compares what has no order.")


def key(node: Node) -> Any:
    """What two equal items have alike, and others not; None where equality is more than that."""
    value = system_value(node)
    kind = type(value)
    if kind is str:
        return value
    if kind is bool:
        return (value,)
    if kind in _NUMBERS:
        return Decimal(value)
    return None


class Seen:
    """A set of items by equality."""

    def __init__(self, state: State, items: Items = ()) -> None:  # type: ignore[assignment]
        self.state = state
        self.keys: set[Any] = set()
        self.others: list[Any] = []
        for item in items:
            self.add(item)

    def add(self, node: Node) -> bool:
        """Whether it was not in it."""
        found = key(node)
        if found is None:
            value = _value(node)
            if self._has(value):
                return False
            self.others.append(value)
            return True
        self.state.spend(1)
        before = len(self.keys)
        self.keys.add(found)
        return len(self.keys) > before

    def __contains__(self, node: Node) -> bool:
        found = key(node)
        self.state.spend(1)
        return self._has(_value(node)) if found is None else found in self.keys

    def _has(self, value: Any) -> bool:
        self.state.spend(len(self.others) + 1)
        return any(equal_values(self.state, value, other) for other in self.others)


def distinct(state: State, items: Items) -> Items:
    """The items without those equal to one before."""
    if len(items) < 2:
        return items
    seen = Seen(state)
    return [item for item in items if seen.add(item)]
