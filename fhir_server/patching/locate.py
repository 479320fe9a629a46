"""Where in a resource the elements are that a FHIRPath path selects, so that they can be changed in place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fhir_server.fhirpath import MODEL, FhirPathError, Node, Tree, engine, evaluate_step, parse

Json = dict[str, Any]
Location = tuple[str | int, ...]  # JSON keys and indexes from the resource down: ("name", 0, "given", 1)

_ANY_RESOURCE = ("Resource", "DomainResource")
# What only chooses among the elements it is given.
_FILTERS = {"first", "last", "tail", "skip", "take", "single", "ofType", "as", "exclude", "intersect"}
# A pattern from a caller can take forever to match.
_REGULAR_EXPRESSIONS = {"matches", "replaceMatches"}


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
    tree = _bare(_path(path))
    before: Tree | None = None
    if tree["type"] == "InvocationExpression":
        before, tree = tree["children"]
    if tree["type"] != "MemberInvocation":
        raise FhirPathError("The path does not end with the name of an element.")
    return ([()] if before is None else _locations(resource, before)), _name(tree)


@lru_cache(1024)
def _path(expression: str) -> Tree:
    tree = parse(expression)
    refused = _functions(tree) & _REGULAR_EXPRESSIONS
    if refused:
        raise FhirPathError(f"{min(refused)}() is not available in a path.")
    return tree


def _functions(tree: Tree) -> set[str]:
    own = {_name(tree["children"][0])} if tree["type"] == "FunctionInvocation" else set()
    return own.union(*(_functions(child) for child in tree.get("children", ())))


def _name(tree: Tree) -> str:
    return str(tree["children"][0]["text"]).strip('`"')


def _bare(tree: Tree) -> Tree:
    """The tree without parentheses and other wrapping of a single term."""
    while tree["type"] in ("TermExpression", "InvocationTerm", "ParenthesizedTerm"):
        tree = tree["children"][0]
    return tree


class Element(Node):
    """An element that knows its place.

    `inside` is where its children are, and the object that holds them: for a primitive that is its
    `_name` sibling, if there is one.
    """

    def __init__(self, data: Any, type_: str, location: Location, inside: tuple[Location, Json] | None) -> None:
        super().__init__(data, type_)
        self.location = location
        self.inside = inside


def _locations(resource: Json, tree: Tree) -> list[Location]:
    root = Element(resource, resource["resourceType"], (), ((), resource))
    with engine():
        found = _Walk(root).select(tree, [root])
    return list(dict.fromkeys(element.location for element in found))


@dataclass(slots=True)
class _Walk:
    """A path, walked step by step from `root`; indexes, criteria and filters are left to the engine."""

    root: Element

    def select(self, tree: Tree, focus: list[Element]) -> list[Element]:
        tree = _bare(tree)
        children = tree.get("children", [])
        match tree["type"]:
            case "InvocationExpression":
                return self.select(children[1], self.select(children[0], focus))
            case "MemberInvocation":
                return _member(focus, _name(tree))
            case "FunctionInvocation":
                return self._function(tree, focus)
            case "IndexerExpression":
                return _at(self.select(children[0], focus), self._evaluate(children[1], focus))
            case "UnionExpression":
                return self.select(children[0], focus) + self.select(children[1], focus)
            case "TypeExpression" if tree["terminalNodeText"] == ["as"]:
                return [each for each in self.select(children[0], focus) if each.is_of(children[1]["text"])]
            case "ThisInvocation":
                return focus
            case "ExternalConstantTerm" if _name(children[0]) in ("resource", "rootResource", "context"):
                return [self.root]
        raise FhirPathError("The path selects something else than elements of the resource.")

    def _function(self, tree: Tree, focus: list[Element]) -> list[Element]:
        name = _name(tree["children"][0])
        arguments = [argument for part in tree["children"][0]["children"][1:] for argument in part.get("children", [])]
        if name == "where" and len(arguments) == 1:
            return [each for index, each in enumerate(focus) if self._holds(arguments[0], each, index)]
        if name == "extension" and len(arguments) == 1:
            urls = self._evaluate(arguments[0], focus)
            return [each for each in _member(focus, "extension") if [each.data.get("url")] == urls]
        if name not in _FILTERS:
            raise FhirPathError(f"{name[:64]}() does not select elements of the resource.")
        found = self._evaluate(tree, focus)
        if not all(isinstance(each, Element) for each in found):
            raise FhirPathError(f"{name}() does not select elements of the resource here.")
        return found

    def _holds(self, criterion: Tree, element: Element, index: int) -> bool:
        found = self._evaluate(criterion, [element], index)
        return len(found) == 1 and getattr(found[0], "data", found[0]) is not False

    def _evaluate(self, tree: Tree, focus: list[Element], index: int = 0) -> list[Any]:
        return evaluate_step(tree, list(focus), self.root, index)


def _at(elements: list[Element], index: list[Any]) -> list[Element]:
    if len(index) != 1 or type(index[0]) is not int:
        raise FhirPathError("An index is one integer.")
    return elements[index[0] : index[0] + 1] if index[0] >= 0 else []


def _member(focus: list[Element], name: str) -> list[Element]:
    if name[:1].isupper():
        resources = [each for each in focus if isinstance(each.data, dict) and "resourceType" in each.data]
        return [each for each in resources if name in (each.data["resourceType"], *_ANY_RESOURCE)]
    return [child for each in focus for child in _children(each, name)]


def _children(element: Element, name: str) -> list[Element]:
    """The elements of this name below another; `value` finds valueQuantity."""
    if element.inside is None or name == "resourceType":
        return []
    base, holder = element.inside
    path = f"{element.path}.{name}"
    path = MODEL["pathsDefinedElsewhere"].get(path, path)
    for suffix in MODEL["choiceTypePaths"].get(path, ()):
        if name + suffix in holder or f"_{name}{suffix}" in holder:
            name, path = name + suffix, path + suffix
            break
    type_ = "Extension" if name in ("extension", "modifierExtension") else MODEL["path2Type"].get(path, path)
    value, beside = holder.get(name), holder.get(f"_{name}")
    if not isinstance(value, list) and not isinstance(beside, list):
        return _element(value, beside, type_, (*base, name), (*base, f"_{name}"))
    values, besides = value or [], beside or []
    return [
        child
        for i in range(max(len(values), len(besides)))
        for child in _element(_item(values, i), _item(besides, i), type_, (*base, name, i), (*base, f"_{name}", i))
    ]


def _element(value: Any, beside: Any, type_: str, location: Location, beside_location: Location) -> list[Element]:
    """The one element made of a property and its `_` sibling, or none."""
    if isinstance(value, dict):
        return [Element(value, type_, location, (location, value))]
    inside = (beside_location, beside) if isinstance(beside, dict) else None
    if value is None:
        return [Element(beside, type_, location, inside)] if inside else []
    return [Element(value, type_, location, inside)]


def _item(values: Any, index: int) -> Any:
    return values[index] if isinstance(values, list) and index < len(values) else None
