"""Following a subscription: every event once and in order, whatever is lost or changes meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from pymongo.errors import AutoReconnect

from fhir_server.access import Principal
from fhir_server.access.principal import ANYONE
from fhir_server.access.scopes import parse_scope
from fhir_server.outcomes import Unavailable
from fhir_server.storage.database import Database
from subscriptions import reader as module
from subscriptions.event import Events
from subscriptions.notification import Notifications
from subscriptions.reader import Ended, Reader, is_narrower
from subscriptions.rights import Everybody
from subscriptions.signals import Signals
from tests.subscriptions.follower import Engine, Plain

Json = dict[str, Any]
Following = AsyncGenerator[tuple[int, Json], None]
PATIENCE = 60


@dataclass
class Here:
    """A process that follows."""

    engine: Engine
    reader: Reader
    plain: Plain
    database: Database

    def follow(
        self, id_: str, after: int = 0, now: Callable[[], Awaitable[Principal | None]] | None = None, **about: Any
    ) -> Following:
        return self.reader.follow(id_, after, now or anyone, **about)


async def anyone() -> Principal | None:
    return ANYONE


@asynccontextmanager
async def process(uri: str, prefix: str) -> AsyncIterator[Here]:
    database = Database(uri, prefix)
    try:
        signals, plain = Signals(database), Plain()
        engine = Engine(database, signals)
        await engine.prepare()
        reader = Reader(database, Events(database), cast(Notifications, plain), Everybody(), signals)
        await signals.start()
        await reader.start()
        yield Here(engine, reader, plain, database)
        await reader.stop()
        await signals.stop()
    finally:
        await database.close()


@pytest.fixture
async def here(mongo_uri: str, database: str) -> AsyncIterator[Here]:
    async with process(mongo_uri, database) as made:
        yield made
        for name in ("sub_active", "sub_events"):
            await made.database.system[name].delete_many({})


async def take(following: Following, times: int) -> list[list[int]]:
    """The numbers in the next bundles."""
    found = []
    async with asyncio.timeout(PATIENCE):
        for _ in range(times):
            _, bundle = await anext(following)
            found.append(bundle["numbers"])
    return found


async def end(following: Following) -> str:
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(Ended) as caught:
            await anext(following)
    return caught.value.why


def waiting(following: Following) -> asyncio.Task[list[list[int]]]:
    return asyncio.create_task(take(following, 1))


# ---- in order, once ---------------------------------------------------------------------------------------


async def test_what_is_behind_a_number_comes_first_and_then_what_is_new(here: Here) -> None:
    await here.engine.know("a")
    await here.engine.number("a", 40)
    async with aclosing(here.follow("a", 3)) as following:
        assert await take(following, 37) == [[n] for n in range(4, 41)]
        for n in range(41, 50):
            await here.engine.number("a")
            assert await take(following, 1) == [[n]]


async def test_the_number_beside_a_bundle_is_its_last_and_what_to_go_on_from(here: Here) -> None:
    await here.engine.know("a", max_count=10)
    await here.engine.number("a", 25)
    async with aclosing(here.follow("a")) as following:
        numbers = [(await anext(following)) for _ in range(3)]
    assert [number for number, _ in numbers] == [10, 20, 25]
    assert [len(bundle["numbers"]) for _, bundle in numbers] == [10, 10, 5]
    assert [bundle["count"] for _, bundle in numbers] == [10, 20, 25]


async def test_a_thousand_events_under_ten_followers(here: Here) -> None:
    await here.engine.know("a")
    followers = [here.follow("a") for _ in range(10)]
    tasks = [asyncio.create_task(take(one, 1000)) for one in followers]
    for _ in range(100):
        await here.engine.number("a", 10)
    for found in await asyncio.gather(*tasks):
        assert found == [[n] for n in range(1, 1001)]
    for one in followers:
        await one.aclose()
    assert here.reader._followed == {}


@pytest.fixture
def unpolled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks at the counts unless asked to; to be there before the process is."""
    monkeypatch.setattr(module, "POLL", 3600.0)


