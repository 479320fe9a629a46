"""A server's own parts on a real database, without HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from fhir_server.config import Settings
from fhir_server.main import Server, running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parts(settings: Settings) -> AsyncIterator[Server]:
    async with running(settings) as server:
        yield server
