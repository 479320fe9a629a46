"""Nothing is lost, nothing is numbered twice, in the order of commits, whoever leads and whoever is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from pymongo import ReturnDocument
from pymongo.errors import PyMongoError

from fhir_server.access import Principal
from fhir_server.access.principal import ANYONE
from fhir_server.access.scopes import resource_scopes
from fhir_server.change import Change
from fhir_server.context import Context
from fhir_server.outcomes import FhirError
from fhir_server.registry import Hook
from fhir_server.storage.database import Database
from fhir_server.storage.embedded import PrivateMongod
from tests.reliability.crash import mongod_pid
from tests.subscriptions.plant import Plant, observation, plant, subscription
from tests.subscriptions.topic_samples import guide

Json = dict[str, Any]


@pytest.fixture
def prefix(database: str, request: pytest.FixtureRequest) -> str:
    """Databases of the test's own: the oplog tells their commits apart."""
    return f"{database}_{crc32(request.node.name.encode())}"


@pytest.fixture
async def one(mongo_uri: str, prefix: str) -> AsyncIterator[Plant]:
    async with plant(mongo_uri, prefix) as made:
        await made.leads()
        yield made


async def test_events_are_numbered_from_one_in_the_order_of_commits(one: Plant) -> None:
    await one.subscribe("s", "Observation?code=a")
    for number in range(5):
        await one.put(observation(f"o{number}"))
    await one.put(observation("other", code="b"))
    await one.put(observation("o0", status="amended"))
    events = await one.counted("s", 6)
    assert [event.number for event in events] == [1, 2, 3, 4, 5, 6]
    assert [(event.key, event.version) for event in events] == [
        *((f"Observation/o{number}", 1) for number in range(5)),
        ("Observation/o0", 2),
    ]
    assert [event.interaction for event in events] == ["create"] * 5 + ["update"]


async def test_what_was_committed_before_the_activation_is_no_event(one: Plant) -> None:
    await one.put(subscription("s", "Observation", status="requested"))
    await one.put(observation("before"))
    await one.put(subscription("s", "Observation", status="active"))
    await one.put(observation("after"))
    await one.put(subscription("s", "Observation", status="error"))
    await one.put(observation("in-error"))
    await one.put(subscription("s", "Observation", status="off"))
    await one.put(observation("off"))
    await one.put(subscription("s", "Observation", status="active"))
    await one.put(observation("again"))
    events = await one.counted("s", 3)
    assert [event.id for event in events] == ["after", "in-error", "again"]


async def test_a_deleted_subscription_leaves_nothing(one: Plant) -> None:
    await one.subscribe("s", "Observation")
    await one.subscribe("rest", "Observation")
    await one.put(observation("a"))
    await one.counted("s", 1)
    await one.put(None, "Subscription/s")
    await one.put(observation("b"))
    await one.counted("rest", 2)
    assert await one.row("s") is None
    assert await one.events.after("s", 0) == []
    await one.subscribe("s", "Observation")
    await one.put(observation("c"))
    assert [(event.number, event.id) for event in await one.counted("s", 1)] == [(1, "c")]


async def test_nothing_counts_after_the_end(one: Plant) -> None:
    await one.subscribe("ended", "Observation", end="2020-01-01T00:00:00Z")
    await one.subscribe("s", "Observation", end="2100-01-01T00:00:00Z")
    await one.put(observation("a"))
    await one.counted("s", 1)
    row = await one.row("ended")
    assert row is not None
    assert row["count"] == 0


async def test_a_stopped_leader_hands_over_at_once_and_nothing_is_missed(mongo_uri: str, prefix: str) -> None:
    async with plant(mongo_uri, prefix) as first, plant(mongo_uri, prefix, start=False) as second:
        await first.leads()
        await first.subscribe("s", "Observation")
        await second.engine.start()
        await first.put(observation("a"))
        await first.engine.stop()
        await first.put(observation("b"))
        await second.leads()
        assert [event.id for event in await second.counted("s", 2)] == ["a", "b"]


async def test_what_is_committed_while_nobody_leads_is_numbered_later(mongo_uri: str, prefix: str) -> None:
    async with plant(mongo_uri, prefix) as first:
        await first.leads()
        await first.subscribe("s", "Observation")
    async with plant(mongo_uri, prefix, start=False) as second:
        for number in range(20):
            await second.put(observation(f"o{number}"))
        await second.engine.start()
        assert len(await second.counted("s", 20)) == 20


