"""Entries of what changes resources, in the very transaction that changes them (storage/flusher.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError

from fhir_server.audit.chain import Chain
from fhir_server.audit.entry import Entry
from fhir_server.audit.store import Store
from fhir_server.storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

Document = dict[str, Any]


class Writes:
    """The chain of a process's flushes, which come one after another."""

    def __init__(self, store: Store, chain: Chain) -> None:
        self._store = store
        self._chain = chain
        self._sent: Document | None = None  # the last group of the transaction that is open
        self._sure = False  # that the chain is where we believe

    async def write(self, session: AsyncClientSession, units: Sequence[UnitOfWork]) -> None:
        """Add the entries of these units to the transaction, with the versions that it makes."""
        self._sent = None
        entries: list[Entry] = []
        for unit in units:
            for entry in unit.audit:
                write = unit.writes.get(f"{entry.type}/{entry.id}")
                if write is not None:
                    entry.version = str(write.version)
                    entry.status = 201 if write.created and entry.status == 200 else entry.status
                entries.append(entry)
        if not entries:
            return
        if not self._sure:
            # The attempt before was given up, or nobody knows: the database does.
            await self._chain.settle()
        self._sure = False
        groups = self._chain.following(entries)
        await self._store.groups.insert_many(groups, session=session)
        self._sent = groups[-1]

    def committed(self) -> None:
        """The transaction is durable, and so is what was added to it."""
        if self._sent is not None:
            self._chain.take(self._sent)
            self._sent, self._sure = None, True

    async def stop(self) -> None:
        """Close the chain; nothing may be written after it."""
        try:
            await self._chain.close()
        except PyMongoError as error:  # another process does it
            log.warning("audit chain not closed", exception=type(error).__name__)
