"""The operations, played from tests/cases/operations_*.yaml against a real server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.interactions.journey import Mismatch, play

CASES = Path(__file__).parent.parent / "cases"


def journeys() -> list[Any]:
    listed = []
    for path in sorted(CASES.glob("operations_*.yaml")):
        for case in yaml.safe_load(path.read_text()):
            listed.append(pytest.param(case["steps"], id=f"{path.stem.removeprefix('operations_')}: {case['name']}"))
    return listed


@pytest.mark.parametrize("steps", journeys())
def test_journey(client: httpx.Client, steps: list[dict[str, Any]]) -> None:
    play(client, steps)


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": 201},
        {"status": 200, "answer": {"parameter": [{"valueCode": "3.0"}, {}]}},
        {"status": 200, "answer": {"parameter": [{}]}},
        {"status": 200, "answer": {"id": "~."}},
    ],
)
def test_the_runner_can_fail(client: httpx.Client, wrong: dict[str, Any]) -> None:
    with pytest.raises(Mismatch):
        play(client, [{"request": "GET /$versions", **wrong}])
