"""JSON Patch on FHIR JSON: RFC 6902's own rules, and what FHIR adds."""

from __future__ import annotations

import copy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fhir_server import json
from fhir_server.outcomes import FhirError
from fhir_server.patching import json_patch

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "patch_json.yaml").read_text())


def attempt(resource: Any, patch: Any) -> Any:
    """The patched resource, or the FhirError that refused it."""
    try:
        return json_patch.apply(resource, patch)
    except FhirError as error:
        return error


def run(case: dict[str, Any]) -> None:
    before = copy.deepcopy(case["resource"])
    result = attempt(case["resource"], case["patch"])
    assert case["resource"] == before, "the input was changed"
    if "error" in case:
        assert isinstance(result, FhirError), "the patch was accepted"
        assert result.status == case["error"]["status"]
        assert [list(issue.expression) for issue in result.issues] == case["error"]["at"]
        assert not any("Peter" in issue.diagnostics for issue in result.issues), "a message tells an element's value"
    else:
        assert result == case["result"]
        assert list(result) == list(case["result"]), "the order of the properties"


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["name"])
def test_case(case: dict[str, Any]) -> None:
    run(case)


@pytest.mark.parametrize("case", CASES["wrong"], ids=lambda case: case["name"])
def test_the_runner_can_fail(case: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        run(case)


def test_decimals_keep_their_digits() -> None:
    resource = json.decode('{"resourceType":"Observation","valueQuantity":{"value":1.00}}')
    patch = json.decode(
        '[{"op":"test","path":"/valueQuantity/value","value":1.0},'
        '{"op":"copy","from":"/valueQuantity","path":"/valueRange"},'
        '{"op":"add","path":"/valueQuantity/extra","value":2.500}]'
    )
    result = json_patch.apply(resource, patch)
    assert json.encode(result) == (
        b'{"resourceType":"Observation","valueQuantity":{"value":1.00,"extra":2.500},"valueRange":{"value":1.00}}'
    )
    assert result["valueQuantity"]["value"] == Decimal("1.00")


def test_the_patch_is_not_changed_either() -> None:
    patch = [{"op": "add", "path": "/name", "value": [{}]}, {"op": "add", "path": "/name/0/family", "value": "A"}]
    before = copy.deepcopy(patch)
    json_patch.apply({"resourceType": "Patient"}, patch)
    assert patch == before


def test_copying_a_document_into_itself_is_bounded() -> None:
    patch = [{"op": "copy", "from": "", "path": f"/n{i}"} for i in range(64)]
    with pytest.raises(FhirError) as refused:
        json_patch.apply({"resourceType": "Patient", "language": "x" * 1000}, patch)
    assert refused.value.status == 413


def test_deep_nesting_is_refused_not_crashed_on() -> None:
    patch: list[dict[str, Any]] = [{"op": "add", "path": "/a", "value": {}}]
    for depth in range(3000):
        patch.append({"op": "add", "path": "/b", "value": {}})
        patch.append({"op": "move", "from": "/a", "path": "/b/a"})
        patch.append({"op": "move", "from": "/b", "path": "/a"})
        del depth
    with pytest.raises(FhirError) as refused:
        json_patch.apply({"resourceType": "Patient"}, [*patch, {"op": "add", "path": "/c", "value": 1}])
    assert refused.value.status == 422


scalars = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.decimals(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
pointers = st.sampled_from(
    ["", "/a", "/a/0", "/a/-", "/a/b", "/b", "/~0", "/~2", "a", "/resourceType", "/a/00"]
) | st.text(max_size=4)
operations = st.fixed_dictionaries(
    {},
    optional={
        "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "append"]) | scalars,
        "path": pointers | scalars,
        "from": pointers | scalars,
        "value": values,
    },
)


@given(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), values, max_size=3), st.lists(operations | scalars, max_size=4)
)
def test_any_patch_gives_a_resource_or_a_fhir_error(content: dict[str, Any], patch: list[Any]) -> None:
    resource = {"resourceType": "Basic", **content}
    before = copy.deepcopy(resource)
    result = attempt(resource, patch)
    assert resource == before
    if isinstance(result, FhirError):
        assert result.status in (400, 413, 422)
    else:
        assert result["resourceType"] == "Basic"