async def test_leases_are_stolen_in_the_middle_of_writes(mongo_uri: str, prefix: str) -> None:
    async with plant(mongo_uri, prefix) as first, plant(mongo_uri, prefix) as second:
        await first.until(lambda: _anyone_leads(first, second))
        await first.subscribe("s", "Observation")
        await first.subscribe("t", "Observation?code=a")
        writers = [asyncio.create_task(_write(first, f"w{number}", 50)) for number in range(4)]
        for _ in range(8):
            # As if it had expired while the leader still works: the other takes it, and the first finds out.
            stolen = await _steal(first.database)
            await first.until(partial(_is_past, first.database, stolen))
        await asyncio.gather(*writers)
        events = await first.counted("s", 200)
        await _assert_exact(first, "s", 200)
        await first.counted("t", 200)
        await _assert_exact(first, "t", 200)
        assert len(events) == 200


async def test_a_leader_is_killed_in_the_middle_of_500_writes(mongo_uri: str, prefix: str) -> None:
    async with plant(mongo_uri, prefix, start=False) as made:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.subscriptions.leader",
            mongo_uri,
            prefix,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parent.parent.parent,
        )
        try:
            assert process.stdout is not None
            while b"leads" not in (line := await process.stdout.readline()):
                assert line, "the process ended without leading"
            await made.subscribe("s", "Observation?code=a")
            await made.engine.start()
            writers = [asyncio.create_task(_write(made, f"w{number}", 125)) for number in range(4)]
            await made.counted("s", 100)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            await process.wait()
        await asyncio.gather(*writers)
        await made.counted("s", 500)
        await _assert_exact(made, "s", 500)


async def test_mongod_is_killed_in_the_middle_of_writes(tmp_path: Path) -> None:
    with PrivateMongod(tmp_path, cache_gb=0.25) as uri:
        async with plant(uri, "restart") as made:
            await made.leads()
            await made.subscribe("s", "Observation")
            writers = [asyncio.create_task(_write(made, f"w{number}", 50, insist=True)) for number in range(4)]
            await made.counted("s", 50)
            os.kill(mongod_pid(tmp_path), signal.SIGKILL)
            await asyncio.gather(*writers)
            await made.counted("s", 200)
            versions = len(await made.commit_order("Observation"))
            await made.counted("s", versions)
            await _assert_exact(made, "s", versions)


async def test_the_place_in_the_stream_is_lost(mongo_uri: str, prefix: str) -> None:
    async with plant(mongo_uri, prefix) as first:
        await first.leads()
        await first.subscribe("s", "Observation")
        for number in range(10):
            await first.put(observation(f"o{number}"))
        await first.counted("s", 10)
    async with plant(mongo_uri, prefix, start=False) as second:
        await second.put(observation("missed"))
        await second.put(subscription("late", "Observation"))
        # A token that the database cannot read stands for one that has left the oplog: both are "lost".
        await second.database.system["sub_state"].update_one({"_id": "engine"}, {"$set": {"token": {"_data": "zz"}}})
        await second.put(observation("more"))
        await second.engine.start()
        await second.put(observation("o0", status="amended"))
        events = await second.counted("s", 13)
        assert [event.number for event in events] == list(range(1, 14))
        assert [event.id for event in events[10:]] == ["missed", "more", "o0"]
        assert [event.id for event in await second.counted("late", 2)] == ["more", "o0"]
        await second.put(observation("last"))
        assert [event.id for event in (await second.counted("s", 14))[13:]] == ["last"]


async def test_a_leader_that_comes_while_there_is_doubt_numbers_nothing_twice(mongo_uri: str, prefix: str) -> None:
    async with plant(mongo_uri, prefix) as first:
        await first.leads()
        await first.subscribe("s", "Observation")
        state = await first.database.system["sub_state"].find_one({"_id": "engine"})
        assert state is not None
        before = {"token": state["token"], "at": state["at"]}
        for number in range(5):
            await first.put(observation(f"o{number}"))
        await first.counted("s", 5)
    async with plant(mongo_uri, prefix, start=False) as second:
        # The first leader died after it had read by stamps what the stream will tell once more.
        doubt = {"since": before["at"] - 1_000_000, "until": before["at"] + 3_600_000_000}
        await second.database.system["sub_state"].update_one({"_id": "engine"}, {"$set": {**before, "doubt": doubt}})
        await second.put(observation("new"))
        await second.engine.start()
        events = await second.counted("s", 6)
        assert [event.id for event in events] == ["o0", "o1", "o2", "o3", "o4", "new"]


