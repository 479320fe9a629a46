"""Points 2, 5 and 11: at least once, numbered, in order, by whichever process; and what a subscription becomes."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.errors import AutoReconnect
from structlog.testing import capture_logs

from fhir_server.change import Change
from fhir_server.config import Settings
from fhir_server.context import Context
from fhir_server.registry import Hook
from subscriptions import courier, delivery, retry
from subscriptions.delivery import Deliverers
from tests.subscriptions.receiver import Receiver, Request, ok, receiving
from tests.subscriptions.stage import Stage, resource, stage

Json = dict[str, Any]
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"


@pytest.fixture
async def play(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """A stage where everything that takes seconds or hours takes less."""
    monkeypatch.setattr(delivery, "POLL", 0.05)
    monkeypatch.setattr(delivery, "GRACE", 0.5)
    monkeypatch.setattr(retry, "FIRST", 0.02)
    monkeypatch.setattr(retry, "LONGEST", 0.1)
    monkeypatch.setattr(courier, "LOOK", 100_000)
    assert settings.mongodb_uri
    async with stage(settings.mongodb_uri, settings.database) as made:
        yield made


def failing(times: int, status: int = 503) -> Callable[[Request], Any]:
    """An answer that fails so often first."""
    left = [times]

    async def answer(_: Request) -> int:
        left[0] -= 1
        return status if left[0] >= 0 else 200

    return answer


# ---- order and loss ------------------------------------------------------------------------------------------------


async def test_11_events_come_in_order_and_each_is_noted(play: Stage) -> None:
    async with receiving() as there, play.deliverers():
        await play.subscribe("s1", resource(there.url))
        await play.happen("s1", 5)
        await there.until(lambda: len(there.taken) == 5)
        row = await play.until_row("s1", lambda row: "holder" not in row and row["sent"] == 5)
    assert there.numbers == [1, 2, 3, 4, 5]
    assert "due" not in row
    assert row["beat"] > 0
    assert [request.kind for request in there.taken] == ["event-notification"] * 5
    assert there.most_at_once == 1


async def test_11_a_signal_wakes_without_a_poll(play: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as there, play.deliverers():
        await play.subscribe("s1", resource(there.url))
        await play.happen("s1", 1)
        await there.until(lambda: len(there.taken) == 1)
        monkeypatch.setattr(delivery, "POLL", 1e6)
        _, signals = play.opened[-1]
        await play.until_row("s1", lambda row: "holder" not in row)
        for number in (2, 3):
            await play.happen("s1", 1, signals)
            await there.until(lambda number=number: len(there.taken) == number)  # type: ignore[misc]
    assert there.numbers == [1, 2, 3]


async def test_5_several_events_in_one_notification(play: Stage) -> None:
    extension = [{"url": BACKPORT + "backport-max-count", "valuePositiveInt": 4}]
    async with receiving() as there:
        await play.subscribe("s1", resource(there.url, extension=extension))
        await play.happen("s1", 10)
        async with play.deliverers():
            await there.until(lambda: len(there.numbers) == 10)
    assert [request.numbers for request in there.taken] == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]


async def test_11_a_receiver_that_fails_for_a_while_gets_all_in_order(play: Stage) -> None:
    count = 0

    async def answer(request: Request) -> int:
        nonlocal count
        count += 1
        return 503 if count % 3 == 1 else 200

    async with receiving(answer) as there, play.deliverers():
        await play.subscribe("s1", resource(there.url))
        await play.happen("s1", 10)
        await there.until(lambda: len(there.taken) == 10)
        await play.until_row("s1", lambda row: row["sent"] == 10)
    assert there.numbers == list(range(1, 11))


async def test_11_what_was_taken_without_a_word_comes_again(play: Stage) -> None:
    async def answer(request: Request) -> int:
        return 200 if len(there.requests) != 2 else 500  # it took the second, and said it had not

    async with receiving(answer) as there, play.deliverers():
        await play.subscribe("s1", resource(there.url))
        await play.happen("s1", 3)
        await there.until(lambda: len(there.taken) == 3)
    assert [number for request in there.requests for number in request.numbers] == [1, 2, 2, 3]


async def test_11_two_processes_share_the_work_and_never_meet(play: Stage) -> None:
    async with receiving() as there, play.deliverers(), play.deliverers():
        endpoints = {f"s{n}": f"{there.url}/{n}" for n in range(5)}
        now: dict[str, int] = {}

        async def answer(request: Request) -> int:
            now[request.path] = now.get(request.path, 0) + 1
            assert now[request.path] == 1, "two deliveries of one subscription at once"
            await asyncio.sleep(0)
            now[request.path] -= 1
            return 200

        there.answer = answer
        for id_, url in endpoints.items():
            await play.subscribe(id_, resource(url))
        signals = [signal for _, signal in play.opened]
        for n in range(20):
            await asyncio.gather(*(play.happen(id_, 1, signals[n % 2]) for id_ in endpoints))
        await there.until(lambda: len(there.taken) == 100)
    for n in range(5):
        assert [i for one in there.taken if one.path.endswith(f"/{n}") for i in one.numbers] == list(range(1, 21))


async def test_11_what_a_killed_process_held_is_delivered_by_another(play: Stage) -> None:
    """Its lease ends; what was under way comes again, and nothing is left out."""
    hanging, going_on = asyncio.Event(), asyncio.Event()

    async def answer(request: Request) -> int:
        if len(there.requests) == 3:
            hanging.set()
            await going_on.wait()
        return 200

    async with receiving(answer) as there:
        await play.subscribe("s1", resource(there.url))
        await play.happen("s1", 6)
        async with play.deliverers() as victim:
            await hanging.wait()
            before = (await play.row("s1"))["holder"]
            await kill(victim)
            rows = play.database.system["sub_active"]
            await rows.update_one({"_id": "s1"}, [{"$set": {"until": "$$NOW"}}])  # its time is over
            async with play.deliverers():
                await there.until(lambda: len(there.taken) >= 6)
                row = await play.until_row("s1", lambda row: row["sent"] == 6)
                assert row.get("holder") != before
            going_on.set()
    numbers = [number for request in there.requests for number in request.numbers]
    assert numbers == [1, 2, 3, 3, 4, 5, 6]


async def kill(victim: Deliverers) -> None:
    """End it as a kill would: nothing is handed back."""

    async def nothing(id_: str) -> None:
        return None

    victim._claims.give_back = nothing  # type: ignore[method-assign]
    for task in [*victim._tasks, *victim._turns.values()]:
        task.cancel()
    await asyncio.gather(*victim._tasks, *victim._turns.values(), return_exceptions=True)


async def test_11_a_process_that_lost_its_lease_notes_nothing(play: Stage) -> None:
    """Another has taken over: `sent` is the other's to move."""

    async def answer(request: Request) -> int:
        if len(there.requests) == 1:
            rows, later = play.database.system["sub_active"], datetime.now(UTC) + timedelta(days=1)
            await rows.update_one({"_id": "s1"}, {"$set": {"holder": "another", "until": later}})
        return 200

    async with receiving(answer) as there, play.deliverers():
        await play.subscribe("s1", resource(there.url))
        await play.happen("s1", 2)
        await there.until(lambda: len(there.taken) == 1)
    row = await play.row("s1")
    assert (row["sent"], row["holder"]) == (0, "another")


