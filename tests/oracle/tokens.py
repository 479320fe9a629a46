"""Tokens: https://hl7.org/fhir/R4/search.html#token

House rules: codes compare without case, ids and Identifier.value with case; telephone numbers without blanks
and ( ) . - /.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from fhir_server.definitions import ElementDefinition, codings
from tests.oracle.expressions import Node, children
from tests.oracle.text import Text, strings

TELEPHONE = {"phone", "fax", "pager", "sms"}
SPECIAL_VALUES = "http://hl7.org/fhir/special-values"
_SEPARATORS = str.maketrans("", "", " \t\u00a0().-/+")


class Token(NamedTuple):
    """A code with the systems it may be asked for by (none: it has no system)."""

    code: str
    systems: tuple[str, ...] = ()
    case: bool = False  # whether the case of the code matters
    telephone: bool = False


class TypedIdentifier(NamedTuple):
    """An identifier's value with one coding of its type."""

    system: str
    code: str
    value: str


def tokens(node: Node) -> Iterator[Token]:
    """The tokens of a node."""
    value = node.value
    match node.type:
        case "CodeableConcept":
            for coding in children(node, "coding"):
                yield from tokens(coding)
        case "Coding":
            yield Token(value.get("code", ""), _systems(value))
        case "Identifier":
            yield Token(value.get("value", ""), _systems(value), case=True)
        case "ContactPoint":
            if "value" in value:
                yield Token(value["value"], telephone=value.get("system") in TELEPHONE)
        case "boolean":
            yield Token(str(value).lower(), (SPECIAL_VALUES,))
        case _ if isinstance(value, str):
            yield Token(value, _implied(node.element, value) if node.type == "code" else (), case=node.type == "id")


def _systems(value: dict[str, str]) -> tuple[str, ...]:
    return (value["system"],) if value.get("system") else ()


@cache
def _implied(element: ElementDefinition | None, code: str) -> tuple[str, ...]:
    """The systems of the required binding that have this code."""
    if element is None or element.binding is None or element.binding.strength != "required":
        return ()
    listed = codings(element.binding.value_set) or {}
    return tuple(sorted(system for system, codes in listed.items() if code in codes))


def is_token(value: Token, system: str | None, code: str) -> bool:
    """Whether a token is the one asked for; `system` None: any, "": it has none; `code` "": any."""
    if system is not None and (system not in value.systems if system else value.systems):
        return False
    if not code:
        return True
    if value.telephone:
        return _dialled(value.code) == _dialled(code)
    return value.code == code if value.case else value.code.casefold() == code.casefold()


def _dialled(number: str) -> str:
    return number.translate(_SEPARATORS).casefold()


def texts(node: Node) -> Iterator[Text]:
    """What `:text` searches: CodeableConcept.text, Coding.display, Identifier.type.text."""
    match node.type:
        case "CodeableConcept":
            for child in (*children(node, "text"), *children(node, "coding")):
                yield from strings(child) if child.type == "string" else texts(child)
        case "Coding":
            for child in children(node, "display"):
                yield from strings(child)
        case "Identifier":
            for kind in children(node, "type"):
                for child in children(kind, "text"):
                    yield from strings(child)


def typed_identifiers(node: Node) -> Iterator[TypedIdentifier]:
    """What `:of-type` searches."""
    if node.type == "Identifier":
        for kind in children(node, "type"):
            for coding in children(kind, "coding"):
                system, code = coding.value.get("system", ""), coding.value.get("code", "")
                yield TypedIdentifier(system, code, node.value.get("value", ""))
