"""Point 2: retries from seconds to hours, for days, jittered."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from subscriptions.retry import DAYS, FIRST, LONGEST, delay, is_over

DAY = 86_400_000_000


def test_2_doubles_from_seconds_to_hours() -> None:
    waits = [delay(attempts, lambda: 1.0) for attempts in range(1, 20)]
    assert waits[:4] == [FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST]
    assert waits[-1] == LONGEST == 7200
    assert waits == sorted(waits)


@given(st.integers(-5, 10_000), st.floats(0, 1))
def test_2_jitter_takes_at_most_half(attempts: int, chance: float) -> None:
    full = delay(attempts, lambda: 1.0)
    assert full / 2 <= delay(attempts, lambda: chance) <= full


def test_2_two_that_failed_together_do_not_come_back_together() -> None:
    assert len({delay(5) for _ in range(20)}) > 1


def test_2_is_given_up_after_days() -> None:
    assert not is_over(DAY, DAY + DAYS * DAY - 1)
    assert is_over(DAY, DAY + DAYS * DAY)
