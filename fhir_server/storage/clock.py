"""The database's clock as seen from here, and the stamps taken from it."""

from __future__ import annotations

import time
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

_MILLISECOND = 1000


class Clock:
    """Microseconds since 1970 on the database's clock, so that several processes agree.

    `creation()` never gives one value twice in a process: creation stamps order resources.
    """

    def __init__(self) -> None:
        self._offset = 0
        self._last = 0

    async def synchronize(self, admin: AsyncDatabase[dict[str, Any]]) -> int:
        """Learn the offset from the server's `hello`; answers it in microseconds."""
        before = time.time_ns() // 1000
        hello = await admin.command("hello")
        after = time.time_ns() // 1000
        remote = int(hello["localTime"].timestamp() * 1_000_000)
        # Within one round trip of each other the clocks count as equal: the answer has only milliseconds.
        offset = remote - (before + after) // 2
        self._offset = 0 if abs(offset) <= after - before + _MILLISECOND else offset
        return self._offset

    def now(self) -> int:
        return time.time_ns() // 1000 + self._offset

    def updated(self, previous: int = 0) -> int:
        """A lastUpdated stamp: whole milliseconds, later than `previous`."""
        now = self.now() // _MILLISECOND * _MILLISECOND
        return now if now > previous else previous + _MILLISECOND

    def creation(self) -> int:
        self._last = max(self.now(), self._last + 1)
        return self._last
