"""The versions that events are about, read once for all who are told of an event at the same moment."""

from __future__ import annotations

import asyncio

from fhir_server import api
from fhir_server.access import Principal
from fhir_server.access.principal import SYSTEM
from fhir_server.storage.repository import Repository
from fhir_server.storage.stored import Stored
from subscriptions.event import Event


class Versions:
    """Reads versions; whoever asks while a query for one is under way shares it, and is judged for themselves."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._history = repository.history
        self._under_way: dict[tuple[str, int], asyncio.Task[Stored | None]] = {}

    async def read(self, event: Event, principal: Principal) -> Stored | None:
        """The version of the event, a deletion included; None when it was erased or is not open to the principal."""
        key = event.key, event.version
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self._history.vread(SYSTEM, event.type, event.id, event.version))
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        # Shielded: one that goes away must not take the answer from the others.
        stored = await asyncio.shield(task)
        if stored is None or not await self._history.is_open(principal, stored, "r"):
            return None
        return (await api.withhold(principal, self._repository, [stored]))[0]
