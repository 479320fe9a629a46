"""A small interpreter of FHIRPath: what the expressions of SearchParameters need, over JSON and the definitions.

https://hl7.org/fhir/R4/searchparameter-definitions.html#SearchParameter.expression
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from fhir_server.definitions import RESOURCE_TYPES, ElementDefinition, type_definition, type_names

Json = dict[str, Any]
REFERENCE = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?$")
_TOKEN = re.compile(r"\s*(?:('(?:[^'\\]|\\.)*')|(\d+)|(%?[A-Za-z_]\w*|`[^`]+`)|(!=|[=().,|\[\]]))")


class Node(NamedTuple):
    """A value with its FHIR type, the element that holds it, and a primitive's `_name` companion."""

    type: str
    value: Any
    element: ElementDefinition | None = None
    companion: Json | None = None


@dataclass(frozen=True)
class Expression:
    """What every expression has: the one it is applied to, None at the start of a path."""

    source: Expression | None


@dataclass(frozen=True)
class Step(Expression):
    """A name: a child element, or at the start of a path the type of the resource."""

    name: str


@dataclass(frozen=True)
class Call(Expression):
    """`where(…)`, `exists()`, `as(T)` and the rest."""

    function: str
    argument: Expression | None


@dataclass(frozen=True)
class Index(Expression):
    """`[0]`."""

    number: int


@dataclass(frozen=True)
class Literal(Expression):
    """A string, a boolean or a number."""

    value: str | bool | int


@dataclass(frozen=True)
class Operation(Expression):
    """`source operator right`: and, =, !=, | and, with a type's name on the right, as and is."""

    operator: str
    right: Expression


class _Parser:
    """Recursive descent, from what binds least to what binds most."""

    LEVELS = (("and",), ("=", "!="), ("|",))

    def __init__(self, text: str) -> None:
        self.tokens = list(_tokens(text))

    def peek(self) -> str:
        return self.tokens[0] if self.tokens else ""

    def take(self, expected: str = "") -> str:
        token = self.tokens.pop(0)
        if expected and token != expected:
            raise SyntaxError(f"{expected!r} expected, {token!r} found")
        return token

    def binary(self, level: int = 0) -> Expression:
        if level == len(self.LEVELS):
            return self.typed()
        left = self.binary(level + 1)
        while self.peek() in self.LEVELS[level]:
            left = Operation(left, self.take(), self.binary(level + 1))
        return left

    def typed(self) -> Expression:
        left = self.path()
        while self.peek() in ("as", "is"):
            left = Operation(left, self.take(), Step(None, self.type_name()))
        return left

    def type_name(self) -> str:
        name = self.take()
        while self.peek() == ".":  # FHIR.Patient, System.String
            self.take()
            name = self.take()
        return name

    def path(self) -> Expression:
        here = self.first()
        while self.peek() in (".", "["):
            if self.take() == "[":
                here = Index(here, int(self.take()))
                self.take("]")
            else:
                here = self.named(here, self.take())
        return here

    def first(self) -> Expression:
        token = self.take()
        if token == "(":
            inside = self.binary()
            self.take(")")
            return inside
        if token.startswith("'"):
            return Literal(None, re.sub(r"\\(.)", r"\1", token[1:-1]))
        if token.isdigit() or token in ("true", "false"):
            return Literal(None, int(token) if token.isdigit() else token == "true")
        return self.named(None, token)

    def named(self, source: Expression | None, name: str) -> Expression:
        if self.peek() != "(":
            return Step(source, name.strip("`"))
        self.take()
        argument = None if self.peek() == ")" else self.binary()
        self.take(")")
        return Call(source, name, argument)


def _tokens(text: str) -> Iterator[str]:
    text = text.strip()
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise SyntaxError(f"unexpected character at {position} of {text!r}")
        yield match.group().strip()
        position = match.end()


@cache
def parse(text: str) -> Expression:
    """The expression's tree; SyntaxError for what is outside the subset."""
    parser = _Parser(text)
    tree = parser.binary()
    if parser.tokens:
        raise SyntaxError(f"{parser.tokens[0]!r} is left over in {text!r}")
    return tree


def is_exactly(name: str, wanted: str) -> bool:
    """Whether a choice has this very type (`as uri` is not a canonical); for R4's misspelt `DateTime` too."""
    return wanted in (name, name[0].upper() + name[1:] if wanted not in type_names() else "")


@cache
def is_a(name: str, wanted: str) -> bool:
    """Whether a type is another or specialises it."""
    while name:
        if name == wanted:
            return True
        name = type_definition(name).base if name in type_names() else ""
    return False


def root(resource: Json) -> Node:
    """The node of a resource."""
    return Node(resource["resourceType"], resource)


