"""The stand-in server on a loopback port, in a thread of its own."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
import uvicorn

from tests.benchmarks.stand_in import BASE, StandIn

Serve = Callable[[StandIn], str]


@contextlib.contextmanager
def listening(app: StandIn) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    started = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            started.set()

    server = Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    assert started.wait(60)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}{BASE}"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a stand-in; the answer is its base URL."""
    with contextlib.ExitStack() as stack:
        yield lambda app: stack.enter_context(listening(app))
