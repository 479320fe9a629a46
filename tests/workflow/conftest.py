"""The server's own context on a database of the module's own, without a server around it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from fhir_server.config import Settings
from fhir_server.context import Context
from fhir_server.main import running


@pytest_asyncio.fixture(loop_scope="function")
async def ctx(settings: Settings) -> AsyncIterator[Context]:
    async with running(settings) as server:
        yield server.context()
