"""Every numbered point of the requirement has tests that prove it, and enough that prove what must not happen."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "tests" / "cases"
LEAST = 500  # negative cases in all
Json = dict[str, Any]


def points() -> list[Json]:
    found: list[Json] = yaml.safe_load((CASES / "subscription_points.yaml").read_text())
    return found


@pytest.fixture(scope="module")
def collected() -> Counter[str]:
    """How many cases each test has, by what pytest finds."""
    files = {test.partition("::")[0] for point in points() for test in named_by(point)}
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *sorted(files)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert said.returncode == 0, said.stdout[-4000:] + said.stderr[-4000:]
    return Counter(line.partition("[")[0] for line in said.stdout.splitlines() if "::" in line)


def named_by(point: Json) -> list[str]:
    return [*point["granted"], *point["refused"]]


def missing(found: Iterable[Json], collected: Counter[str]) -> list[str]:
    """The tests that are named and not there."""
    return [f"{point['point']}: {test}" for point in found for test in named_by(point) if not collected[test]]


def refused_in(name: str) -> int:
    """How many cases of the file are refused, or do not fire."""
    table: dict[str, list[Json]] = yaml.safe_load((CASES / name).read_text())
    if "refused" in table:
        return len(table["refused"])
    return sum(not case["fires"] for cases in table.values() for case in cases)


def negatives(found: Iterable[Json], collected: Counter[str]) -> dict[int, int]:
    """Negative cases by point; a test that is named by several is counted with the first."""
    seen: set[str] = set()
    counted: dict[int, int] = {}
    for point in found:
        new = dict.fromkeys(test for test in point["refused"] if test not in seen)
        seen |= new.keys()
        own = refused_in(point["cases"]) if "cases" in point else 0
        counted[point["point"]] = sum(collected[test] for test in new) + own
    return counted


def test_every_point_is_there_once() -> None:
    assert [point["point"] for point in points()] == list(range(1, 13))
    for point in points():
        assert point.keys() <= {"point", "asks", "granted", "refused", "cases"}
        assert len(set(named_by(point))) == len(named_by(point)), point["point"]


def test_every_test_that_is_named_is_there(collected: Counter[str]) -> None:
    assert missing(points(), collected) == []


def test_the_negative_cases_are_counted(collected: Counter[str], record_property: Any) -> None:
    counted = negatives(points(), collected)
    record_property("negative_cases", sum(counted.values()))
    print(f"{sum(counted.values())} negative cases: {counted}")
    assert all(counted.values()), counted
    assert sum(counted.values()) >= LEAST


def test_the_check_can_fail(collected: Counter[str]) -> None:
    planted = {"point": 13, "granted": ["tests/subscriptions/test_life.py::test_nothing"], "refused": []}
    assert missing([planted], collected) == ["13: tests/subscriptions/test_life.py::test_nothing"]
    assert negatives([planted], collected) == {13: 0}


def test_the_requirement_has_these_points(shared: Path) -> None:
    """Where the requirement is at hand, it has no point that this table does not know."""
    text = (shared / "requirements" / "subscriptions-and-realtime.md").read_text()
    numbers = [int(line.split(".")[0]) for line in text.splitlines() if line.split(".")[0].isdigit()]
    assert numbers == [point["point"] for point in points()]
