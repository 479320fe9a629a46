"""Each rule of structural validation, by the cases in cases/structure.yaml."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_server.json import decode
from fhir_server.outcomes import operation_outcome
from fhir_server.validation import validate
from fhir_server.validation.explain import MAX_ISSUES, explain
from fhir_server.validation.fast import is_surely_valid

TABLE = yaml.safe_load((Path(__file__).parents[1] / "cases" / "structure.yaml").read_text())


def verify(case: dict[str, Any]) -> None:
    """Compare every issue of the case's resource with those expected."""
    resource = decode(case.get("json") or json.dumps(case["resource"]))
    issues = validate(resource, expect_type=case.get("expect"), conditional_references=case.get("conditional", False))
    found = [[issue.code, issue.expression[0] if issue.expression else ""] for issue in issues]
    assert sorted(found) == sorted(case.get("issues", []))
    assert "rule" not in case or any(case["rule"] in issue.diagnostics for issue in issues)
    assert not (is_surely_valid(resource) and explain(resource))


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: case["name"])
def test_case(case: dict[str, Any]) -> None:
    verify(case)


@pytest.mark.parametrize("case", TABLE["planted"], ids=lambda case: case["name"])
def test_planted_case_fails(case: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        verify(case)


def test_names_of_cases_are_unique() -> None:
    names = [case["name"] for case in TABLE["cases"]]
    assert len(names) == len(set(names))


def test_no_value_is_repeated() -> None:
    secret = "Sesame 1-2"
    patient = {
        "resourceType": "Patient",
        "gender": secret,
        "birthDate": secret,
        "active": secret,
        "name": [{"family": f"{secret}\0"}],
        "managingOrganization": {"reference": secret},
        "text": {"status": secret, "div": f"<div>{secret}"},
        f"{secret}": secret,
    }
    issues = validate(patient)
    assert len(issues) == 8
    assert secret not in str(operation_outcome(issues))


def test_the_list_of_issues_has_an_end() -> None:
    issues = validate({"resourceType": "Patient", "name": [None] * (2 * MAX_ISSUES)})
    assert len(issues) == MAX_ISSUES + 1
    assert issues[-1].severity == "information"