def children(node: Node, name: str) -> Iterator[Node]:
    """The values of an element, or of all types of a choice; primitives without a value are not there."""
    if not isinstance(node.value, dict):
        if name == "extension" and node.companion:
            yield from (Node("Extension", each) for each in node.companion.get("extension", ()))
        return
    for element in _elements(node.type, name):
        value = node.value.get(element.name)
        if value is None:
            continue
        companion = node.value.get(f"_{element.name}")
        for position, each in enumerate(value if isinstance(value, list) else [value]):
            if each is None:
                continue
            type_name = each["resourceType"] if element.type == "Resource" else element.type
            beside = companion[position] if isinstance(companion, list) else companion
            yield Node(type_name, each, element, beside)


@cache
def _elements(type_name: str, name: str) -> tuple[ElementDefinition, ...]:
    definition = type_definition(type_name)
    return tuple(each for each in definition.properties if name in (each.name, each.choice))


def evaluate(expression: Expression | None, focus: list[Node], resource: Node) -> list[Node]:
    """The nodes an expression selects; `resource` is %resource and holds what `#id` refers to."""
    match expression:
        case None:
            return focus
        case Literal(value=value):
            return [Node("boolean" if isinstance(value, bool) else "string", value)]
        case Step(source=None, name=name) if name.startswith("%"):
            return [resource]
        case Step(source=None, name=name) if name[0].isupper():
            return [each for each in focus if is_a(each.type, name)]
        case Step(source=source, name=name):
            return [child for each in evaluate(source, focus, resource) for child in children(each, name)]
        case Index(source=source, number=number):
            return evaluate(source, focus, resource)[number : number + 1]
        case Call():
            return _call(expression, evaluate(expression.source, focus, resource), resource)
        case Operation():
            return _operate(expression, focus, resource)
    raise TypeError(expression)


def _operate(operation: Operation, focus: list[Node], resource: Node) -> list[Node]:
    left = evaluate(operation.source, focus, resource)
    if operation.operator in ("as", "is"):
        return _typed(operation.operator, left, operation.right)
    right = evaluate(operation.right, focus, resource)
    if operation.operator == "|":
        return left + [each for each in right if each not in left]
    if operation.operator == "and":
        known = [_truth(each) for each in (left, right)]
        return [] if None in known and False not in known else _boolean(all(known))
    if not left or not right:
        return []
    same = [(type(each.value) is bool, each.value) for each in left] == [
        (type(each.value) is bool, each.value) for each in right
    ]
    return _boolean(same == (operation.operator == "="))


def _call(call: Call, focus: list[Node], resource: Node) -> list[Node]:
    match call.function:
        case "where":
            return [each for each in focus if _truth(evaluate(call.argument, [each], resource))]
        case "exists":
            found = focus if call.argument is None else _call(Call(None, "where", call.argument), focus, resource)
            return _boolean(bool(found))
        case "empty":
            return _boolean(not focus)
        case "not":
            return [] if _truth(focus) is None else _boolean(not _truth(focus))
        case "first":
            return focus[:1]
        case "as" | "ofType" | "is" if call.argument is not None:
            return _typed(call.function, focus, call.argument)
        case "resolve":
            return [target for each in focus for target in resolved(each, resource)]
        case "extension":
            wanted = evaluate(call.argument, focus, resource)[0].value
            found = [child for each in focus for child in children(each, "extension")]
            return [each for each in found if each.value.get("url") == wanted]
    raise SyntaxError(f"{call.function}() is outside the subset")


def _typed(operator: str, nodes: list[Node], named: Expression) -> list[Node]:
    assert isinstance(named, Step)
    if operator == "is":
        return _boolean(is_a(nodes[0].type, named.name)) if nodes else []
    return [each for each in nodes if is_exactly(each.type, named.name)]


def resolved(node: Node, resource: Node) -> Iterator[Node]:
    """What a reference points to: the contained resource, or of any other only its type, told by the reference."""
    value = node.value if isinstance(node.value, dict) else {"reference": node.value}
    text = value.get("reference", "")
    if text.startswith("#"):
        inside = resource.value.get("contained", ())
        yield from (root(each) for each in inside if each.get("id") == text[1:])
    elif (match := REFERENCE.search(text)) and match[1] in RESOURCE_TYPES:
        yield Node(match[1], {})
    elif value.get("type") in RESOURCE_TYPES:
        yield Node(value["type"], {})


def _boolean(value: bool) -> list[Node]:
    return [Node("boolean", value)]


def _truth(nodes: list[Node]) -> bool | None:
    if not nodes:
        return None
    return nodes[0].value is not False
