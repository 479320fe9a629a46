"""A real Chromium, and a real server with people who can sign in and an app that they can be sent back to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page

from fhir_server.config import Settings
from smart_auth.codes import challenge_of
from tests.clients.browser import chromium as opened_chromium
from tests.conftest import serve
from tests.smart_auth.visitor import VERIFIER, fill

_APP_PAGE = b"<!doctype html><html lang=en><title>App</title><h1>The app</h1><p id=said></p>"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser of a module.

    While it is open, playwright's loop runs in this thread, and no test may be async: so it ends with the module.
    """
    with opened_chromium() as browser:
        yield browser


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page in a context of its own; anything it reports to the console fails the test."""
    context = chromium.new_context(viewport={"width": 1100, "height": 800})
    context.set_default_timeout(60_000)
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    # A refused entry is answered with a status of 4xx, which browsers report, too.
    assert not [one for one in complaints if "the server responded with a status of 4" not in one]


@dataclass(frozen=True)
class Clinic:
    """A running server, and its app."""

    base: str  # of the FHIR API
    app: str  # redirect URI
    settings: Settings

    @property
    def root(self) -> str:
        return self.base.removesuffix("/fhir")

    def authorize_url(self, scope: str, client: str = "app", **more: str) -> str:
        """Where the app sends its user."""
        given = {
            "response_type": "code",
            "client_id": client,
            "redirect_uri": self.app,
            "scope": scope,
            "state": "the state",
            "aud": self.base,
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
            **more,
        }
        return f"{self.root}/auth/authorize?{urlencode(given)}"


@pytest.fixture(scope="module")
def app_uri() -> Iterator[str]:
    """The redirect URI of an app that shows a page there."""

    class App(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(_APP_PAGE)))
            self.end_headers()
            self.wfile.write(_APP_PAGE)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), App)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/callback"
    server.shutdown()
    thread.join(10)


@pytest.fixture(scope="module")
def clinic(settings: Settings, app_uri: str) -> Iterator[Clinic]:
    """The server with the people of tests/smart_auth/visitor.py; a module may override `settings`."""
    settings = settings.model_copy(update={"open": False})
    # In a thread of its own: playwright's loop runs in this one.
    with ThreadPoolExecutor(1) as threads:
        threads.submit(lambda: asyncio.run(fill(settings, app_uri))).result()
    with serve(settings) as base:
        yield Clinic(base, app_uri, settings)
