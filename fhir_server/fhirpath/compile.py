"""Syntax tree → code."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from fhir_server.fhirpath import nodes
from fhir_server.fhirpath.code import Code, of_constant, of_items, of_value
from fhir_server.fhirpath.environment import Environment, Items, State, fixed
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.functions import FUNCTIONS, Call
from fhir_server.fhirpath.functions.subsetting import at
from fhir_server.fhirpath.functions.utility import type_cast, type_test
from fhir_server.fhirpath.nodes import Node
from fhir_server.fhirpath.operators import binary, number
from fhir_server.fhirpath.parser import parse
from fhir_server.fhirpath.quantities import Quantity
from fhir_server.fhirpath.syntax import (
    Binary,
    Constant,
    Empty,
    Function,
    Index,
    Literal,
    Member,
    Polarity,
    Special,
    Syntax,
    TypeTest,
)
from fhir_server.fhirpath.types import ancestors, system_node

THIS = of_items(lambda state, this: this)


class Expression:
    """A compiled expression, good for any number of evaluations at the same time."""

    __slots__ = ("_code", "syntax")

    def __init__(self, syntax: Syntax) -> None:
        self.syntax = syntax
        self._code = code(syntax)

    def evaluate(self, context: Node | list[Node], environment: Environment | None = None) -> list[Node]:
        """All that it selects; raises FhirPathError."""
        start = context if isinstance(context, list) else [context]
        state = State(environment or Environment(), start)
        try:
            return self._code.items(state, start)
        except (ArithmeticError, RecursionError):
            raise _failed() from None
        finally:
            state.end()

    def holds(self, node: Node, environment: Environment | None = None) -> bool:
        """Whether it is true of a node, as an invariant: nothing is false, and what is no boolean is true.

        Raises FhirPathError.
        """
        start = [node]
        state = State(environment or Environment(), start)
        try:
            return bool(self._code.truth(state, start))
        except (ArithmeticError, RecursionError):
            raise _failed() from None
        finally:
            state.end()


def _failed() -> FhirPathError:
    return FhirPathError("The expression cannot be evaluated.")


@lru_cache(2048)
def compile(expression: str) -> Expression:
    """The expression, from a cache; raises FhirPathError when it is malformed, too long or too deep."""
    return Expression(parse(expression))


def code(syntax: Syntax | None) -> Code:
    """The code of any part; None is the context."""
    match syntax:
        case None | Special("this"):
            return THIS
        case Literal(value):
            return of_constant([system_node(value)])
        case Empty():
            return of_constant([])
        case Special("index"):
            return of_value(lambda state, this: state.index)
        case Special(_):
            return of_items(lambda state, this: state.total)
        case Constant(name):
            return _constant(name)
        case Member(before, name):
            return _start(name) if before is None else _member(code(before), name)
        case Function(before, name, arguments):
            return _function(code(before), name, arguments)
        case Index(before, index):
            return at(code(before), code(index))
        case Polarity(operator, operand):
            return _polarity(operator, code(operand))
        case Binary(operator, left, right):
            return binary(operator, code(left), code(right))
        case TypeTest("is", operand, type_):
            return type_test(code(operand), type_)
        case TypeTest(_, operand, type_):
            return type_cast(code(operand), type_)
    raise AssertionError("there is no other syntax")


def _constant(name: str) -> Code:
    text = fixed(name)
    return of_items(lambda state, this: state.constant(name)) if text is None else of_constant([system_node(text)])


def _member(before: Code, name: str) -> Code:
    add, has, of_before = nodes.add_child, nodes.has_child, before.items

    def items(state: State, this: Items) -> Items:
        found: Items = []
        for node in of_before(state, this):
            add(node, name, found)
        return found

    def exists(state: State, this: Items) -> bool:
        return any(has(node, name) for node in of_before(state, this))

    return of_items(items, exists=exists)


def _start(name: str) -> Code:
    """A name at the start: of an element of the context, or of the context's type."""
    elements = _member(THIS, name)
    if not name[0].isupper():
        return elements
    return of_items(lambda state, this: [node for node in this if name in ancestors(node.type)])


def _function(before: Code, name: str, arguments: tuple[Syntax, ...]) -> Code:
    entry = FUNCTIONS.get(name)
    if entry is None:
        raise FhirPathError("The expression uses a function that there is not.")
    if not entry.least <= len(arguments) <= entry.most:
        raise FhirPathError(f"{name}() does not take so many arguments.")
    return entry.build(Call(before, tuple(map(code, arguments)), arguments, code))


def _polarity(operator: str, operand: Code) -> Code:
    def value(state: State, this: Items) -> Any:
        found = operand.value(state, this)
        if found is None or operator == "+":
            return found
        if type(found) is Quantity:
            return Quantity(-found.value, found.unit, found.calendar)
        if type(found) is bool or isinstance(found, (str, Node)) or not hasattr(found, "__neg__"):
            raise FhirPathError("The expression negates what is no number.")
        return number(-found)

    made = of_value(value)
    if operand.constant is not None:
        return of_constant(made.items(State(Environment(), []), []))
    return made
