"""Every numbered point of the requirement has tests that prove it, and enough that prove what must not happen."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.points import CASES, Json, asked, collect, missing, named_by, negatives, table

LEAST = 80  # negative cases in all
POINTS = table("smart_points.yaml")


@pytest.fixture(scope="module")
def collected() -> Counter[str]:
    return collect(POINTS)


def refused_in(point: Json) -> int:
    """How many cases of its file are refused, of this point."""
    cases = yaml.safe_load((CASES / point["cases"]).read_text())
    return sum(case["point"] == point["point"] and case["status"] >= 400 for case in cases)


def test_every_point_is_there_once() -> None:
    assert [point["point"] for point in POINTS] == list(range(1, 20))
    for point in POINTS:
        assert point.keys() <= {"point", "asks", "granted", "refused", "cases"}
        assert len(set(named_by(point))) == len(named_by(point)), point["point"]


def test_every_test_that_is_named_is_there(collected: Counter[str]) -> None:
    assert missing(POINTS, collected) == []


def test_the_negative_cases_are_counted(collected: Counter[str], record_property: Any) -> None:
    counted = negatives(POINTS, collected, refused_in)
    record_property("negative_cases", sum(counted.values()))
    print(f"{sum(counted.values())} negative cases: {counted}")
    assert all(counted.values()), counted
    assert sum(counted.values()) >= LEAST


def test_the_check_can_fail(collected: Counter[str]) -> None:
    planted = {"point": 20, "granted": ["tests/smart_auth/test_codes.py::test_nothing"], "refused": []}
    assert missing([planted], collected) == ["20: tests/smart_auth/test_codes.py::test_nothing"]
    assert negatives([planted], collected, refused_in) == {20: 0}


def test_the_requirement_has_these_points(shared: Path) -> None:
    """Where the requirement is at hand, it has no point that this table does not know."""
    assert asked(shared / "requirements" / "smart.md") == [point["point"] for point in POINTS]
