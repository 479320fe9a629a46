"""Settings of a server that wants to see a token, and processes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from fhir_server.config import Settings
from tests.realtime.house import Site, open_site


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"open": False})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(settings: Settings) -> AsyncIterator[Site]:
    """A server process; its tests share the module's loop (`pytestmark`)."""
    async with open_site(settings) as site:
        yield site


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sites(settings: Settings, site: Site) -> AsyncIterator[tuple[Site, Site]]:
    """Two processes on one database."""
    async with open_site(settings) as other:
        yield site, other
