"""What somebody might try with a connection (point 9)."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from realtime import server
from tests.realtime.house import ANN, BEN, SECONDS, Refused, Site

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def raw(site: Site, token: str, stack: AsyncExitStack) -> ClientConnection:
    """A connection without a client library, in the root namespace."""
    url = site.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    made = await stack.enter_async_context(connect(url, open_timeout=SECONDS))
    await made.recv()
    await made.send("40" + json.dumps({"token": token}))
    assert str(await made.recv()).startswith("40")
    return made


async def closed(connection: ClientConnection) -> None:
    async with asyncio.timeout(SECONDS):
        with suppress(ConnectionClosed):
            while True:
                await connection.recv()


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(['45999999-["case:join",{"_placeholder":true,"num":0}]', b"x"], id="attachments"),
        pytest.param(['42["nothing"]'], id="events"),
        pytest.param(["41", "40"], id="comings and goings"),
        pytest.param(["43999[]"], id="acknowledgements"),
    ],
)
async def test_a_flood_ends_the_connection_and_leaves_nothing(
    site: Site, packet: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.limits.monotonic", lambda: 0.0)  # a slow machine sends no flood otherwise
    packets = site.realtime._server._packets
    async with AsyncExitStack() as stack:
        connection = await raw(site, await site.token(ANN), stack)

        async def flood() -> None:
            with suppress(ConnectionClosed):
                await connection.send(packet[0])
                while True:
                    for one in packet[-2:]:
                        await connection.send(one)

        flooding = asyncio.create_task(flood())
        await closed(connection)
        await flooding
    async with asyncio.timeout(SECONDS):
        while packets._buckets:
            await asyncio.sleep(0.01)
    assert not packets._binary_packet
    async with site.connect(await site.token(BEN)) as ben:
        assert (await ben.ask("case:join", "ben-case"))["ok"]


async def test_one_person_has_so_many_connections(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_SOCKETS", 1)
    async with site.connect(await site.token(ANN)):
        with pytest.raises(Refused):
            async with site.connect(await site.token(ANN)):
                pass
        async with site.connect(await site.token(BEN)):
            pass
    async with asyncio.timeout(SECONDS):
        while list(site.realtime.hub.sockets):
            await asyncio.sleep(0.01)
    async with site.connect(await site.token(ANN)):
        pass
