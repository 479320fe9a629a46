"""Functions by name; a decorator in one of the files beside registers each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fhir_server.fhirpath.code import Code, of_value
from fhir_server.fhirpath.environment import Items, State
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.syntax import Member, Syntax


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the code of what it is applied to and of its arguments, these as written, and what compiles them."""

    input: Code
    arguments: tuple[Code, ...]
    syntax: tuple[Syntax, ...]
    compile: Callable[[Syntax], Code]

    def argument(self, number: int) -> Code | None:
        """An argument that may be left out."""
        return self.arguments[number] if number < len(self.arguments) else None

    def type_name(self) -> str:
        """The first argument as a type specifier; raises FhirPathError when it is none."""
        names: list[str] = []
        part: Syntax | None = self.syntax[0]
        while isinstance(part, Member):
            names.append(part.name)
            part = part.input
        if part is not None:
            raise FhirPathError("A function takes the name of a type, and is given something else.")
        return ".".join(reversed(names))


Builder = Callable[[Call], Code]


@dataclass(frozen=True, slots=True)
class Entry:
    least: int
    most: int
    build: Builder


FUNCTIONS: dict[str, Entry] = {}


def function(name: str, least: int = 0, most: int | None = None) -> Callable[[Builder], Builder]:
    """Register what makes the code of a function with so many arguments."""

    def register(build: Builder) -> Builder:
        FUNCTIONS[name] = Entry(least, least if most is None else most, build)
        return build

    return register


def scalar(
    name: str, *kinds: tuple[type, ...], optional: int = 0, cost: int = 0
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a Python function of System values: the input, then the arguments, of these Python types.

    When one of them is empty so is the result; of another type, it is an error. The last `optional` may be left out.
    `cost` is the steps that a call takes.
    """

    def register(operate: Callable[..., Any]) -> Callable[..., Any]:
        most = len(kinds) - 1

        def build(call: Call) -> Code:
            codes = (call.input, *call.arguments)

            def value(state: State, this: Items) -> Any:
                found = [code.value(state, this) for code in codes]
                for each, kind in zip(found, kinds, strict=False):
                    if each is None:
                        return None
                    if type(each) not in kind:
                        raise FhirPathError(f"{name}() is not for a value of this type.")
                state.spend(cost)
                return state.made(operate(*found))

            return of_value(value)

        FUNCTIONS[name] = Entry(most - optional, most, build)
        return operate

    return register
