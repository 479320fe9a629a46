"""Writers of one resource who were overtaken try again one after the other, so that each of them gets through."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from weakref import WeakValueDictionary

_AT_ONCE = nullcontext()


class Turns:
    """One for the process; other processes take no turns, and are met at the database."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, key: str, attempt: int) -> AbstractAsyncContextManager[None]:
        """To be held for an attempt at what the key names ("Patient/1"); the first one, 0, waits for nobody."""
        if not attempt:
            return _AT_ONCE
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        return lock
