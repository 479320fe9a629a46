"""The operations, played from tests/cases/operations_*.yaml against a real server."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.interactions.journey import Mismatch, journeys, play


@pytest.mark.parametrize("steps", journeys("operations"))
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