async def test_11_a_process_that_stops_hands_over_at_once(play: Stage) -> None:
    async def hang(request: Request) -> int:
        if len(there.requests) == 1:
            begun.set()
            await asyncio.Event().wait()
        return 200

    begun = asyncio.Event()
    async with receiving(hang) as there:
        await play.subscribe("s1", resource(there.url))
        await play.happen("s1", 1)
        async with play.deliverers():
            await begun.wait()
        assert "holder" not in await play.row("s1")
        async with play.deliverers():
            await there.until(lambda: there.numbers == [1])


async def test_11_what_a_killed_process_had_is_taken_over_before_its_lease_ends(play: Stage) -> None:
    async with receiving() as there:
        await play.subscribe("s1", resource(there.url))
        await play.happen("s1", 1)
        dead = subprocess.Popen(["true"])
        dead.wait()
        rows, later = play.database.system["sub_active"], datetime.now(UTC) + timedelta(days=1)
        had = {"holder": f"fhir-server/{socket.gethostname()}/{dead.pid}/00/00", "until": later}
        await rows.update_one({"_id": "s1"}, {"$set": had})
        await play.subscribe("s2", resource(there.url))
        elsewhere = {"holder": f"fhir-server/another.example/{dead.pid}/00/00", "until": later}
        await rows.update_one({"_id": "s2"}, {"$set": elsewhere})
        async with play.deliverers():
            await there.until(lambda: there.numbers == [1])
        assert (await play.row("s2"))["holder"] == elsewhere["holder"], "of another machine nobody here can tell"


