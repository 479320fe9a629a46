"""How often and how much (point 9)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from fhir_server.cli.processes import WEBSOCKETS
from realtime.event import events
from realtime.limits import CALL, SIGN, TALK, Bucket, Limit
from subscriptions import store
from tests.realtime.house import DORA, NICK, SECONDS, Site

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_bucket_gives_what_it_holds_and_fills_again(monkeypatch: pytest.MonkeyPatch) -> None:
    at = 0.0
    monkeypatch.setattr("realtime.limits.monotonic", lambda: at)
    limit = Limit(burst=3, rate=2)
    bucket = Bucket(limit)
    assert [bucket.take(limit) for _ in range(4)] == [True, True, True, False]
    at = 0.5
    assert [bucket.take(limit) for _ in range(2)] == [True, False]
    at = 1000.0
    assert [bucket.take(limit) for _ in range(4)] == [True, True, True, False]


async def test_every_event_has_a_limit_that_fits_in_a_packet(site: Site) -> None:
    assert events
    assert all(one.limit.burst >= 1 and 0 < one.limit.size < 128 * 1024 for one in events.values())


async def test_too_much_and_too_often_is_refused_for_that_event_alone(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.limits.monotonic", lambda: 0.0)  # nothing is given again while a slow machine works
    async with site.connect(await site.token(DORA)) as dora, site.connect(await site.token(NICK)) as nick:
        await dora.ask("case:join", "ann-case")
        await nick.ask("case:join", "ann-case")
        large = {"caseId": "ann-case", "message": "x" * TALK.size}
        assert (await dora.ask("case:message", large))["status"] == 413
        assert (await dora.ask("case:message", {"caseId": "ann-case", "message": b"bytes"}))["status"] == 413
        sent = await asyncio.gather(*(dora.ask("case:typing", {"caseId": "ann-case"}) for _ in range(SIGN.burst * 3)))
        assert sent[0]["ok"]
        assert {one["status"] for one in sent if not one["ok"]} == {429}
        assert (await dora.ask("user:online"))["ok"]
        assert (await nick.ask("case:typing", {"caseId": "ann-case"}))["ok"]
        wrongs: list[Any] = [None, 7, [], {"caseId": "../x"}, {"caseId": None}, {"caseId": "x" * 65}]
        for wrong in wrongs:
            assert (await nick.ask("case:join", wrong))["status"] == 400


async def test_a_call_takes_descriptions_of_16_kb(site: Site) -> None:
    assert CALL.size == 16_384
    namespace, room = "/consultation", {"roomId": "ann-case", "targetUserId": NICK}
    async with (
        site.connect(await site.token(DORA), namespaces=(namespace,)) as dora,
        site.connect(await site.token(NICK), namespaces=(namespace,)) as nick,
    ):
        for one in (dora, nick):
            await one.ask("join-room", {"roomId": "ann-case"}, namespace)
        sdp = "x" * (CALL.size - 1024)
        assert (await dora.ask("webrtc-offer", {**room, "offer": {"sdp": sdp}}, namespace))["ok"]
        await nick.hears("webrtc-offer", lambda data: data["offer"] == {"sdp": sdp})
        assert (await dora.ask("webrtc-offer", {**room, "offer": {"sdp": sdp * 2}}, namespace))["status"] == 413


async def test_what_clients_relay_pushes_out_no_other_signals(site: Site) -> None:
    signals, relayed = (site.server.database.system[name] for name in ("signals", "sio_signals"))
    assert (await relayed.options())["size"] == store.SIO_SIGNALS_BYTES
    assert (await relayed.options())["capped"]
    before = await relayed.count_documents({"kind": "socketio"})
    async with site.connect(await site.token(DORA)) as dora:
        await dora.ask("case:join", "ann-case")
        assert (await dora.ask("case:typing", {"caseId": "ann-case", "isTyping": True}))["ok"]
    assert await relayed.count_documents({"kind": "socketio"}) > before
    assert await signals.count_documents({"kind": "socketio"}) == 0


async def test_sockets_are_not_compressed_and_take_no_long_messages(site: Site) -> None:
    url = site.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    async with connect(url, compression="deflate", open_timeout=SECONDS) as client:
        assert client.protocol.extensions == []
        assert str(await client.recv()).startswith("0{")
        with suppress(ConnectionClosed):
            await client.send("4" * (WEBSOCKETS["ws_max_size"] + 1))
        async with asyncio.timeout(SECONDS):
            await client.wait_closed()
        assert client.close_code == 1009
