"""The parts of the authorization server on a real database, without its endpoints."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from fhir_server.storage.database import Database
from smart_auth.clients import Clients
from smart_auth.codes import Codes
from smart_auth.launches import Launches
from smart_auth.tokens import Tokens
from tests.patience import patient_servers

__all__ = ["patient_servers"]


class Announced:
    """Counts how often other processes would have been told."""

    def __init__(self) -> None:
        self.times = 0

    async def announce(self) -> None:
        self.times += 1


@dataclass
class Parts:
    """What a test works with."""

    database: Database
    changes: Announced
    tokens: Tokens
    codes: Codes
    clients: Clients
    launches: Launches


@pytest.fixture
async def parts(mongo_uri: str, database: str) -> AsyncIterator[Parts]:
    """Tokens, codes, clients and launches of one process."""
    opened = Database(mongo_uri, database)
    changes = Announced()
    tokens = Tokens(opened, changes)
    clients = Clients(opened, changes, tokens)
    made = Parts(opened, changes, tokens, Codes(opened, tokens), clients, Launches(opened, clients))
    try:
        for part in (made.tokens, made.codes, made.clients, made.launches):
            await part.prepare()
        yield made
    finally:
        await opened.close()
