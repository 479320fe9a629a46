"""The part of FHIRPath that search parameters are written in, read into steps.

https://hl7.org/fhir/R4/searchparameter-definitions.html#SearchParameter.expression
"""

from __future__ import annotations

import re
from dataclasses import dataclass


class UnsupportedExpression(ValueError):
    """The expression uses what cannot be turned into an extractor."""


@dataclass(frozen=True, slots=True)
class Name:
    """`.name`: go to an element."""

    name: str


@dataclass(frozen=True, slots=True)
class As:
    """`.as(Type)`, `as Type`, `.ofType(Type)`: keep values of one type."""

    type: str


@dataclass(frozen=True, slots=True)
class Where:
    """`.where(element='value')`: keep values with that element."""

    element: str
    value: str


@dataclass(frozen=True, slots=True)
class Target:
    """`.where(resolve() is Type)`: keep references to one resource type."""

    type: str


@dataclass(frozen=True, slots=True)
class First:
    """`[0]` or `.first()`: keep the first value."""


@dataclass(frozen=True, slots=True)
class TrueUnlessFalse:
    """`x.exists() and x != false`: true when the element is there and not false, else false."""


Step = Name | As | Where | Target | First | TrueUnlessFalse
Branch = tuple[Step, ...]

_TOKEN = re.compile(r"\s*('[^']*'|[A-Za-z_]\w*|\d+|!=|[|().\[\]=])")
_TRUE_UNLESS_FALSE = re.compile(r"([\w.]+)\.exists\(\) and \1 != false")


def branches(expression: str) -> tuple[Branch, ...]:
    """The union's branches, each a series of steps; raises UnsupportedExpression."""
    if match := _TRUE_UNLESS_FALSE.fullmatch(expression.strip()):
        return ((*(Name(name) for name in match[1].split(".")), TrueUnlessFalse()),)
    reader = _Reader(expression)
    found = reader.union()
    if reader.peek():
        raise UnsupportedExpression(expression)
    return found


class _Reader:
    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._tokens: list[str] = []
        position = 0
        text = expression.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise UnsupportedExpression(expression)
            self._tokens.append(match[1])
            position = match.end()
        self._tokens.reverse()

    def peek(self) -> str:
        return self._tokens[-1] if self._tokens else ""

    def take(self, expected: str = "") -> str:
        if not self._tokens or (expected and self._tokens[-1] != expected):
            raise UnsupportedExpression(self._expression)
        return self._tokens.pop()

    def union(self) -> tuple[Branch, ...]:
        found = list(self._path())
        while self.peek() == "|":
            self.take("|")
            found.extend(self._path())
        return tuple(found)

    def _path(self) -> list[Branch]:
        if self.peek() == "(":
            self.take("(")
            found = list(self.union())
            self.take(")")
        else:
            found = [(Name(self._name()),)]
        while self.peek() in (".", "[", "as"):
            step = self._step()
            found = [(*branch, *step) for branch in found]
        return found

    def _name(self) -> str:
        name = self.take()
        if not name[0].isalpha():
            raise UnsupportedExpression(self._expression)
        return name

    def _step(self) -> Branch:
        match self.take():
            case "as":
                return (As(self._name()),)
            case "[":
                self.take("0")
                self.take("]")
                return (First(),)
        name = self._name()
        if self.peek() != "(":
            return (Name(name),)
        self.take("(")
        step = self._call(name)
        self.take(")")
        return step

    def _call(self, name: str) -> Branch:
        match name:
            case "as" | "ofType":
                return (As(self._name()),)
            case "first":
                return (First(),)
            case "extension":
                return (Name("extension"), Where("url", self.take()[1:-1]))
            case "where":
                return (self._where(),)
        raise UnsupportedExpression(self._expression)

    def _where(self) -> Step:
        element = self._name()
        if element == "resolve":
            for expected in ("(", ")", "is"):
                self.take(expected)
            return Target(self._name())
        self.take("=")
        value = self.take()
        if not value.startswith("'"):
            raise UnsupportedExpression(self._expression)
        return Where(element, value[1:-1])