@pytest.mark.usefixtures("unpolled")
async def test_many_wake_up_to_one_query(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [f"s{n}" for n in range(50)]
    for id_ in ids:
        await here.engine.know(id_)
    followers = [here.follow(id_) for id_ in ids]
    tasks = [waiting(one) for one in followers]
    while sum(one.state is not None for one in here.reader._followed.values()) < len(ids):
        await asyncio.sleep(0.01)
    rows, asked = here.reader._batches._rows, []

    class Counting:
        def find(self, wanted: Json) -> Any:
            asked.append(len(wanted["_id"]["$in"]))
            return rows.find(wanted)

    monkeypatch.setattr(here.reader._batches, "_rows", Counting())
    for id_ in ids:
        await here.engine.number(id_, told=False)
    here.reader._look.set()
    assert await asyncio.gather(*tasks) == [[[1]]] * 50
    assert sum(asked) == 50
    assert len(asked) <= 3
    for one in followers:
        await one.aclose()


async def test_what_another_process_numbers_is_heard(mongo_uri: str, database: str, here: Here) -> None:
    await here.engine.know("a")
    async with process(mongo_uri, database) as there, aclosing(here.follow("a")) as following:
        task = waiting(following)
        await there.engine.number("a")
        assert await task == [[1]]


async def test_a_lost_signal_is_made_up_for(here: Here) -> None:
    await here.engine.know("a")
    async with aclosing(here.follow("a")) as following:
        task = waiting(following)
        await here.engine.number("a", 2, told=False)
        assert await task == [[1]]
        assert await take(following, 1) == [[2]]


async def test_events_that_are_kept_no_longer_are_passed_over(here: Here) -> None:
    await here.engine.know("a")
    await here.engine.number("a", 30)
    await here.database.system["sub_events"].delete_many({"n": {"$lte": 28}})
    async with aclosing(here.follow("a")) as following:
        assert await take(following, 2) == [[29], [30]]


async def test_a_database_that_is_away_for_a_while_repeats_and_loses_nothing(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.01)
    await here.engine.know("a")
    failures = iter([AutoReconnect("away"), Unavailable("away"), AutoReconnect("away")])

    def fail() -> None:
        for error in failures:
            raise error

    here.plain.on_bundle = fail
    await here.engine.number("a", 3)
    async with aclosing(here.follow("a")) as following:
        assert await take(following, 3) == [[1], [2], [3]]
    assert here.plain.made == 6


# ---- what may not be seen ---------------------------------------------------------------------------------


async def test_what_may_not_be_seen_leaves_a_gap(here: Here) -> None:
    await here.engine.know("a")
    here.plain.hidden = {1, 3}
    await here.engine.number("a", 4)
    async with aclosing(here.follow("a")) as following:
        assert [await anext(following) for _ in range(2)] == [
            (2, {"numbers": [2], "count": 2}),
            (4, {"numbers": [4], "count": 4}),
        ]


async def test_a_revocation_stops_the_very_next_event(here: Here) -> None:
    await here.engine.know("a")
    await here.engine.number("a", 2)
    held = [True]

    async def now() -> Principal | None:
        return ANYONE if held else None

    async with aclosing(here.follow("a", 0, now)) as following:
        assert await take(following, 1) == [[1]]
        held.clear()
        assert await end(following) == "authorization"


async def test_and_the_one_that_is_just_being_made(here: Here) -> None:
    await here.engine.know("a")
    await here.engine.number("a")
    held = [True]
    here.plain.on_bundle = held.clear

    async def now() -> Principal | None:
        return ANYONE if held else None

    async with aclosing(here.follow("a", 0, now)) as following:
        assert await end(following) == "authorization"


async def test_it_ends_though_nothing_happens(here: Here) -> None:
    await here.engine.know("a")
    held = [True]

    async def now() -> Principal | None:
        return ANYONE if held else None

    async with aclosing(here.follow("a", 0, now)) as following:
        task = asyncio.create_task(end(following))
        await asyncio.sleep(0)
        held.clear()
        assert await task == "authorization"


async def test_it_ends_with_the_subscribers_authorization(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    await here.engine.know("a", {"token": "0f"})
    asked: list[Json] = []

    async def again(kept: Json) -> Principal | None:
        asked.append(kept)
        return None

    monkeypatch.setattr(here.reader, "_rights", type("Rights", (), {"again": staticmethod(again)}))
    async with aclosing(here.follow("a")) as following:
        assert await end(following) == "authorization"
    assert asked[0] == {"token": "0f"}


async def test_nothing_is_sent_while_rights_cannot_be_told(here: Here) -> None:
    await here.engine.know("a")
    await here.engine.number("a")
    answers: list[bool] = [False, False, True]

    async def now() -> Principal | None:
        if not (answers.pop(0) if len(answers) > 1 else answers[0]):
            raise Unavailable("away")
        return ANYONE

    async with aclosing(here.follow("a", 0, now)) as following:
        assert await take(following, 1) == [[1]]


async def test_who_may_do_less_than_before_begins_anew(here: Here) -> None:
    await here.engine.know("a")
    doctor = Principal("doctor", roles=("doctor",), panel={"Patient/1": "full"})
    current = [doctor]

    async def now() -> Principal | None:
        return current[0]

    async with aclosing(here.follow("a", 0, now)) as following:
        await here.engine.number("a")
        assert await take(following, 1) == [[1]]
        current[0] = replace(doctor, panel={"Patient/1": "full", "Patient/2": "full"})
        await here.engine.number("a")
        assert await take(following, 1) == [[2]]
        current[0] = replace(doctor)
        assert await end(following) == "rights"


def _scopes(*texts: str) -> Any:
    return tuple(parse_scope(text) for text in texts)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, False),
        ({"own": frozenset({"Patient/1", "Patient/2"})}, False),
        ({"own": frozenset()}, True),
        ({"roles": ()}, True),
        ({"roles": ("doctor", "nurse")}, False),
        ({"panel": {}}, True),
        ({"emergency": frozenset()}, True),
        ({"patient": "Patient/2"}, True),
        ({"scopes": _scopes("user/Patient.rs")}, True),
        ({"scopes": _scopes("user/Patient.rs", "user/Observation.rs", "user/Flag.r")}, False),
    ],
)
def test_narrower(change: Json, expected: bool) -> None:
    before = Principal(
        "x",
        scopes=_scopes("user/Patient.rs", "user/Observation.rs"),
        roles=("doctor",),
        patient="Patient/1",
        own=frozenset({"Patient/1"}),
        panel={"Patient/3": "full"},
        emergency=frozenset({"Patient/4"}),
    )
    assert is_narrower(replace(before, **change), before) is expected


