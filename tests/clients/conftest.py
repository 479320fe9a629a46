"""A server that wants to see a token, its back office, the apps' page server, and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from fhir_server.config import Settings
from tests.clients.browser import chromium
from tests.clients.keys import new_key
from tests.clients.office import Office, open_office
from tests.clients.pages import Pages, serving
from tests.conftest import serve
from tests.patience import patient_servers

__all__ = ["patient_servers"]


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    """Signing in is needed, and apps may be on this machine."""
    return settings.model_copy(update={"open": False, "allow_local_endpoints": True})


@pytest.fixture(scope="module")
def office(settings: Settings) -> Iterator[Office]:
    with open_office(settings) as office:
        yield office


@pytest.fixture(scope="module")
def server(settings: Settings, office: Office) -> Iterator[str]:
    """The FHIR base URL of a server on the office's data."""
    with serve(settings) as base:
        yield base


@pytest.fixture(scope="module")
def issuer(server: str) -> str:
    """The authorization server's own URL."""
    return server.removesuffix("/fhir")


@pytest.fixture(scope="module")
def pages() -> Iterator[Pages]:
    with serving() as pages:
        yield pages


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for the module: playwright's loop must be gone when other modules run tests of their own."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page without anybody signed in."""
    with browser.new_context(locale="en-GB") as context:
        context.set_default_timeout(60_000)
        yield context.new_page()


@pytest.fixture(scope="session", params=["RS384", "ES384"])
def private_key(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A client's private JWK; once for each algorithm that SMART names."""
    return new_key(request.param)
