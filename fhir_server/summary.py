"""`_summary` and `_elements`: a part of a resource, marked as such.

https://hl7.org/fhir/R4/search.html#summary · https://hl7.org/fhir/R4/search.html#elements
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, partial
from itertools import islice
from typing import Any

from fhir_server.definitions import RESOURCE_TYPES, is_primitive, mandatory_elements, summary_elements, type_definition
from fhir_server.outcomes import Invalid, Issue

Json = dict[str, Any]
Prune = Callable[[Json, str], Json]


class Tree(dict[str, "Tree | None"]):
    """Elements asked for by name, with what is asked for below each; None: all of it."""


SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "subsetted",
}
# Without these a reader could misunderstand what is left, or not know what it is.
_ALWAYS = frozenset({"resourceType", "id", "meta", "implicitRules", "modifierExtension"})
MAX_TOLD = 20  # unknown names in `_elements` that are answered one by one


def summarize(resource: Json, *, summary: str | None, elements: list[str] | None, lenient: bool = False) -> Json:
    """The part of the resource that `_summary` or `_elements` asks for, tagged SUBSETTED; the input stays as it is.

    `elements` are names of elements, nested ("name.family") or with their type ("Patient.name") if need be;
    they decide when both are given. Mandatory elements are always there.
    Raises Invalid (400) for another summary than true, text, data or false and, unless lenient, for
    elements that the type does not have.
    """
    type_ = resource["resourceType"]
    if summary not in (None, "false", "true", "text", "data"):
        raise Invalid("_summary is true, text, data or false; count is for searches.")
    if elements:
        if not lenient:
            check_elements(elements, [type_])
        return _tagged(_chosen(resource, type_, _tree(elements, type_)))
    if summary == "true":
        return _tagged(_summary(resource, type_))
    if summary == "text":
        kept = _ALWAYS | mandatory_elements(type_) | {"text"}
        return _tagged({name: value for name, value in resource.items() if _bare(name) in kept})
    if summary == "data":
        return _tagged({name: value for name, value in resource.items() if name != "text"})
    return resource


def check_elements(elements: Iterable[str], types: Iterable[str]) -> None:
    """Raise Invalid (400) with every name in `_elements` that is an element of none of these types."""
    unknown = unknown_elements(elements, types)
    if unknown:
        raise Invalid(issues=no_such_elements(unknown))


def unknown_elements(elements: Iterable[str], types: Iterable[str]) -> list[str]:
    """The names, each once, that are an element of none of these types."""
    known = list(types)
    return [name for name in dict.fromkeys(elements) if not any(_exists(_path(name, one), one) for one in known)]


def no_such_elements(names: Iterable[str], severity: str = "error") -> list[Issue]:
    """An issue for each of the first names."""
    shown = (f"_elements: there is no element {name[:64]!r}." for name in islice(names, MAX_TOLD))
    return [Issue(Invalid.code, sentence, severity=severity) for sentence in shown]


def _tagged(resource: Json) -> Json:
    """The resource with the tag that keeps it from being stored over the whole one."""
    meta = dict(resource.get("meta", {}))
    tags = meta.get("tag", [])
    if not any(tag.get("system") == SUBSETTED["system"] and tag.get("code") == SUBSETTED["code"] for tag in tags):
        meta["tag"] = [*tags, dict(SUBSETTED)]
    head: Json = {name: resource[name] for name in ("resourceType", "id") if name in resource}
    return {**head, "meta": meta, **{name: value for name, value in resource.items() if name not in (*head, "meta")}}


def _summary(value: Json, type_: str) -> Json:
    """What is left of an element in the summary form: summary and mandatory elements, all the way down."""
    kept = _summary_names(type_)
    if not kept:
        return value  # a type that flags nothing (Extension) is in the summary as a whole
    elements = type_definition(type_).elements
    pruned: Json = {}
    for name, child in value.items():
        if name == "resourceType":
            pruned[name] = child
        elif _bare(name) in kept:
            left = _each(child, elements[_bare(name)].type, _summary)
            if left != {} and left != []:
                pruned[name] = left
    return pruned


@cache
def _summary_names(type_: str) -> frozenset[str]:
    own = summary_elements(type_) - {"modifierExtension"}
    return own | mandatory_elements(type_) | {"modifierExtension"} if own else own


def _chosen(value: Json, type_: str, tree: Tree) -> Json:
    """What is left of an element when only some of its children are asked for."""
    elements = type_definition(type_).elements
    kept = mandatory_elements(type_) | (_ALWAYS if "resourceType" in value else {"modifierExtension"})
    chosen: Json = {}
    for name, child in value.items():
        element = elements.get(_bare(name))
        asked = next((key for key in (element.name, element.choice) if key in tree), None) if element else None
        below = tree[asked] if asked else None
        if element and below is not None:
            chosen[name] = _each(child, element.type, partial(_chosen, tree=below))
        elif asked or _bare(name) in kept:
            chosen[name] = child
    return chosen


def _each(value: Any, type_: str, prune: Prune) -> Any:
    """The value pruned, item by item where it is a list; primitives and whole resources stay as they are."""
    if isinstance(value, list):
        return [left for left in (_each(item, type_, prune) for item in value) if left != {}]
    if not isinstance(value, dict) or is_primitive(type_) or type_ == "Resource":
        return value
    return prune(value, type_)


def _tree(elements: Iterable[str], type_: str) -> Tree:
    tree = Tree()
    for path in sorted((_path(name, type_) for name in elements), key=len):
        branch: Tree | None = tree
        for step in path[:-1]:
            branch = branch.setdefault(step, Tree()) if branch is not None else None
        if path and branch is not None:
            branch[path[-1]] = None
    return tree


def _path(name: str, type_: str) -> tuple[str, ...]:
    """The steps below the type that a name in `_elements` stands for; none when it is of another type."""
    steps = name.removesuffix("[x]").split(".")
    if steps[0] in RESOURCE_TYPES:
        return tuple(steps[1:]) if steps[0] == type_ else ()
    return tuple(steps)


def _exists(path: tuple[str, ...], type_: str) -> bool:
    """Whether such an element exists; one whose type is open (a contained resource) is taken as it comes."""
    if not path:
        return False
    if type_ == "Resource" or path == ("resourceType",):
        return True
    found = [e for e in type_definition(type_).properties if path[0] in (e.name, e.choice)]
    return bool(found) and (len(path) == 1 or any(_exists(path[1:], e.type) for e in found))


def _bare(name: str) -> str:
    """The element a JSON property belongs to: `_birthDate` carries what else there is of birthDate."""
    return name.removeprefix("_")