async def test_the_subscribers_rights_decide(mongo_uri: str, prefix: str) -> None:
    rights = ByPatient()
    async with plant(mongo_uri, prefix, rights=rights) as made:
        await made.leads()
        await made.subscribe("one", "Observation", owner={"patient": "Patient/1"})
        await made.subscribe("two", "Observation", owner={"patient": "Patient/2"})
        await made.subscribe("nobody", "Observation")
        await made.put(observation("a", patient="1"))
        await made.put(observation("b", patient="2"))
        await made.put(observation("b", patient="1"))
        await made.put(None, "Observation/b")
        assert [(event.id, event.version) for event in await made.counted("one", 2)] == [("a", 1), ("b", 2)]
        assert [(event.id, event.version) for event in await made.counted("two", 1)] == [("b", 1)]
        rights.ended.add("Patient/1")
        await made.put(observation("c", patient="1"))
        await made.put(observation("d", patient="2"))
        await made.counted("two", 2)
        for id_ in ("one", "nobody"):
            row = await made.row(id_)
            assert row is not None
            assert row["count"] == (2 if id_ == "one" else 0)
            assert "due" in row, "its delivery is told to look, and ends the subscription"


async def test_hooks_count_from_their_first_start_and_see_before_and_after(mongo_uri: str, prefix: str) -> None:
    seen: list[Change] = []

    async def follow(ctx: Context, change: Change) -> None:
        seen.append(change)

    hooks = {"watch": Hook("watch", ("Observation",), ("update", "delete"), follow)}
    async with plant(mongo_uri, prefix) as without:
        await without.leads()
        await without.subscribe("all", "Observation")
        await without.put(observation("a"))
        await without.put(observation("a", status="amended"))
        await without.counted("all", 2)  # what it has read another does not read again
    async with plant(mongo_uri, prefix, hooks=hooks) as made:
        await made.leads()
        await made.put(observation("a", status="corrected"))
        await made.put(observation("b"))
        await made.put(None, "Observation/a")
        events = await made.counted("hook:watch", 2)
        assert [(event.id, event.version, event.interaction) for event in events] == [
            ("a", 3, "update"),
            ("a", 4, "delete"),
        ]
        for event in events:
            await made.hooks.run(event)
    update, deletion = seen
    assert update.before is not None
    assert update.before.resource()["status"] == "amended"
    assert update.after.resource()["status"] == "corrected"
    assert deletion.after.deleted


async def test_a_topic_counts_from_its_acceptance_and_by_its_present_form(one: Plant) -> None:
    basic = next(found for found in guide("Basic") if found["id"] == "topic-encounter-start")
    (url,) = (part["valueUri"] for part in basic["extension"] if part["url"].endswith("SubscriptionTopic.url"))
    profile = {"profile": ["http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription"]}
    payload = {
        "url": "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-payload-content",
        "valueCode": "id-only",
    }
    channel = {"type": "websocket", "payload": "application/fhir+json", "_payload": {"extension": [payload]}}
    await one.subscribe("s", url, meta=profile, channel=channel)
    await one.subscribe("all", "Encounter")
    visit: Json = {"resourceType": "Encounter", "status": "in-progress", "class": {"code": "AMB"}}
    await one.put({**visit, "id": "before"})
    await one.put(basic)
    await one.put({**visit, "id": "during"})
    await one.put(None, f"Basic/{basic['id']}")
    await one.put({**visit, "id": "after"})
    await one.counted("all", 3)
    assert [event.id for event in await one.counted("s", 1)] == ["during"]


async def test_an_erased_subscription_counts_no_longer_under_the_next_leader(mongo_uri: str, prefix: str) -> None:
    async with plant(mongo_uri, prefix) as first:
        await first.leads()
        await first.subscribe("s", "Observation")
        await first.subscribe("t", "Observation")
        await first.put(observation("a"))
        await first.counted("s", 1)
        await first.repository.erase(ANYONE, "Subscription", "s")
    async with plant(mongo_uri, prefix) as second:
        await second.put(observation("b"))
        await second.counted("t", 2)
        assert await second.row("s") is None
        assert await second.events.after("s", 0) == []


