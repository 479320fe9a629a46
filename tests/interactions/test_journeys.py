"""The interactions of http.html, played from tests/cases/interactions_*.yaml against a real server."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.interactions.journey import Mismatch, journeys, play


@pytest.mark.parametrize("steps", journeys("interactions"))
def test_journey(client: httpx.Client, steps: list[dict[str, Any]]) -> None:
    play(client, steps)


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": 200},
        {"status": 201, "answer": {"gender": "male"}},
        {"status": 201, "answer": {"name": [{}, {}]}},
        {"status": 201, "answer": {"gender": None}},
        {"status": 201, "header": {"ETag": 'W/"2"'}},
        {"status": 201, "has": ["X-Nothing"]},
        {"status": 201, "lacks": ["ETag"]},
    ],
)
def test_the_runner_can_fail(client: httpx.Client, wrong: dict[str, Any]) -> None:
    body = {"resourceType": "Patient", "gender": "female", "name": [{"family": "Planted"}]}
    with pytest.raises(Mismatch):
        play(client, [{"request": "POST /Patient", "body": body, **wrong}])
