"""Ctrl-C and SIGTERM while a load runs: noted, and heeded where nothing is cut short by it."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Notes the first signal while the block runs; another one raises KeyboardInterrupt.

    A KeyboardInterrupt comes anywhere, also between the two halves of a message of a worker process: what is read
    after it would be nonsense.
    """

    def __init__(self) -> None:
        self.noted = False

    def __enter__(self) -> Interruption:
        self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, _: int, __: FrameType | None) -> None:
        if self.noted:
            raise KeyboardInterrupt
        self.noted = True