async def test_an_erased_subscription_counts_no_longer_at_once_and_its_events_go(one: Plant) -> None:
    await one.subscribe("s", "Observation")
    await one.subscribe("t", "Observation")
    await one.put(observation("a"))
    await one.counted("s", 1)
    assert await one.repository.erase(ANYONE, "Subscription", "s") == 1
    await one.put(observation("b"))
    await one.counted("t", 2)
    assert await one.row("s") is None
    assert await one.events.after("s", 0) == []
    await one.subscribe("s", "Observation")
    await one.put(observation("c"))
    assert [event.id for event in await one.counted("s", 1)] == ["c"], "made again, it counts from 1"


async def test_listeners_are_told_after_the_commit_and_their_errors_harm_nobody(one: Plant) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def broken(_: Change) -> None:
        raise ValueError

    async def listen(change: Change) -> None:
        await heard.put(change.version_key)

    one.engine.listeners.add(["Observation"], broken)
    one.engine.listeners.add(["Observation"], listen)
    await one.put(observation("a"))
    await one.put(observation("a", status="amended"))
    assert [await heard.get(), await heard.get()] == ["Observation/a/_history/1", "Observation/a/_history/2"]


async def test_what_others_may_not_hear_costs_the_database_nothing(one: Plant) -> None:
    """Of types that nobody watches nothing is read, and no commit follows."""
    await one.subscribe("s", "Observation?patient=Patient/1")
    before = await _commits(one.database)
    for number in range(20):
        await one.put({"resourceType": "Patient", "id": f"p{number}"})
        await one.put(observation(f"o{number}", patient="2"))
    await one.put(observation("mine", patient="1"))
    events = await one.counted("s", 1)
    assert [event.id for event in events] == ["mine"]
    assert await _commits(one.database) == before + 1


async def test_whoever_wrote_an_active_subscription_again_is_its_owner(mongo_uri: str, prefix: str) -> None:
    async with plant(mongo_uri, prefix, rights=ByPatient()) as one:
        await one.leads()
        await one.subscribe("s", "Observation", owner={"patient": "Patient/1"})
        await one.subscribe("s", "Observation", owner={"patient": "Patient/2"})
        await one.put(observation("before", patient="1"))
        await one.put(observation("now", patient="2"))
        assert [event.id for event in await one.counted("s", 1)] == ["now"]
        row = await one.row("s")
        assert row is not None
        assert row["owner"] == {"patient": "Patient/2"}


class ByPatient:
    """Subscribers are patients; nothing is known of others."""

    def __init__(self) -> None:
        self.ended: set[str] = set()

    def remember(self, principal: Principal) -> Json:
        return {"patient": principal.patient}

    async def again(self, kept: Json) -> Principal | None:
        patient = kept.get("patient")
        if not patient or patient in self.ended:
            return None
        return Principal(
            patient,
            scopes=resource_scopes("patient/*.rs"),
            user=patient,
            roles=("patient",),
            patient=patient,
            own=frozenset({patient}),
        )


async def _write(made: Plant, name: str, count: int, *, insist: bool = False) -> None:
    for number in range(count):
        while True:
            try:
                await made.put(observation(f"{name}-{number % 10}", code="a"))
                break
            except (PyMongoError, FhirError):
                assert insist


async def _anyone_leads(*plants: Plant) -> bool:
    return any(made.engine.leading.is_set() for made in plants)


async def _steal(database: Database) -> int:
    """End the lease, and say in which epoch nobody has it: read later it may be that of who took it meanwhile."""
    ended = {"until": {"$subtract": ["$$NOW", 1000]}, "epoch": {"$add": ["$epoch", 1]}}
    stolen = await database.system["sub_state"].find_one_and_update(
        {"_id": "engine"}, [{"$set": ended}], return_document=ReturnDocument.AFTER
    )
    assert stolen is not None
    return int(stolen["epoch"])


async def _commits(database: Database) -> int:
    """How many there were, by the database, which has it with what they wrote: the leader hears of each later."""
    found = await database.system["sub_state"].find_one({"_id": "engine"})
    assert found is not None
    return int(found["seq"])


async def _is_past(database: Database, epoch: int) -> bool:
    found = await database.system["sub_state"].find_one({"_id": "engine"})
    assert found is not None
    return int(found["epoch"]) > epoch


async def _assert_exact(made: Plant, subscription_id: str, count: int) -> None:
    """Each version once, without a gap, in the order of the oplog."""
    events = await made.events.after(subscription_id, 0, limit=10_000)
    assert [event.number for event in events] == list(range(1, count + 1))
    assert [(event.key, event.version) for event in events] == await made.commit_order("Observation")
    row = await made.row(subscription_id)
    assert row is not None
    assert row["count"] == count
