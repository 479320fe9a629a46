"""Where in a resource the elements are that a FHIRPath path selects, so that they can be changed in place."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from fhir_server.fhirpath import Environment, Expression, FhirPathError, Location, root
from fhir_server.fhirpath.parser import parse
from fhir_server.fhirpath.syntax import Binary, Constant, Function, Index, Member, Special, Syntax, TypeTest

__all__ = ["Location", "locate", "locate_parents"]

Json = dict[str, Any]

MAX_STEPS = 100_000
# What only chooses among the elements it is given.
_FILTERS = {
    "where",
    "extension",
    "first",
    "last",
    "tail",
    "skip",
    "take",
    "single",
    "ofType",
    "as",
    "exclude",
    "intersect",
}
# A pattern from a caller can take forever to match.
_REGULAR_EXPRESSIONS = {"matches", "matchesFull", "replaceMatches"}


def locate(resource: Json, path: str) -> list[Location]:
    """The locations of the elements that a path selects, in its order; () is the resource itself.

    A path is steps by name, [n], where(), extension(), first() and the like, ofType(), as and |.
    A primitive of which there is only an extension is at its plain property ("birthDate").
    Raises FhirPathError for other expressions; a criterion in where() may be any without regular expressions.
    """
    return _locations(resource, _path(path))


def locate_parents(resource: Json, path: str) -> tuple[list[Location], str]:
    """The locations of the elements whose child the last step of the path names, and that name.

    Raises FhirPathError when the last step is not a name.
    """
    syntax = _path(path).syntax
    if not isinstance(syntax, Member):
        raise FhirPathError("The path does not end with the name of an element.")
    if syntax.input is None:
        return [()], syntax.name
    return _locations(resource, Expression(syntax.input)), syntax.name


# Callers write paths as they like: they are not to push the constraints out of the cache of the engine.
@lru_cache(128)
def _path(path: str) -> Expression:
    expression = Expression(parse(path))
    used = {part.name for part in expression.syntax.walk() if isinstance(part, Function)}
    for name in sorted(used & _REGULAR_EXPRESSIONS):
        raise FhirPathError(f"{name}() is not available in a path.")
    return expression


def _check(syntax: Syntax | None) -> None:
    """Raise FhirPathError where the expression does not select elements of the resource."""
    match syntax:
        case None | Special("this") | Constant("resource" | "rootResource" | "context"):
            return
        case Member(before, _) | Index(before, _) | TypeTest("as", before, _):
            _check(before)
        case Function(before, name, _):
            if name not in _FILTERS:
                raise FhirPathError(f"{name[:64]}() does not select elements of the resource.")
            _check(before)
        case Binary("|", left, right):
            _check(left)
            _check(right)
        case _:
            raise FhirPathError("The path selects something else than elements of the resource.")


def _locations(resource: Json, expression: Expression) -> list[Location]:
    _check(expression.syntax)
    found = expression.evaluate(root(resource), Environment(limit=MAX_STEPS))
    return list(dict.fromkeys(node.location for node in found))
