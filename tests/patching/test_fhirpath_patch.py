"""FHIRPath Patch, by the specification's own cases and ours."""

from __future__ import annotations

import copy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.outcomes import FhirError
from fhir_server.patching import fhirpath_patch

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "patch_fhirpath.yaml").read_text())
PROPERTIES = {
    "type": "valueCode",
    "path": "valueString",
    "name": "valueString",
    "index": "valueInteger",
    "source": "valueInteger",
    "destination": "valueInteger",
}


def parameters(operations: list[dict[str, Any]]) -> dict[str, Any]:
    """The Parameters resource of operations written short."""
    listed = []
    for operation in operations:
        parts = [{"name": name, PROPERTIES[name]: value} for name, value in operation.items() if name != "value"]
        if "value" in operation:
            parts.append({"name": "value", **operation["value"]})
        listed.append({"name": "operation", "part": parts})
    return {"resourceType": "Parameters", "parameter": listed} if listed else {"resourceType": "Parameters"}


def attempt(resource: Any, patch: Any) -> Any:
    """The patched resource, or the FhirError that refused it."""
    try:
        return fhirpath_patch.apply(resource, patch)
    except FhirError as error:
        return error


def run(case: dict[str, Any]) -> None:
    patch = parameters(case["patch"])
    before = copy.deepcopy((case["resource"], patch))
    result = attempt(case["resource"], patch)
    assert (case["resource"], patch) == before, "the input was changed"
    if "error" in case:
        assert isinstance(result, FhirError), "the patch was accepted"
        assert result.status == case["error"]["status"]
        assert [list(issue.expression) for issue in result.issues] == [[case["error"]["at"]]]
    else:
        assert not isinstance(result, FhirError), str(result)
        assert result == case["result"]


@pytest.mark.parametrize("case", CASES["published"] + CASES["cases"], ids=lambda case: case["name"])
def test_case(case: dict[str, Any]) -> None:
    run(case)


@pytest.mark.parametrize("case", CASES["wrong"], ids=lambda case: case["name"])
def test_the_runner_can_fail(case: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        run(case)


def test_decimals_keep_their_digits() -> None:
    value = {"valueQuantity": {"value": Decimal("1.00")}}
    patch = parameters([{"type": "add", "path": "Observation", "name": "value", "value": value}])
    resource = {"resourceType": "Observation", "referenceRange": [{"low": {"value": Decimal("0.10")}}]}
    result = fhirpath_patch.apply(resource, patch)
    assert str(result["valueQuantity"]["value"]) == "1.00"
    assert str(result["referenceRange"][0]["low"]["value"]) == "0.10"


def test_the_result_shares_nothing_with_the_patch() -> None:
    patch = parameters([{"type": "add", "path": "Patient", "name": "name", "value": {"valueHumanName": {"text": "x"}}}])
    result = fhirpath_patch.apply({"resourceType": "Patient"}, patch)
    result["name"][0]["text"] = "y"
    assert patch["parameter"][0]["part"][3]["valueHumanName"] == {"text": "x"}


def test_several_operations_are_bounded() -> None:
    patch = parameters([{"type": "delete", "path": "Patient.name"}] * (fhirpath_patch.MAX_OPERATIONS + 1))
    refused = attempt({"resourceType": "Patient"}, patch)
    assert isinstance(refused, FhirError)
    assert refused.status == 413


@pytest.mark.parametrize("body", [{}, {"resourceType": "Patient"}, {"resourceType": "Parameters", "parameter": {}}, []])
def test_a_body_that_is_no_patch(body: Any) -> None:
    refused = attempt({"resourceType": "Patient"}, body)
    assert isinstance(refused, FhirError)
    assert refused.status == 400


PATHS = """
Patient · Patient.name · Patient.name[0] · name.given · Patient.name[0].given · Patient.birthDate · id ·
Patient.name.given.extension · Patient.extension('a') · Patient.contact.where(gender='male') · Patient.
"""
paths = st.sampled_from([path.strip() for path in PATHS.split("·")])
values = st.sampled_from(
    [
        {"valueString": "s"},
        {"_valueString": {"id": "i"}},
        {"valueInteger": 1},
        {"valueHumanName": {"given": ["x"]}},
        {"valueHumanName": {"given": 7}},
        {"part": [{"name": "gender", "valueCode": "male"}]},
        {"resource": {}},
        {},
    ]
)
numbers = st.integers(-1, 3)
operations = st.fixed_dictionaries(
    {"type": st.sampled_from(["add", "insert", "delete", "replace", "move"]), "path": paths},
    optional={
        "name": st.sampled_from(["name", "given", "contact", "gender", "extension", "id", "birthDate", "deceased"]),
        "value": values,
        "index": numbers,
        "source": numbers,
        "destination": numbers,
    },
)
patients = st.fixed_dictionaries(
    {"resourceType": st.just("Patient"), "id": st.just("p")},
    optional={
        "name": st.lists(
            st.fixed_dictionaries({"given": st.lists(st.just("A"), min_size=1, max_size=3)}), min_size=1, max_size=2
        ),
        "birthDate": st.just("1970"),
        "_birthDate": st.just({"id": "b"}),
        "contact": st.just([{"gender": "male"}]),
    },
)


@given(patients, st.lists(operations, max_size=4))
def test_any_patch_gives_a_resource_or_a_fhir_error(resource: dict[str, Any], listed: list[dict[str, Any]]) -> None:
    before = copy.deepcopy(resource)
    result = attempt(resource, parameters(listed))
    assert resource == before
    if isinstance(result, FhirError):
        assert result.status in (400, 422)
    else:
        assert (result["resourceType"], result["id"]) == ("Patient", "p")
