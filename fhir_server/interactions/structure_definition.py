"""A StructureDefinition that is active must be one that this server can check with.

https://hl7.org/fhir/R4/structuredefinition.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fhir_server.definitions import type_definition, type_names
from fhir_server.fhirpath import FhirPathError, compile
from fhir_server.outcomes import Issue
from fhir_server.registry import checked
from fhir_server.validation import ProfileError, read_profile

Json = dict[str, Any]


@checked("StructureDefinition")
def usable(resource: Json) -> list[Issue]:
    """Its expressions can be read and its snapshot makes a tree: errors when it is active, otherwise warnings."""
    severity = "error" if resource.get("status") == "active" else "warning"
    issues = [
        Issue("invalid", f"{key}: {problem}", (place,), severity) for place, key, problem in _bad_expressions(resource)
    ]
    issues.extend(
        Issue("invalid", f"An element of this type has no {path}.", (place,), severity)
        for place, path in _bad_discriminators(resource)
    )
    if resource.get("snapshot", {}).get("element"):
        try:
            read_profile(resource)
        except ProfileError as error:
            issues.append(Issue("invalid", str(error), ("StructureDefinition.snapshot",), severity))
    return issues


def _bad_expressions(resource: Json) -> Iterator[tuple[str, str, str]]:
    """Where, constraint key and why, of what is not FHIRPath."""
    for view in ("snapshot", "differential"):
        for index, element in enumerate(resource.get(view, {}).get("element", ())):
            for number, constraint in enumerate(element.get("constraint", ())):
                problem = _problem(constraint.get("expression"))
                if problem:
                    place = f"StructureDefinition.{view}.element[{index}].constraint[{number}].expression"
                    yield place, str(constraint.get("key", ""))[:64], problem
    for index, expression in enumerate(resource.get("contextInvariant", ())):
        if problem := _problem(expression):
            yield f"StructureDefinition.contextInvariant[{index}]", "contextInvariant", problem


def _bad_discriminators(resource: Json) -> Iterator[tuple[str, str]]:
    """Where and which, of plain paths that lead nowhere from the sliced element's type."""
    for index, element in enumerate(resource.get("differential", {}).get("element", ())):
        type_ = _type_at(str(element.get("path", "")))
        for number, one in enumerate(element.get("slicing", {}).get("discriminator", ())):
            path = str(one.get("path", ""))
            if type_ and re.fullmatch(r"[a-z][A-Za-z]*(\.[a-z][A-Za-z]*)*", path) and _types_below(type_, path) == []:
                yield f"StructureDefinition.differential.element[{index}].slicing.discriminator[{number}]", path[:64]


def _type_at(path: str) -> str:
    """The one type of the element at a path, "" where it is none or may be several."""
    name, _, rest = path.replace("[x]", "").partition(".")
    found = _types_below(name, rest) if rest else [name]
    return found[0] if found is not None and len(found) == 1 else ""


def _types_below(type_: str, path: str) -> list[str] | None:
    """The types that the path leads to; None where that cannot be told, as within any resource."""
    found = [type_]
    for step in path.split("."):
        if "Resource" in found:
            return None
        tables = [type_definition(one).properties for one in found if one in type_names()]
        found = [one.type for table in tables for one in table if step in (one.name, one.choice)]
    return found


def _problem(expression: str | None) -> str:
    if expression is None:
        return ""
    try:
        compile(expression)
    except FhirPathError as error:
        return str(error)
    return ""
