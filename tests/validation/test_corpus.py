"""What is known to be valid is accepted, most of it in the quick pass."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from fhir_server.outcomes import Issue
from fhir_server.validation import validate
from fhir_server.validation.fast import is_surely_valid
from tests.validation.corpus import CASES, examples, needs_shared, sample, synthea

REFUSED = yaml.safe_load((CASES / "refused_examples.yaml").read_text())


@pytest.mark.parametrize("resource", sample(), ids=lambda r: f"{r['resourceType']}-{r.get('id')}")
def test_sample_is_valid(resource: dict[str, Any]) -> None:
    assert validate(resource) == []


def _where(issue: Issue) -> str:
    return re.sub(r"\[\d+\]", "", issue.expression[0])


@needs_shared
def test_published_examples_are_valid_but_for_those_that_break_a_rule() -> None:
    found: dict[str, list[tuple[str, str]]] = {}
    count = unsure = 0
    for example in examples():
        count += 1
        issues = validate(example)
        if issues:
            found[f"{example['resourceType']}/{example['id']}"] = sorted({(i.code, _where(i)) for i in issues})
        else:
            unsure += not is_surely_valid(example)
    expected = {key: sorted((code, where) for code, where in case["issues"]) for key, case in REFUSED.items()}
    assert count == 755
    assert found == expected
    assert unsure <= 8, "the quick pass is to be sure of nearly everything"


@needs_shared
def test_synthea_is_valid_in_the_quick_pass() -> None:
    count = 0
    for bundle in synthea():
        assert is_surely_valid(bundle)
        for entry in bundle["entry"]:
            count += 1
            assert validate(entry["resource"]) == []
    assert count == 18_294
