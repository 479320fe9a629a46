"""FHIRPath by cases: tests/cases/fhirpath.yaml."""

from __future__ import annotations

import copy
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_server.fhirpath import Environment, FhirPathError, Node, compile, root
from fhir_server.fhirpath.functions import FUNCTIONS
from fhir_server.fhirpath.operators import BUILDERS, to_text
from fhir_server.fhirpath.syntax import Binary, Function
from fhir_server.fhirpath.types import system_value
from fhir_server.json import decode

DATA = yaml.safe_load((Path(__file__).parents[1] / "cases" / "fhirpath.yaml").read_text())
RESOURCES = {name: decode(json.dumps(resource)) for name, resource in DATA["resources"].items()}
CASES = [
    pytest.param(group, expression, expected, id=f"{group['about']}: {expression}")
    for group in DATA["groups"]
    for expression, expected in ((str(key), value) for key, value in group["cases"].items())
]


def shown(node: Node) -> Any:
    """Booleans, integers and nothing as they are, all else as text."""
    value = system_value(node)
    if value is None or type(value) in (bool, int):
        return value
    return f"({node.type})" if isinstance(value, Node) else to_text(value)


def run(group: dict[str, Any], expression: str, expected: Any) -> None:
    resource = RESOURCES[group["with"]]
    before = copy.deepcopy(resource)
    now = datetime.fromisoformat(group["now"]) if "now" in group else None
    environment = Environment(now=now, variables=group.get("variables", {}))
    try:
        if isinstance(expected, dict) and "error" in expected:
            with pytest.raises(FhirPathError) as refused:
                compile(expression).evaluate(root(resource), environment)
            assert not any(secret in str(refused.value) for secret in ("Ann", "Bea", "Berg", "0042", "1980"))
            return
        found = compile(expression).evaluate(root(resource), environment)
    finally:
        assert resource == before, "the resource was changed"
    if isinstance(expected, dict):
        assert len(found) == expected["items"]
    else:
        wanted = expected if isinstance(expected, list) else [expected]
        assert [shown(node) for node in found] == [str(w) if not isinstance(w, int | None) else w for w in wanted]


@pytest.mark.parametrize(("group", "expression", "expected"), CASES)
def test_case(group: dict[str, Any], expression: str, expected: Any) -> None:
    run(group, expression, expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [("name.count()", 3), ("name.count()", []), ("photo", 1), ("name.single()", []), ("gender", {"error": "none"})],
)
def test_a_wrong_case_fails(expression: str, expected: Any) -> None:
    with pytest.raises((AssertionError, FhirPathError, pytest.fail.Exception)):
        run({"with": "patient"}, expression, expected)


def test_every_function_and_operator_has_a_case() -> None:
    used: set[str] = set()
    for case in CASES:
        try:
            parts = list(compile(case.values[1]).syntax.walk())  # type: ignore[arg-type]
        except FhirPathError:
            continue
        used |= {part.name for part in parts if isinstance(part, Function)}
        used |= {part.operator for part in parts if isinstance(part, Binary)}
    refused = {"elementDefinition", "slice", "checkModifiers"}
    assert (FUNCTIONS.keys() | BUILDERS.keys()) - used == refused


def test_there_are_many_cases() -> None:
    assert len(CASES) > 400
