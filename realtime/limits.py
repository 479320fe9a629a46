"""How often a socket may send an event, and how much with it: docs/realtime.md has the table."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic


@dataclass(frozen=True, slots=True)
class Limit:
    """So many at once, so many a second in the long run, and each of at most `size` bytes as JSON."""

    burst: int
    rate: float  # per second
    size: int = 4096


TALK = Limit(burst=10, rate=2, size=16_384)  # what is stored
ASK = Limit(burst=20, rate=5)  # what reads the database
SIGN = Limit(burst=20, rate=5, size=2048)  # what is told to others in passing
CALL = Limit(burst=20, rate=4, size=16_384)  # descriptions of a call's media
PACKETS = Limit(burst=500, rate=100)  # of one connection, whatever is in them
ACKNOWLEDGEMENTS = Limit(burst=5000, rate=2000)
CANDIDATE = Limit(burst=120, rate=30, size=4096)  # many come at once


class Bucket:
    """The tokens that one socket has left for one event."""

    __slots__ = ("_at", "_left")

    def __init__(self, limit: Limit) -> None:
        self._left = float(limit.burst)
        self._at = monotonic()

    def take(self, limit: Limit) -> bool:
        """Take one, if there is one."""
        now = monotonic()
        self._left = min(float(limit.burst), self._left + (now - self._at) * limit.rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
