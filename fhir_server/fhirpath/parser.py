"""Words → syntax tree, by the strength with which operators bind: https://hl7.org/fhirpath/N1/#grammar"""

from __future__ import annotations

from typing import Any

from fhir_server.fhirpath.errors import MAX_DEPTH, FhirPathError
from fhir_server.fhirpath.lexer import Token, malformed, tokens
from fhir_server.fhirpath.quantities import CALENDAR, Quantity
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

# Operators from the weakest to the strongest; all group to the left.
_LEVELS = ("implies", "or xor", "and", "in contains", "= ~ != !~", "<= < > >=", "|", "is as", "+ - &", "* / div mod")
_STRENGTH = {operator: level for level, group in enumerate(_LEVELS, 1) for operator in group.split()}
_POLARITY = len(_LEVELS) + 1
_ADDITIVE = {"+", "-"}


def parse(expression: str) -> Syntax:
    """The syntax tree of a whole expression; raises FhirPathError."""
    return _Parser(tokens(expression)).whole()


class _Parser:
    def __init__(self, words: list[Token]) -> None:
        self.words = words
        self.at = 0
        self.depth = 0

    def whole(self) -> Syntax:
        found = self.expression(0)
        if self.word.kind != "end":
            raise malformed(self.word.position)
        return found

    # ---- words -------------------------------------------------------------------------------------

    @property
    def word(self) -> Token:
        return self.words[self.at]

    def next(self) -> Token:
        word = self.words[self.at]
        self.at += 1
        return word

    def takes(self, symbol: str) -> bool:
        """Whether the next word is this symbol, which is then taken."""
        if self.word.kind != "symbol" or self.word.value != symbol:
            return False
        self.at += 1
        return True

    def expect(self, symbol: str) -> None:
        if not self.takes(symbol):
            raise malformed(self.word.position)

    # ---- expressions -------------------------------------------------------------------------------

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise FhirPathError("The expression is nested too deeply.")

    def expression(self, weakest: int) -> Syntax:
        """A term and the operators after it that bind more strongly than `weakest`."""
        outside = self.depth
        self.deeper()
        left = self.operand()
        while strength := self.strength(weakest):
            self.deeper()  # the tree grows to the left
            operator = self.next().value
            if operator in ("is", "as"):
                left = TypeTest(operator, left, self.type())
            else:
                left = Binary(operator, left, self.expression(strength))
        self.depth = outside
        return left

    def strength(self, weakest: int) -> int:
        """That of the next word as an operator; 0 when it is none or binds less strongly."""
        if self.word.kind not in ("name", "symbol"):
            return 0
        strength = _STRENGTH.get(self.word.value, 0)
        return strength if strength > weakest else 0

    def operand(self) -> Syntax:
        if self.word.kind == "symbol" and self.word.value in _ADDITIVE:
            operator = self.next().value
            return Polarity(operator, self.expression(_POLARITY))
        found = self.term()
        while True:
            if self.takes("."):
                found = self.invocation(found)
            elif self.takes("["):
                found = Index(found, self.expression(0))
                self.expect("]")
            else:
                return found
            self.deeper()

    def term(self) -> Syntax:
        word = self.next()
        match word.kind, word.value:
            case "number", value:
                return self.quantity(value)
            case "literal", value:
                return Literal(value)
            case "special", name:
                return Special(name)
            case "symbol", "%":
                return self.constant()
            case "symbol", "(":
                found = self.expression(0)
                self.expect(")")
                return found
            case "symbol", "{":
                self.expect("}")
                return Empty()
            case "name", ("true" | "false") as value:
                return Literal(value == "true")
            case (("name" | "quoted"), _):
                self.at -= 1
                return self.invocation(None)
        raise malformed(word.position)

    def quantity(self, value: Any) -> Syntax:
        """A number, with its unit if one follows."""
        word = self.word
        if word.kind == "literal" and isinstance(word.value, str):
            self.next()
            return Literal(Quantity.of(value, word.value))
        if word.kind == "name" and word.value in CALENDAR:
            self.next()
            return Literal(Quantity.of(value, CALENDAR[word.value], calendar=True))
        return Literal(value)

    def constant(self) -> Syntax:
        word = self.next()
        if word.kind in ("name", "quoted") or (word.kind == "literal" and isinstance(word.value, str)):
            return Constant(word.value)
        raise malformed(word.position)

    def invocation(self, before: Syntax | None) -> Syntax:
        """The name of an element, or a function with its arguments."""
        word = self.next()
        if word.kind == "special" and before is not None:
            raise malformed(word.position)
        # Any word may name an element after a point: Narrative.div is one.
        reserved = before is None and word.kind == "name" and word.value in _STRENGTH
        if word.kind not in ("name", "quoted") or (reserved and word.value not in ("as", "is", "contains", "in")):
            raise malformed(word.position)
        if word.kind == "quoted" or not self.takes("("):
            return Member(before, word.value)
        arguments: list[Syntax] = []
        if not self.takes(")"):
            arguments.append(self.expression(0))
            while self.takes(","):
                arguments.append(self.expression(0))
            self.expect(")")
        return Function(before, word.value, tuple(arguments))

    def type(self) -> str:
        """A type specifier: names joined by points."""
        names = [self.identifier()]
        while self.takes("."):
            names.append(self.identifier())
        return ".".join(names)

    def identifier(self) -> str:
        word = self.next()
        if word.kind not in ("name", "quoted"):
            raise malformed(word.position)
        return str(word.value)
