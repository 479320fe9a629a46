"""@on_change: declared by presence, kept by name, called with the change that the event stands for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import pytest

from fhir_server.access.principal import ANYONE
from fhir_server.change import Change
from fhir_server.context import Context
from fhir_server.outcomes import Conflict, FhirError, TooLarge
from fhir_server.registry import Hook, on_change, registry
from subscriptions.event import Event
from subscriptions.hooks import Hooks
from tests.subscriptions.plant import Plant, observation, plant

seen: list[Change] = []


async def follow(ctx: Context, change: Change) -> None:
    seen.append(change)


HOOKS = {"watch": Hook("watch", ("Observation", "Patient"), ("create", "update", "delete"), follow)}


@pytest.fixture
async def made(mongo_uri: str, database: str) -> AsyncIterator[Plant]:
    seen.clear()
    async with plant(mongo_uri, database, hooks=HOOKS) as one:
        await one.leads()
        yield one


def event(written: object, number: int = 1) -> Event:
    return Event("hook:watch", number, "Observation", "a", written.version, "create", written.updated)  # type: ignore[attr-defined]


async def test_a_hook_is_called_with_the_change(made: Plant) -> None:
    await made.hooks.run(event(await made.put(observation("a"))))
    await made.hooks.run(event(await made.put(observation("a", status="amended"))))
    assert [(change.version, change.interaction) for change in seen] == [(1, "create"), (2, "update")]


async def test_what_was_erased_is_followed_by_nobody(made: Plant) -> None:
    written = await made.put(observation("a"))
    await made.repository.erase(ANYONE, "Observation", "a")
    await made.hooks.run(event(written))
    assert seen == []


async def test_a_hook_that_fails_says_so(made: Plant) -> None:
    async def fail(ctx: Context, change: Change) -> None:
        raise RuntimeError

    broken = Hooks(made.repository, lambda: None, {"watch": Hook("watch", (), (), fail)})  # type: ignore[arg-type, return-value]
    written = await made.put(observation("a"))
    with pytest.raises(RuntimeError):
        await broken.run(event(written))


@pytest.mark.parametrize(("refused", "again"), [(TooLarge("no"), False), (Conflict("not now"), True)])
async def test_what_is_refused_for_good_stops_nothing_behind_it(refused: FhirError, again: bool, made: Plant) -> None:
    async def refuse(ctx: Context, change: Change) -> None:
        raise refused

    broken = Hooks(made.repository, lambda: None, {"watch": Hook("watch", (), (), refuse)})  # type: ignore[arg-type, return-value]
    written = await made.put(observation("a"))
    with pytest.raises(FhirError) if again else nullcontext():
        await broken.run(event(written))


async def test_hooks_that_no_leader_knows_for_long_are_forgotten(mongo_uri: str, database: str) -> None:
    prefix = f"{database}_forgotten"
    async with plant(mongo_uri, prefix, hooks=HOOKS) as first:
        await first.leads()
        assert (await first.counted("hook:watch", 0)) == []
    async with plant(mongo_uri, prefix) as second:
        await second.leads()
        await second.put(observation("a"))
        assert len(await second.counted("hook:watch", 1)) == 1, "another process may still know it"
        long_ago = {"$set": {"seen": datetime.now(UTC) - timedelta(days=8)}}
        await second.database.system["sub_active"].update_one({"_id": "hook:watch"}, long_ago)
    async with plant(mongo_uri, prefix) as third:
        await third.leads()
        assert await third.row("hook:watch") is None


def test_declaring_is_all_it_takes() -> None:
    @on_change("Patient", interactions=("delete",))
    async def gone(ctx: Context, change: Change) -> None: ...

    (name,) = (one for one in registry.hooks if one.endswith(".gone"))
    hook = registry.hooks.pop(name)
    assert (hook.types, hook.interactions) == (("Patient",), ("delete",))
