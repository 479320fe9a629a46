"""`_summary` and `_elements`, by the cases in cases/summary.yaml and over every type."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_server import definitions
from fhir_server.outcomes import FhirError
from fhir_server.summary import SUBSETTED, check_elements, summarize

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "summary.yaml").read_text())


def attempt(case: dict[str, Any]) -> Any:
    try:
        return summarize(
            case["resource"],
            summary=case.get("summary"),
            elements=case.get("elements"),
            lenient=case.get("lenient", False),
        )
    except FhirError as error:
        return error


def run(case: dict[str, Any]) -> None:
    before = copy.deepcopy(case["resource"])
    result = attempt(case)
    assert case["resource"] == before, "the input was changed"
    if "refused" in case:
        assert isinstance(result, FhirError), "it was accepted"
        assert result.status == case["refused"]
        return
    assert sorted(result) == sorted(case["keeps"])
    for name, value in case.get("at", {}).items():
        assert result[name] == value
    tags = result.get("meta", {}).get("tag", [])
    assert (SUBSETTED in tags) == case.get("tag", True)
    assert [tag for tag in tags if tag != SUBSETTED] == before.get("meta", {}).get("tag", []), "tags were lost"


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["name"])
def test_case(case: dict[str, Any]) -> None:
    run(case)


@pytest.mark.parametrize("case", CASES["wrong"], ids=lambda case: case["name"])
def test_the_runner_can_fail(case: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        run(case)


def test_the_tag_is_there_once_and_early() -> None:
    once = summarize({"resourceType": "Patient", "id": "p", "gender": "male"}, summary="data", elements=None)
    twice = summarize(once, summary="data", elements=None)
    assert twice["meta"]["tag"] == [SUBSETTED]
    assert list(twice) == ["resourceType", "id", "meta", "gender"]


def test_each_unknown_element_is_named() -> None:
    with pytest.raises(FhirError) as refused:
        check_elements(["active", "colour", "Patient.size"], ["Patient", "Organization"])
    assert ["colour" in i.diagnostics or "size" in i.diagnostics for i in refused.value.issues] == [True, True]


def test_an_element_of_one_of_several_types_is_known() -> None:
    check_elements(["birthDate", "address", "Organization.name"], ["Patient", "Organization"])


@pytest.mark.parametrize("type_", sorted(definitions.RESOURCE_TYPES))
def test_every_element_of_every_type_can_be_asked_for(type_: str) -> None:
    properties = definitions.type_definition(type_).properties
    resource = {"resourceType": type_, **{e.name: [{}] if e.repeats else {} for e in properties}}
    for element in properties:
        left = summarize(resource, summary=None, elements=[element.choice or element.name])
        assert element.name in left
        assert definitions.mandatory_elements(type_) <= set(left)
    summarize(resource, summary="true", elements=None)
