"""What processes tell each other in passing, through a capped collection: hints, never the only trace of anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_server.storage.database import Database

Json = dict[str, Any]
Listener = Callable[[Json], None]


class Signals:
    """`publish` reaches the listeners of every process, those of this one at once; order within a process is kept.

    A listener must not raise and must not wait. A listener of `lost` is told when signals may have been missed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: dict[str, list[Listener]] = {}

    def listen(self, kind: str, listener: Listener) -> None:
        """Have the listener called with the data of each signal of the kind."""
        self._listeners.setdefault(kind, []).append(listener)

    async def publish(self, kind: str, data: Json) -> None:
        """Tell everybody. What BSON can hold; raises nothing: a hint that is lost is looked for later."""
        raise NotImplementedError

    async def start(self) -> None:
        """Follow the others' signals until `stop`."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Follow no longer."""
        raise NotImplementedError
