"""search.html, sentence by sentence: tests/cases/search_*.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_server.outcomes import FhirError
from fhir_server.search.types.date import period
from tests.search.finder import BASE, attempt, envelope, find, query

Json = dict[str, Any]
FILES = sorted((Path(__file__).parent.parent / "cases").glob("search_*.yaml"))


def load(path: Path) -> list[tuple[str, Json, Json]]:
    content = yaml.safe_load(path.read_text())
    return [(f"{path.stem}: {case['search']} ({case['spec'][:40]})", content, case) for case in content["cases"]]


# What has to be looked up is judged through the database: tests/joins/test_cases.py
CASES = [case for path in FILES for case in load(path) if not case[1].get("database")]


def check(content: Json, case: Json) -> None:
    """Run one case; raises AssertionError when it does not come out as it says."""
    base = content.get("base", BASE)
    resources = {name: {**resource, "id": name} for name, resource in content["resources"].items()}
    documents = [envelope(resource, base=base) for resource in resources.values()]
    options = {"base_url": base, "lenient": case.get("lenient", False)}
    if "now" in case:
        options["now"] = period(case["now"])[0]
    if "compartment" in case:
        options["compartment"] = tuple(case["compartment"].split("/"))
    asked = attempt(lambda: query(case["search"], **options))
    if isinstance(asked, FhirError):
        assert "error" in case, asked
        assert asked.status == 400
        assert case["error"] in str(asked)
        return
    assert "error" not in case, "was not refused"
    assert {key.partition("/")[2] for key in find(asked, documents)} == set(case["finds"])
    assert case.get("ignored", "") in "".join(issue.diagnostics for issue in asked.ignored)
    assert ("ignored" in case) == bool(asked.ignored)


@pytest.mark.parametrize(("content", "case"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_case(content: Json, case: Json) -> None:
    check(content, case)


@pytest.mark.parametrize(
    "wrong",
    [
        {"search": "Patient?given=eve", "finds": ["a", "b"]},
        {"search": "Patient?given=eve", "finds": []},
        {"search": "Patient?given=eve", "error": "refused"},
        {"search": "Patient?nonsense=eve", "finds": ["a"]},
        {"search": "Patient?nonsense=eve", "error": "another reason"},
    ],
)
def test_a_wrong_case_fails(wrong: Json) -> None:
    content = {
        "resources": {
            "a": {"resourceType": "Patient", "name": [{"given": ["Eve"]}]},
            "b": {"resourceType": "Patient", "name": [{"given": ["Adam"]}]},
        }
    }
    with pytest.raises(AssertionError):
        check(content, wrong)
