"""When a delivery that failed is tried again: from seconds to hours, for days, never all at the same moment."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST = 2.0  # seconds
LONGEST = 2 * 3600.0  # seconds
DAYS = 3
LASTING = 3  # attempts after which a failure is told: the subscription's status is error
_SECOND = 1_000_000  # microseconds
_DAY = 86_400 * _SECOND


def delay(attempts: int, chance: Callable[[], float] = random.random) -> float:
    """Seconds until the next attempt after so many in vain (1, 2, …), between half and all of what has doubled.

    `chance` gives a number from 0 to 1.
    """
    doubled = FIRST * 2.0 ** min(max(attempts, 1) - 1, 30)
    return min(doubled, LONGEST) * (0.5 + 0.5 * chance())


def is_over(failing: int, now: int) -> bool:
    """Whether it has failed for so long that it is not tried again; both are microseconds since 1970."""
    return now - failing >= DAYS * _DAY
