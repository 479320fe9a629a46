"""The syntax tree of an expression: https://hl7.org/fhirpath/N1/#expressions"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Syntax:
    """Any part of an expression."""

    def parts(self) -> Iterator[Syntax]:
        """The parts directly below."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Syntax):
                yield value
            elif isinstance(value, tuple):
                yield from (each for each in value if isinstance(each, Syntax))

    def walk(self) -> Iterator[Syntax]:
        """This and all parts below it."""
        yield self
        for part in self.parts():
            yield from part.walk()


@dataclass(frozen=True, slots=True)
class Literal(Syntax):
    """A boolean, string, number, date, time or quantity, as its Python value."""

    value: Any


@dataclass(frozen=True, slots=True)
class Empty(Syntax):
    """`{}`"""


@dataclass(frozen=True, slots=True)
class Constant(Syntax):
    """`%name`"""

    name: str


@dataclass(frozen=True, slots=True)
class Special(Syntax):
    """`$this`, `$index` or `$total`; the name is without the dollar."""

    name: str


@dataclass(frozen=True, slots=True)
class Member(Syntax):
    """The name of an element, or at the start that of a type; `input` None is the context."""

    input: Syntax | None
    name: str


@dataclass(frozen=True, slots=True)
class Function(Syntax):
    """A call; `input` None is the context."""

    input: Syntax | None
    name: str
    arguments: tuple[Syntax, ...] = ()


@dataclass(frozen=True, slots=True)
class Index(Syntax):
    """`input[index]`"""

    input: Syntax
    index: Syntax


@dataclass(frozen=True, slots=True)
class Polarity(Syntax):
    """`-operand` or `+operand`"""

    operator: str
    operand: Syntax


@dataclass(frozen=True, slots=True)
class Binary(Syntax):
    """Two operands and what stands between them."""

    operator: str
    left: Syntax
    right: Syntax


@dataclass(frozen=True, slots=True)
class TypeTest(Syntax):
    """`operand is type` or `operand as type`; the type as written, its parts joined by points."""

    operator: str
    operand: Syntax
    type: str
