"""What somebody might try with Subscriptions (points 2, 7 and 8)."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fhir_server.access.principal import SYSTEM
from fhir_server.config import Settings
from fhir_server.outcomes import FhirError
from subscriptions import courier, delivery, retry
from subscriptions.subscriber import owner
from tests.subscriptions.desk import Desk, desk
from tests.subscriptions.receiver import Request, receiving
from tests.subscriptions.stage import Stage, resource, stage
from tests.subscriptions.test_life import OTHER, SERVICE, wanted

Json = dict[str, Any]


@pytest.fixture
async def play(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr(delivery, "POLL", 0.05)
    monkeypatch.setattr(retry, "FIRST", 0.02)
    monkeypatch.setattr(retry, "LONGEST", 0.1)
    monkeypatch.setattr(courier, "LOOK", 100_000)
    assert settings.mongodb_uri
    async with stage(settings.mongodb_uri, settings.database) as made:
        yield made


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[Desk]:
    async with desk(settings) as made:
        await made.ask("DELETE", "Subscription/s1")
        yield made


@pytest.mark.parametrize("status", [200, 410])
async def test_point_2_an_endpoint_cannot_agree_for_another(play: Stage, status: int) -> None:
    """The endpoint is exchanged while the handshake with the first one is under way."""
    begun, go = asyncio.Event(), asyncio.Event()

    async def answer(request: Request) -> int:
        if request.path.endswith("/mine"):
            begun.set()
            await go.wait()
            return status
        return 200

    async with receiving(answer) as there, play.deliverers():
        await play.subscribe("s1", resource(f"{there.url}/mine", "requested"))
        await begun.wait()
        await play.write({"resourceType": "Subscription", "id": "s1", **resource(f"{there.url}/yours", "requested")})
        await play.follow("s1")
        go.set()
        await play.until_status("s1", "active")
        shaken = [one for one in there.requests if one.path.endswith("/yours")]
    assert [one.kind for one in shaken] == ["handshake"]


async def test_point_7_others_switch_it_off_and_change_nothing_else(server: Desk) -> None:
    """Who may write every Subscription lends no rights to its endpoint, and cannot turn the subscriber's elsewhere."""
    database = server.server.database
    await server.put(wanted(), SERVICE)
    before = await server.put(wanted("active"), SYSTEM)
    elsewhere = copy.deepcopy(before)
    elsewhere["channel"]["endpoint"] = "https://elsewhere.example/hook"
    for tried in (before, {**before, "status": "requested"}, {**elsewhere, "status": "off"}, {**before, "reason": "x"}):
        with pytest.raises(FhirError) as caught:
            await server.put(copy.deepcopy(tried), OTHER)
        assert caught.value.status == 403
    assert (await server.put({**before, "status": "off"}, OTHER))["status"] == "off"
    assert await owner(database, "s1") == {"name": "lab"}
    assert (await server.put({**before, "status": "requested"}, SERVICE))["status"] == "requested"
    await server.ask("DELETE", "Subscription/s1", principal=OTHER)