async def test_11_slow_endpoints_stall_nobody_else(play: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "AT_ONCE", 6)
    monkeypatch.setattr(delivery, "SLOW_AT_ONCE", 2)
    monkeypatch.setattr(delivery, "SLOW", 0.0)
    end = asyncio.Event()

    async def answer(request: Request) -> int:
        if request.path.endswith("/slow") and len(slow(there)) > 8:
            await end.wait()
        return 200

    def slow(there: Receiver) -> list[Request]:
        return [one for one in there.requests if one.path.endswith("/slow")]

    async with receiving(answer) as there, play.deliverers():
        for n in range(8):
            await play.subscribe(f"slow{n}", resource(f"{there.url}/slow"))
            await play.happen(f"slow{n}", 1)
        await there.until(lambda: len(there.taken) == 8)  # now they are known to be slow
        for n in range(8):
            await play.until_row(f"slow{n}", lambda row: "holder" not in row)
            await play.happen(f"slow{n}", 1)
        async with asyncio.timeout(60):
            while len(slow(there)) < 10:  # as many as may be under way have arrived, and hang
                await asyncio.sleep(0.01)
        await play.subscribe("quick", resource(f"{there.url}/quick"))
        await play.happen("quick", 3)
        await there.until(lambda: len([one for one in there.taken if one.path.endswith("/quick")]) == 3)
        assert len(slow(there)) == 10
        end.set()


async def test_11_one_subscribers_hanging_endpoints_stall_nobody_else(
    play: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "AT_ONCE", 4)
    monkeypatch.setattr(delivery, "SHARE", 2)
    hanging, end = asyncio.Event(), asyncio.Event()

    async def answer(request: Request) -> int:
        if request.path.endswith("/hang"):
            if hung() == 2:
                hanging.set()
            await end.wait()
        return 200

    def hung() -> int:
        return sum(one.path.endswith("/hang") for one in there.requests)

    async with receiving(answer) as there:
        for n in range(8):
            await play.subscribe(f"hang{n}", resource(f"{there.url}/hang"), owner={"user": "mal", "client": f"app{n}"})
            await play.happen(f"hang{n}", 1)
        owners = [{"user": "ann", "client": "app"}, {"user": "", "client": "lab"}, {}]
        async with play.deliverers():
            await asyncio.wait_for(hanging.wait(), 60)
            for n, owner in enumerate(owners):
                await play.subscribe(f"quick{n}", resource(f"{there.url}/quick"), owner=owner)
                await play.happen(f"quick{n}", 2)
            await there.until(lambda: len(there.taken) == 2 * len(owners))
            assert hung() == 2
            end.set()
            await there.until(lambda: len(there.taken) == 2 * len(owners) + 8)


