"""Tables of a requirement's numbered points (tests/cases/*_points.yaml), and the tests that prove each of them."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
CASES = ROOT / "tests" / "cases"
Json = dict[str, Any]
Refused = Callable[[Json], int]  # how many negative cases a point has in its own file of cases


def table(name: str) -> list[Json]:
    """The points of a file: {point, asks, granted, refused, cases}."""
    found: list[Json] = yaml.safe_load((CASES / name).read_text())
    return found


def named_by(point: Json) -> list[str]:
    """The tests of a point."""
    return [*point["granted"], *point["refused"]]


def collect(points: Iterable[Json]) -> Counter[str]:
    """How many cases each test of their files has, by what pytest finds."""
    files = {test.partition("::")[0] for point in points for test in named_by(point)}
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *sorted(files)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert said.returncode == 0, said.stdout[-4000:] + said.stderr[-4000:]
    return Counter(line.partition("[")[0] for line in said.stdout.splitlines() if "::" in line)


def missing(found: Iterable[Json], collected: Counter[str]) -> list[str]:
    """The tests that are named and not there."""
    return [f"{point['point']}: {test}" for point in found for test in named_by(point) if not collected[test]]


def negatives(found: Iterable[Json], collected: Counter[str], refused: Refused) -> dict[int, int]:
    """Negative cases by point; a test that is named by several is counted with the first."""
    seen: set[str] = set()
    counted: dict[int, int] = {}
    for point in found:
        new = dict.fromkeys(test for test in point["refused"] if test not in seen)
        seen |= new.keys()
        own = refused(point) if "cases" in point else 0
        counted[point["point"]] = sum(collected[test] for test in new) + own
    return counted


def asked(requirement: Path) -> list[int]:
    """The numbers of the points that a page of requirements has."""
    lines = requirement.read_text().splitlines()
    return [int(line.split(".")[0]) for line in lines if line.split(".")[0].isdigit()]
