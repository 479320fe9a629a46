"""An endpoint on loopback that subscribers of the tests have: it answers as it is told to, and remembers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fhir_server import json


@dataclass
class Request:
    """What came."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """Its one value, "" when it is not there."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) < 2, f"{name} came twice"
        return found[0] if found else ""

    @property
    def resource(self) -> dict[str, Any]:
        return dict(json.decode(self.body))

    @property
    def status(self) -> dict[str, list[Any]]:
        """The parameters of a notification's status."""
        found: dict[str, list[Any]] = {}
        for one in self.resource["entry"][0]["resource"]["parameter"]:
            found.setdefault(one["name"], []).append(one)
        return found

    @property
    def kind(self) -> str:
        return str(self.status["type"][0]["valueCode"])

    @property
    def numbers(self) -> list[int]:
        parts = [part for event in self.status.get("notification-event", []) for part in event["part"]]
        return [int(part["valueString"]) for part in parts if part["name"] == "event-number"]


@dataclass
class Receiver:
    """`answer` gives the status for a request; `taken` are those that were answered with 2xx."""

    answer: Callable[[Request], Awaitable[int]]
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    taken: list[Request] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def numbers(self) -> list[int]:
        """Of the events that were taken, in the order they came."""
        return [number for request in self.taken for number in request.numbers]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return once it holds; looked at whenever a request was answered."""
        async with asyncio.timeout(60), self.changed:
            await self.changed.wait_for(holds)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, path, _ = head[0].split(" ")
                headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in head[1:-2])]
                request = Request(method, path, headers, b"")
                request.body = await reader.readexactly(int(request.header("Content-Length") or 0))
                await self._take(request, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _take(self, request: Request, writer: asyncio.StreamWriter) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.requests.append(request)
        try:
            status = await self.answer(request)
        finally:
            self.at_once -= 1
        if 200 <= status < 300:
            self.taken.append(request)
        writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        async with self.changed:
            self.changed.notify_all()


async def ok(_: Request) -> int:
    """Take everything."""
    return 200


@asynccontextmanager
async def receiving(answer: Callable[[Request], Awaitable[int]] = ok) -> AsyncIterator[Receiver]:
    """A receiver for as long as the block lasts."""
    made = Receiver(answer)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/notify"
    try:
        yield made
    finally:
        server.close()