async def test_11_events_that_are_no_longer_kept_are_passed_over(play: Stage) -> None:
    async with receiving() as there:
        await play.subscribe("s1", resource(there.url))
        await play.happen("s1", 4)
        await play.database.system["sub_events"].delete_many({"n": {"$lte": 2}})
        async with play.deliverers():
            await there.until(lambda: there.numbers == [3, 4])
            await play.database.system["sub_active"].update_one({"_id": "s1"}, {"$set": {"count": 6}})
            await play.until_row("s1", lambda row: row["sent"] == 6)


async def test_11_without_its_lease_a_process_sends_nothing_more(play: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database does not answer for as long as a lease lasts: another process may have taken over."""
    begun = asyncio.Event()
    now = 0.0  # stands still until the request has arrived, however long that takes
    monkeypatch.setattr(delivery, "_seconds", lambda: now)

    async def answer(request: Request) -> int:
        begun.set()
        await asyncio.Event().wait()
        return 200

    async def fail(ids: object) -> None:
        raise AutoReconnect("away")

    async with receiving(answer) as there:
        await play.subscribe("s1", resource(there.url))
        await play.happen("s1", 1)
        async with play.deliverers(lease_seconds=0.4) as deliverers:
            deliverers._claims.renew = fail  # type: ignore[method-assign]
            await begun.wait()
            (turn,) = deliverers._turns.values()
            now = 0.4
            async with asyncio.timeout(60):
                await asyncio.wait([turn])
            assert turn.cancelled()


# ---- life ----------------------------------------------------------------------------------------------------------


async def test_2_a_handshake_makes_it_active(play: Stage) -> None:
    async with receiving() as there, play.deliverers():
        await play.subscribe("s1", resource(there.url, "requested"), due=1)
        await play.until_status("s1", "active")
        await play.happen("s1", 1)
        await there.until(lambda: len(there.taken) == 2)
    assert [request.kind for request in there.requests] == ["handshake", "event-notification"]


async def test_2_a_signal_of_a_new_subscription_is_heard(play: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as there, play.deliverers():
        _, signals = play.opened[-1]
        monkeypatch.setattr(delivery, "POLL", 1e6)
        await play.subscribe("s1", resource(there.url, "requested"))
        await signals.publish("handshake", {"s1": 1})
        await there.until(lambda: len(there.taken) == 1)


async def test_2_a_failed_handshake_is_an_error_until_it_succeeds(play: Stage) -> None:
    async with receiving(failing(4)) as there, play.deliverers():
        await play.subscribe("s1", resource(there.url, "requested"), due=1)
        assert (await play.until_status("s1", "error"))["error"] == "The endpoint answered with status 503."
        assert "error" not in await play.until_status("s1", "active")
    assert {request.kind for request in there.requests} == {"handshake"}
    assert len(there.requests) == 5


async def test_2_a_handshake_is_not_repeated_while_the_engine_is_behind(play: Stage) -> None:
    async with receiving() as there, play.deliverers():
        await play.subscribe("s1", resource(there.url, "requested"), due=1)
        await there.until(lambda: len(there.taken) == 1)
        async with asyncio.timeout(60):
            while (await play.subscription("s1")).resource()["status"] != "active":
                await asyncio.sleep(0.02)
        looked = (await play.until_row("s1", lambda row: "next" in row))["next"]
        await play.until_row("s1", lambda row: row.get("next", 0) > looked)  # looked at again meanwhile
        assert len(there.requests) == 1


async def test_2_pull_channels_become_active_by_themselves(play: Stage) -> None:
    async with play.deliverers():
        await play.subscribe("s1", resource("wss://ehr.example/websocket", "requested", type="websocket"), due=1)
        await play.until_status("s1", "active")


async def test_2_a_lasting_failure_is_an_error_and_its_end_says_nothing(play: Stage) -> None:
    async with receiving(failing(1000)) as there, play.deliverers():
        await play.subscribe("s1", resource(there.url))
        await play.happen("s1", 2)
        await play.until_status("s1", "error")
        row = await play.row("s1")
        assert row["attempts"] >= retry.LASTING
        there.answer = ok
        await play.until_status("s1", "active")
        await there.until(lambda: there.numbers == [1, 2])
    assert "attempts" not in await play.row("s1")


async def test_2_a_failure_of_days_ends_in_off_and_stays_so(play: Stage) -> None:
    async with receiving(failing(1000)) as there, play.deliverers():
        days = {"attempts": 40, "failing": int((time.time() - 4 * 86_400) * 1e6), "due": 1}
        await play.subscribe("s1", resource(there.url, "error"), shaken=1, **days)
        await play.happen("s1", 1)
        await play.until_status("s1", "off")
        await play.until_row("s1", lambda row: "holder" not in row)  # one more attempt may have been under way
        sent = len(there.requests)
        there.answer = ok
        await play.subscribe("s2", resource(there.url))
        await play.happen("s2", 1)
        await there.until(lambda: len(there.taken) == 1)
    assert len(there.requests) == sent + 1
    assert (await play.subscription("s1")).resource()["status"] == "off"


async def test_2_an_endpoint_that_is_gone_is_off_at_once(play: Stage) -> None:
    async with receiving(failing(1, 410)) as there, play.deliverers():
        await play.subscribe("s1", resource(there.url))
        await play.happen("s1", 1)
        assert "410" in (await play.until_status("s1", "off"))["error"]


async def test_2_what_a_client_switched_off_meanwhile_stays_off(play: Stage) -> None:
    """The handshake is under way when its client changes the subscription: the server does not undo that."""

    async def answer(request: Request) -> int:
        await play.write({"resourceType": "Subscription", "id": "s1", **resource(there.url, "off")})
        answered.set()
        return 200

    answered = asyncio.Event()
    async with receiving(answer) as there, play.deliverers():
        await play.subscribe("s1", resource(there.url, "requested"), due=1)
        before = (await play.row("s1"))["version"]
        await answered.wait()
        await play.until_row("s1", lambda row: "shaken" in row and "holder" not in row)
        stored = await play.subscription("s1")
    assert (stored.resource()["status"], stored.version) == ("off", before + 1)


async def test_2_a_new_request_forgets_the_failures_of_before(play: Stage) -> None:
    async with receiving() as there, play.deliverers():
        later = int(time.time() * 1e6) + 3_600_000_000
        await play.subscribe("s1", resource(there.url, "requested"), attempts=9, failing=1, due=later, tried=0)
        await play.until_status("s1", "active")


@pytest.mark.parametrize("channel", ["rest-hook", "websocket"])
async def test_2_its_end_is_honoured(play: Stage, channel: str) -> None:
    async with receiving() as there, play.deliverers():
        made = {**resource(there.url, type=channel), "end": "2020-01-01T00:00:00Z"}
        await play.subscribe("s1", made, end=1_577_836_800_000_000)
        assert "end" in (await play.until_status("s1", "off"))["error"]
    assert there.requests == []


async def test_7_a_revoked_subscriber_gets_nothing_more(play: Stage) -> None:
    async with receiving() as there, play.deliverers():
        await play.subscribe("s1", resource(there.url))
        await play.happen("s1", 1)
        await there.until(lambda: there.numbers == [1])
        play.rights.revoked = True
        await play.happen("s1", 1)
        assert "authorization" in (await play.until_status("s1", "off"))["error"]
    assert there.numbers == [1]


async def test_7_what_may_not_be_seen_any_more_is_left_out(play: Stage) -> None:
    async with receiving() as there:
        await play.subscribe("s1", resource(there.url))
        await play.happen("s1", 3)
        await play.database.version.delete_one({"r": "Basic/s1-2"})
        async with play.deliverers():
            await there.until(lambda: len(there.taken) == 2)
            await play.until_row("s1", lambda row: row["sent"] == 3)
    assert there.numbers == [1, 3]


async def test_5_heartbeats_come_when_asked_and_are_not_counted(play: Stage) -> None:
    extension = [{"url": BACKPORT + "backport-heartbeat-period", "valueUnsignedInt": 1}]
    async with receiving() as there, play.deliverers():
        await play.subscribe("s1", resource(there.url, extension=extension))
        await play.subscribe("s2", resource(f"{there.url}/none"))
        await play.happen("s1", 1)
        await play.happen("s2", 1)
        await there.until(lambda: len([one for one in there.taken if one.path == "/notify"]) >= 3)
        row = await play.row("s1")
    kinds = [one.kind for one in there.taken if one.path == "/notify"][:3]  # another may come while they stop
    assert kinds.count("event-notification") == 1
    assert kinds.count("heartbeat") == 2
    beat = next(one for one in there.taken if one.kind == "heartbeat" and one.path == "/notify")
    assert beat.numbers == []
    assert (row["count"], row["sent"]) == (1, 1)
    assert [one.kind for one in there.taken if one.path.endswith("/none")] == ["event-notification"]


async def test_2_a_subscription_that_cannot_be_understood_is_told_so(play: Stage) -> None:
    async with play.deliverers():
        await play.subscribe("s1", {**resource("https://hooks.example/"), "criteria": "no criteria"})
        await play.happen("s1", 1)
        assert (await play.until_status("s1", "error"))["error"] == courier.NOT_UNDERSTOOD


# ---- hooks ---------------------------------------------------------------------------------------------------------


async def test_hooks_follow_each_change_in_order_and_again_after_a_failure(play: Stage) -> None:
    seen: list[str] = []
    done = asyncio.Event()

    async def follow(ctx: Context, change: Change) -> None:
        seen.append(change.key)
        if len(seen) == 2:
            raise RuntimeError("Patient Peter is not there yet")
        if len(seen) == 5:
            done.set()

    play.hooks["tests.follow"] = Hook("tests.follow", ("Basic",), ("create",), follow)
    row = {"_id": "hook:tests.follow", "status": "active", "channel": "hook", "count": 0, "sent": 0}
    await play.database.system["sub_active"].insert_one(row)
    other = {**row, "_id": "hook:tests.other"}
    await play.database.system["sub_active"].insert_one(other)
    await play.happen("hook:tests.follow", 4)
    await play.happen("hook:tests.other", 1)
    with capture_logs() as logs:
        async with play.deliverers(), play.deliverers():
            async with asyncio.timeout(60):
                await done.wait()
            await play.until_row("hook:tests.follow", lambda row: row["sent"] == 4 and "holder" not in row)
    (failed,) = [one for one in logs if one["event"].startswith("a hook failed")]
    assert failed["exception"] == "RuntimeError"
    assert re.fullmatch(r"test_delivery.py:\d+ follow", failed["place"])
    assert "Peter" not in str(logs), "what an exception says may be what a resource says"
    assert [key.rpartition("-")[2] for key in seen] == ["1", "2", "2", "3", "4"]
    assert (await play.row("hook:tests.other"))["sent"] == 0


async def test_hooks_whose_events_are_no_longer_kept_go_on(play: Stage) -> None:
    async def follow(ctx: Context, change: Change) -> None:
        raise AssertionError

    play.hooks["tests.follow"] = Hook("tests.follow", ("Basic",), ("create",), follow)
    row = {"_id": "hook:tests.follow", "status": "active", "channel": "hook", "count": 3, "sent": 1, "due": 1}
    await play.database.system["sub_active"].insert_one(row)
    async with play.deliverers():
        await play.until_row("hook:tests.follow", lambda row: row["sent"] == 3 and "holder" not in row)