# ---- the subscription itself ------------------------------------------------------------------------------


async def test_one_that_is_not_known_yet_is_waited_for(here: Here) -> None:
    async with aclosing(here.follow("late")) as following:
        task = waiting(following)
        await asyncio.sleep(0)
        await here.engine.know("late", status="requested")
        await here.engine.know("late", version=2)
        await here.engine.number("late")
        assert await task == [[1]]


async def test_one_that_never_comes_is_gone(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE", 0.1)
    async with aclosing(here.follow("never")) as following:
        assert await end(following) == "gone"
    assert here.reader._followed == {}


@pytest.mark.parametrize("told", [True, False])
async def test_one_that_is_switched_off_ends(here: Here, told: bool) -> None:
    await here.engine.know("a")
    async with aclosing(here.follow("a")) as following:
        task = asyncio.create_task(end(following))
        while not here.reader._followed or here.reader._followed["a"].state is None:
            await asyncio.sleep(0.01)
        await here.engine.know("a", version=2, status="off")
        if told:
            await here.engine.signals.publish("subscriptions", {"a": "off"})
        assert await task == "off"


async def test_one_in_error_goes_on(here: Here) -> None:
    await here.engine.know("a")
    async with aclosing(here.follow("a")) as following:
        task = waiting(following)
        await here.engine.know("a", version=2, status="error")
        await here.engine.number("a")
        assert await task == [[1]]


@pytest.mark.parametrize("other", [{"user": "mal", "client": "app"}, {"user": "", "client": "app"}])
async def test_one_that_is_made_anew_by_somebody_else_is_gone(here: Here, other: Json) -> None:
    await here.engine.know("a", {"user": "ann", "client": "app", "token": "1"})
    await here.engine.number("a")
    async with aclosing(here.follow("a")) as following:
        assert await take(following, 1) == [[1]]
        await here.engine.know("a", {"user": "ann", "client": "app", "token": "2"}, version=2)
        await here.engine.number("a")
        assert await take(following, 1) == [[2]]
        await here.engine.know("a", other, version=3)
        await here.engine.signals.publish("subscriptions", {"a": "active"})
        assert await end(following) == "gone"


async def test_one_that_is_deleted_is_gone_also_when_it_is_made_anew(here: Here) -> None:
    for anew in (False, True):
        await here.engine.know("a")
        await here.engine.number("a", 5)
        async with aclosing(here.follow("a", 5)) as following:
            task = asyncio.create_task(end(following))
            while not here.reader._followed or here.reader._followed["a"].state is None:
                await asyncio.sleep(0.01)
            await here.engine.active.delete_one({"_id": "a"})
            await here.database.system["sub_events"].delete_many({})
            if anew:
                await here.engine.know("a", version=3)
            assert await task == "gone"


async def test_heartbeats_come_where_they_are_asked_for_and_count_for_nothing(here: Here) -> None:
    await here.engine.know("a", heartbeat=1)
    async with aclosing(here.follow("a", beats=True)) as following:
        assert await anext(following) == (0, {"heartbeat": 0})
        await here.engine.number("a")
        assert await anext(following) == (1, {"numbers": [1], "count": 1})
        assert await anext(following) == (1, {"heartbeat": 1})
    async with aclosing(here.follow("a", beats=False)) as following:
        await here.engine.number("a")
        assert await take(following, 2) == [[1], [2]]
