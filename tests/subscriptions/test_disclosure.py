"""What a notification discloses is in the audit trail: to whom, of which versions and patients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fhir_server.access import Principal
from fhir_server.audit import Entry, Trail
from fhir_server.audit.entry import Agent
from fhir_server.audit.lines import decode
from fhir_server.auditing import agent_of
from fhir_server.config import Settings
from fhir_server.outcomes import Unavailable
from fhir_server.storage.stored import Stored
from subscriptions import delivery, disclosure, retry
from subscriptions.disclosure import Disclosed
from subscriptions.status import change_status
from tests.subscriptions.receiver import Request, receiving
from tests.subscriptions.stage import Stage, resource, stage

Json = dict[str, Any]
AGENT = agent_of(Principal("dora", user="Practitioner/1", client="app", grant="g", roles=("doctor",)), address="::1")


def stored(type_: str, id_: str, text: str = "{}") -> Stored:
    return Stored(type_, id_, 3, 1, 1, text)


VITAL = stored("Observation", "o", '{"subject":{"reference":"Patient/1"}}')


@pytest.fixture
async def play(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr(delivery, "POLL", 0.05)
    monkeypatch.setattr(retry, "FIRST", 0.02)
    assert settings.mongodb_uri
    async with stage(settings.mongodb_uri, settings.database) as made:
        yield made


@pytest.fixture
async def trail(play: Stage, tmp_path: Path) -> AsyncIterator[Trail]:
    async def alive() -> list[str]:
        return [play.database.incarnation]

    for name in ("audit", "audit_chain", "audit_anchor"):
        await play.database.system[name].drop()
    made = Trail(play.database, tmp_path, alive=alive, now=play.repository.flusher.clock.now, wait=True)
    await made.start()
    yield made
    await made.stop()


async def entries(trail: Trail) -> list[Entry]:
    """What the trail has, in order."""
    found = []
    async for group in trail.store.groups.find().sort("_id", 1):
        found += decode(group["e"])
    return found


def test_one_version_is_told_as_if_it_was_read() -> None:
    told = Disclosed("s", (4,), (VITAL,), (stored("Patient", "2"),)).entry(AGENT, "TREAT")
    assert (told.interaction, told.action, told.status, told.purpose) == ("vread", "R", 200, "TREAT")
    assert (told.type, told.id, told.version) == ("Observation", "o", "3")
    assert told.subjects == ("Patient/1", "Patient/2")
    assert told.query == "subscription=s&event-number=4"
    assert (told.agent.user, told.agent.client, told.agent.address) == ("Practitioner/1", "app", "::1")


def test_several_are_told_as_if_they_were_asked_for() -> None:
    told = Disclosed("s", (4, 5, 7), (VITAL, stored("Patient", "2"), stored("Patient", "3"))).entry(AGENT)
    assert (told.type, told.id, told.operation) == ("Subscription", "s", "events")
    assert told.query == "eventsSinceNumber=4&eventsUntilNumber=7"
    assert told.subjects == ("Patient/1", "Patient/2", "Patient/3")
    nothing_named = Disclosed("s", (4,)).entry(AGENT)
    assert (nothing_named.type, nothing_named.subjects) == ("Subscription", ())


async def test_what_is_delivered_leaves_one_entry_for_each_notification(play: Stage, trail: Trail) -> None:
    async def answer(request: Request) -> int:
        return 503 if len(there.requests) == 2 else 200

    async with receiving(answer) as there, play.deliverers(trail=trail):
        await play.subscribe("s1", resource(there.url))
        await play.happen("s1", 3)
        await play.until_row("s1", lambda row: row["sent"] == 3)
    found = await entries(trail)
    assert [(one.type, one.id, one.version, one.agent.name) for one in found] == [
        ("Basic", f"s1-{n}", "1", "anyone") for n in (1, 2, 3)
    ], "what did not arrive leaves none"


class Full:
    """A trail that takes nothing at first."""

    def __init__(self) -> None:
        self.refused = 0
        self.taken: list[Entry] = []

    async def record(self, entries: Sequence[Entry]) -> None:
        if self.refused < 2:
            self.refused += 1
            raise Unavailable("The audit trail takes no more entries now.")
        self.taken += entries


async def test_nothing_counts_as_sent_that_the_trail_does_not_have(play: Stage) -> None:
    full = Full()
    async with receiving() as there, play.deliverers(trail=full):
        await play.subscribe("s1", resource(there.url))
        await play.happen("s1", 1)
        await play.until_row("s1", lambda row: row["sent"] == 1)
    assert there.numbers == [1, 1, 1]
    assert len(full.taken) == 1


async def test_the_servers_own_writes_leave_theirs(play: Stage, trail: Trail) -> None:
    before = await play.write({"resourceType": "Subscription", "id": "s1", **resource("https://ehr.example/hook")})
    play.repository.flusher.audit = trail.writes
    assert await change_status(play.repository, "s1", before.version, "error", "It did not answer.")
    (found,) = await entries(trail)
    assert (found.interaction, found.action, found.agent) == ("update", "U", Agent("system"))
    assert (found.type, found.id, found.version) == ("Subscription", "s1", str(before.version + 1))


async def test_what_many_are_told_at_once_is_stored_together(trail: Trail) -> None:
    await disclosure.record(None, Disclosed("s", (1,)), AGENT)
    assert await entries(trail) == []
    await asyncio.gather(*(disclosure.record(trail, Disclosed("s", (n,)), AGENT) for n in range(50)))
    assert len(await entries(trail)) == 50
    assert await trail.store.groups.count_documents({}) < 10
