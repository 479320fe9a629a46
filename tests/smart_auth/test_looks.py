"""A look at the counts that takes longer than it counts is none; a machine that is slow for a while refuses nobody."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.outcomes import Unavailable
from smart_auth import changes as leases
from smart_auth.changes import Changes


@pytest.fixture
def took(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the next looks take, by a clock that goes on with them alone; the last one is for all that follow."""
    durations, now = [0.0], 100.0

    async def look(_: Any) -> tuple[int, int, int]:
        nonlocal now
        now += durations.pop(0) if len(durations) > 1 else durations[0]
        return 1, 1, 1

    monkeypatch.setattr(leases, "access_generations", look)
    monkeypatch.setattr(leases, "seconds", lambda: now)
    return durations


@pytest.mark.parametrize("slow", [[], [leases.LEASE] * 4, [3 * leases.PATIENCE] * 2])
async def test_who_asks_waits_until_a_look_counts(took: list[float], slow: list[float]) -> None:
    took[:0] = slow
    changes = Changes(None)  # type: ignore[arg-type]
    await changes.current()
    assert leases.seconds() < changes.until
    assert took == [0.0]


async def test_where_none_counts_it_is_told(took: list[float]) -> None:
    took[:] = [leases.LEASE]
    with pytest.raises(Unavailable, match="too slowly"):
        await Changes(None).current()  # type: ignore[arg-type]
