"""Points 2 and 11: engine and deliveries together, in two processes, against a receiver that fails for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from fhir_server.config import Settings
from fhir_server.storage.clock import Clock
from fhir_server.storage.database import Database
from fhir_server.storage.repository import Repository
from subscriptions import delivery, retry
from subscriptions.rights import Everybody
from subscriptions.service import Subscriptions
from tests.subscriptions.receiver import Request, receiving
from tests.subscriptions.stage import BASE, Stage, context, resource, stage

WRITES = 60


@pytest.fixture
async def play(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr(retry, "FIRST", 0.02)
    monkeypatch.setattr(retry, "LONGEST", 0.1)
    monkeypatch.setattr(delivery, "POLL", 0.2)
    assert settings.mongodb_uri
    async with stage(settings.mongodb_uri, settings.database) as made:
        yield made


@asynccontextmanager
async def process(play: Stage) -> AsyncIterator[Subscriptions]:
    """Everything that one server process does for subscriptions."""
    database = Database(play.uri, play.prefix)
    repository = Repository(database, Clock(), query_seconds=60, max_pending=1000)
    repository.history.base_url = BASE
    made = Subscriptions(
        play.settings, database, repository, Everybody(), BASE, lambda: context(play.settings, repository)
    )
    await made.prepare()
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
        await repository.flusher.drain()
        await database.close()


async def test_11_a_receiver_that_fails_gets_everything_numbered_and_in_order(play: Stage) -> None:
    async def answer(request: Request) -> int:
        return 503 if 20 <= len(there.requests) < 28 else 200

    async with receiving(answer) as there, process(play) as first, process(play) as second:
        criteria = {**resource(there.url, "requested"), "criteria": "Basic?code=a"}
        await play.write({"resourceType": "Subscription", "id": "s1", **criteria})
        async with asyncio.timeout(60):
            while (await play.subscription("s1")).resource()["status"] != "active":
                await asyncio.sleep(0.05)
            while not (row := await play.database.system["sub_active"].find_one({"_id": "s1", "status": "active"})):
                await asyncio.sleep(0.05)
        assert row["sent"] == 0
        for n in range(WRITES):
            await play.write({"resourceType": "Basic", "id": f"a{n}", "code": {"coding": [{"code": "a"}]}})
            await play.write({"resourceType": "Basic", "id": f"b{n}", "code": {"coding": [{"code": "b"}]}})
            if n == WRITES // 2:
                leader = first if first.engine.leading.is_set() else second
                await leader.stop()
        await there.until(lambda: len(set(there.numbers)) == WRITES)
    assert there.requests[0].kind == "handshake"
    order = list(dict.fromkeys(there.numbers))
    assert order == list(range(1, WRITES + 1))
    assert there.numbers == sorted(there.numbers)
    foci = [event["part"][2] for one in there.taken for event in one.status.get("notification-event", [])]
    references = list(dict.fromkeys(part["valueReference"]["reference"] for part in foci))
    assert references == [f"{BASE}/Basic/a{n}" for n in range(WRITES)]
