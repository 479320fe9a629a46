"""Operators between two expressions: https://hl7.org/fhirpath/N1/#operations"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fhir_server.fhirpath import dates, quantities
from fhir_server.fhirpath.code import Code, ToTruth, of_constant, of_items, of_truth, of_value, several
from fhir_server.fhirpath.comparison import Seen, distinct, equal, equal_values, equivalent, order
from fhir_server.fhirpath.dates import Moment
from fhir_server.fhirpath.environment import Environment, Items, State
from fhir_server.fhirpath.errors import MAX_TEXT, FhirPathError
from fhir_server.fhirpath.nodes import Node
from fhir_server.fhirpath.quantities import Quantity
from fhir_server.fhirpath.types import system_value

Builder = Callable[[Code, Code], Code]
_NUMBERS = (int, Decimal)
INTEGERS = range(-(2**31), 2**31)  # what overflows is empty


def binary(operator: str, left: Code, right: Code) -> Code:
    """The code of `left operator right`."""
    return BUILDERS[operator](left, right)


def number(value: Any) -> Any:
    """A number as the result of an operation; None when it overflows."""
    return value if type(value) is not int or value in INTEGERS else None


def text(value: str) -> str:
    """A string as the result of an operation; raises FhirPathError when it is too long."""
    check_length(len(value))
    return value


def check_length(length: int) -> None:
    """Raise FhirPathError when a string would have more than MAX_TEXT characters."""
    if length > MAX_TEXT:
        raise FhirPathError("The expression makes a string that is too long.")


# ---- logic: https://hl7.org/fhirpath/N1/#boolean-logic -------------------------------------------------


def _and(left: Code, right: Code) -> Code:
    one, other = left.truth, right.truth

    def truth(state: State, this: Items) -> bool | None:
        first = one(state, this)
        if first is False:
            return False
        second = other(state, this)
        return second if first or second is False else None

    return of_truth(truth)


def _or(left: Code, right: Code) -> Code:
    one, other = left.truth, right.truth

    def truth(state: State, this: Items) -> bool | None:
        first = one(state, this)
        if first:
            return True
        second = other(state, this)
        return second if first is False or second else None

    return of_truth(truth)


def _xor(left: Code, right: Code) -> Code:
    def truth(state: State, this: Items) -> bool | None:
        first, second = left.truth(state, this), right.truth(state, this)
        return None if first is None or second is None else first is not second

    return of_truth(truth)


def _implies(left: Code, right: Code) -> Code:
    one, other = left.truth, right.truth

    def truth(state: State, this: Items) -> bool | None:
        first = one(state, this)
        if first is False:
            return True
        second = other(state, this)
        return second if first or second else None

    return of_truth(truth)


# ---- equality and order --------------------------------------------------------------------------------


def _equality(left: Code, right: Code) -> ToTruth:
    if left.constant is not None and right.constant is None:
        left, right = right, left
    constant = right.constant
    if constant is not None and len(constant) == 1 and type(constant[0].value) is str:
        return _equals_text(left, constant[0].value)

    def truth(state: State, this: Items) -> bool | None:
        return equal(state, left.items(state, this), right.items(state, this))

    return truth


def _equals_text(left: Code, wanted: str) -> ToTruth:
    items = left.items

    def truth(state: State, this: Items) -> bool | None:
        found = items(state, this)
        if len(found) != 1:
            return False if found else None
        node = found[0]
        return True if node.value == wanted else equal_values(state, system_value(node), wanted)

    return truth


def _equals(left: Code, right: Code) -> Code:
    return of_truth(_equality(left, right))


def _differs(left: Code, right: Code) -> Code:
    same = _equality(left, right)

    def truth(state: State, this: Items) -> bool | None:
        found = same(state, this)
        return None if found is None else not found

    return of_truth(truth)


def _is_equivalent(left: Code, right: Code) -> Code:
    return of_truth(lambda state, this: equivalent(state, left.items(state, this), right.items(state, this)))


def _is_not_equivalent(left: Code, right: Code) -> Code:
    return of_truth(lambda state, this: not equivalent(state, left.items(state, this), right.items(state, this)))


def _ordered(accepts: Callable[[int], bool]) -> Builder:
    def build(left: Code, right: Code) -> Code:
        one, other = left.value, right.value

        def truth(state: State, this: Items) -> bool | None:
            first, second = one(state, this), other(state, this)
            if first is None or second is None:
                return None
            found = order(first, second)
            return None if found is None else accepts(found)

        return of_truth(truth)

    return build


# ---- collections ---------------------------------------------------------------------------------------


def _in(left: Code, right: Code) -> Code:
    wanted = right.constant
    texts = frozenset(item.value for item in wanted or () if type(item.value) is str)

    def truth(state: State, this: Items) -> bool | None:
        items = left.items(state, this)
        if not items:
            return None
        if len(items) > 1:
            raise several()
        if type(items[0].value) is str and items[0].value in texts:
            return True
        return items[0] in Seen(state, right.items(state, this) if wanted is None else wanted)

    return of_truth(truth)


def _contains(left: Code, right: Code) -> Code:
    return _in(right, left)


def union(left: Code, right: Code) -> Code:
    """`|`: all items of both, each once."""
    if left.constant is not None and right.constant is not None:
        fixed = distinct(State(Environment(), []), left.constant + right.constant)
        return of_constant(fixed)

    def items(state: State, this: Items) -> Items:
        found = left.items(state, this) + right.items(state, this)
        state.spend(len(found))
        return distinct(state, found)

    return of_items(items, exists=lambda state, this: left.exists(state, this) or right.exists(state, this))


# ---- arithmetic: https://hl7.org/fhirpath/N1/#math -----------------------------------------------------


def _arithmetic(operate: Callable[[Any, Any], Any]) -> Builder:
    def build(left: Code, right: Code) -> Code:
        def value(state: State, this: Items) -> Any:
            first, second = left.value(state, this), right.value(state, this)
            return None if first is None or second is None else state.made(number(operate(first, second)))

        return of_value(value)

    return build


def _are_numbers(left: Any, right: Any) -> bool:
    return type(left) in _NUMBERS and type(right) in _NUMBERS


def _unfit() -> FhirPathError:
    return FhirPathError("The expression calculates with what cannot be calculated with.")


def _plus(left: Any, right: Any) -> Any:
    if _are_numbers(left, right):
        return left + right
    if type(left) is str and type(right) is str:
        return text(left + right)
    return _sum(left, right, 1)


def _minus(left: Any, right: Any) -> Any:
    return left - right if _are_numbers(left, right) else _sum(left, right, -1)


def _sum(left: Any, right: Any, sign: int) -> Any:
    if type(right) is Quantity:
        if type(left) is Moment:
            return dates.add(left, right, sign)
        if type(left) is Quantity:
            return quantities.add(left, right, sign)
    raise _unfit()


def _times(left: Any, right: Any) -> Any:
    return _scaled(left, right, lambda a, b: a * b, quantities.multiply)


def _over(left: Any, right: Any) -> Any:
    return _scaled(left, right, lambda a, b: Decimal(a) / b if b else None, quantities.divide)


def _scaled(left: Any, right: Any, numbers: Callable[[Any, Any], Any], units: Callable[[Any, Any], Any]) -> Any:
    if _are_numbers(left, right):
        return numbers(left, right)
    if Quantity not in (type(left), type(right)):
        raise _unfit()
    one, other = (each if type(each) is Quantity else None for each in (left, right))
    if one is None:
        one = Quantity.of(left) if type(left) in _NUMBERS else None
    if other is None:
        other = Quantity.of(right) if type(right) in _NUMBERS else None
    if one is None or other is None:
        raise _unfit()
    return units(one, other)


def _div(left: Any, right: Any) -> Any:
    if not _are_numbers(left, right):
        raise _unfit()
    if not right:
        return None
    # Towards zero, which `//` is for Decimal only.
    return whole(Decimal(left) // Decimal(right))


def _mod(left: Any, right: Any) -> Any:
    if not _are_numbers(left, right):
        raise _unfit()
    if not right:
        return None
    rest = Decimal(left) % Decimal(right)
    return int(rest) if type(left) is int and type(right) is int else rest


def whole(value: Decimal) -> int | None:
    """An integer, None when it overflows."""
    return int(value) if INTEGERS.start <= value < INTEGERS.stop else None


def _concatenate(left: Code, right: Code) -> Code:
    def value(state: State, this: Items) -> Any:
        return state.made(text(_text(left.value(state, this)) + _text(right.value(state, this))))

    return of_value(value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Node):
        raise FhirPathError("The expression joins what is no string.")
    return to_text(value)


def to_text(value: Any) -> str:
    """A System value as a string."""
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is Decimal and abs(value.adjusted()) < 1000:
        return f"{value:f}"
    return str(value)


BUILDERS: dict[str, Builder] = {
    "and": _and,
    "or": _or,
    "xor": _xor,
    "implies": _implies,
    "=": _equals,
    "!=": _differs,
    "~": _is_equivalent,
    "!~": _is_not_equivalent,
    "<": _ordered(lambda found: found < 0),
    "<=": _ordered(lambda found: found <= 0),
    ">": _ordered(lambda found: found > 0),
    ">=": _ordered(lambda found: found >= 0),
    "in": _in,
    "contains": _contains,
    "|": union,
    "+": _arithmetic(_plus),
    "-": _arithmetic(_minus),
    "*": _arithmetic(_times),
    "/": _arithmetic(_over),
    "div": _arithmetic(_div),
    "mod": _arithmetic(_mod),
    "&": _concatenate,
}
