"""Who may connect, and until when (points 7 and 9)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from fhir_server.config import Settings
from smart_auth.store import digest, now
from tests.realtime.house import ANN, DORA, SECONDS, Refused, Site, open_site

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def refusal(site: Site, token: Any, **more: Any) -> str:
    with pytest.raises(Refused) as refused:
        async with site.connect(token, **more):
            pass
    told = refused.value.args[0] if refused.value.args else None
    return str(told.get("message") if isinstance(told, dict) else told)


@pytest.mark.parametrize("token", [None, "", "no-such-token", "äöü"])
@pytest.mark.parametrize("namespace", ["/", "/consultation"])
async def test_nobody_connects_without_a_token_that_holds(site: Site, token: Any, namespace: str) -> None:
    told = await refusal(site, token, namespaces=(namespace,))
    assert told == "The access token is missing, unknown, expired or revoked."


async def test_a_token_connects_by_either_transport(site: Site) -> None:
    token = await site.token(DORA)
    for transports in (["websocket"], ["polling"]):
        async with site.connect(token, namespaces=("/", "/consultation"), transports=transports) as dora:
            assert (await dora.ask("user:online"))["users"] == [DORA]


async def test_with_several_workers_there_is_only_websocket(settings: Settings) -> None:
    async with open_site(settings.model_copy(update={"workers": 2})) as site:
        token = await site.token(DORA)
        await refusal(site, token, transports=["polling"])
        async with site.connect(token) as dora:
            assert (await dora.ask("user:online"))["ok"]


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_only_known_pages_connect(settings: Settings, transport: str) -> None:
    async with open_site(settings, origins=frozenset({b"https://app.example"})) as site:
        token = await site.token(DORA)
        told = await refusal(site, token, headers={"Origin": "https://evil.example"}, transports=[transport])
        if transport == "websocket":
            assert told == "Pages of this origin may not connect."
        for origin in ("https://app.example", site.url):
            async with site.connect(token, headers={"Origin": origin}, transports=[transport]) as dora:
                assert (await dora.ask("user:online"))["ok"]


async def test_jsonp_has_no_origin_and_is_refused(site: Site) -> None:
    answer = await site.http.get("/socket.io/?EIO=4&transport=polling&j=0")
    assert answer.status_code == 403


async def test_revocation_drops_an_idle_socket(site: Site) -> None:
    assert site.auth is not None
    token, other = await site.token(DORA, grant="g-revoked"), await site.token(DORA)
    async with site.connect(token) as dropped, site.connect(other) as kept:
        await site.auth.tokens.revoke("g-revoked")
        async with asyncio.timeout(SECONDS):
            await dropped.gone.wait()
        assert (await kept.ask("user:online"))["ok"]


async def test_expiry_drops_an_idle_socket(site: Site) -> None:
    assert site.auth is not None
    token = await site.token(ANN)
    async with site.connect(token) as ann, asyncio.timeout(SECONDS):
        # Only from here on it is to last a second: connecting may take longer than that.
        soon = {"$set": {"until": now() + timedelta(seconds=1)}}
        await site.server.database.system["auth_tokens"].update_one({"_id": digest(token)}, soon)
        site.auth.authenticator._kept.clear()  # which nothing but time ends from now on
        await ann.gone.wait()


async def test_events_that_do_not_exist_are_refused(site: Site) -> None:
    async with site.connect(await site.token(DORA)) as dora:
        for name in ("case:delete", "webrtc-offer", "@resource", "@forget"):
            answer = await dora.ask(name, {})
            assert not answer["ok"]
            assert answer["outcome"]["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize("packet", ["2", "2{}", '2["disconnect"]', '2["connect",{}]', "2[[]]", "9", "2[", "451-[", "x"])
async def test_what_breaks_the_protocol_ends_the_connection(site: Site, packet: str) -> None:
    async with site.connect(await site.token(DORA)) as dora:
        await dora.client.eio.send(packet)
        async with asyncio.timeout(SECONDS):
            await dora.gone.wait()


async def test_open_mode_needs_no_token(settings: Settings) -> None:
    update = {"open": True, "database": f"{settings.database}_open"}
    async with open_site(settings.model_copy(update=update)) as site, site.connect() as anyone:
        assert (await anyone.ask("user:online"))["ok"]
        told = await refusal(site, None, headers={"Origin": "https://evil.example"})
        assert told == "Pages of this origin may not connect."
