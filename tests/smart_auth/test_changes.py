"""Revocation across processes: once announced, nobody serves what was known before, whatever happens to a process."""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from fhir_server.outcomes import Unavailable
from fhir_server.storage.generation import CARE, RIGHTS
from smart_auth import changes as leases
from tests.smart_auth.process import Process, process

ROOT = Path(__file__).parents[2]
SCOPES = "user/*.rs"


@pytest.fixture
async def one(mongo_uri: str, database: str) -> AsyncIterator[Process]:
    async with process(mongo_uri, database) as made:
        await made.add("doctor", "Practitioner/1", ["doctor"])
        yield made


@pytest.fixture
async def other(mongo_uri: str, database: str, one: Process) -> AsyncIterator[Process]:
    async with process(mongo_uri, database) as made:
        yield made


@asynccontextmanager
async def child(uri: str, prefix: str, lease: float) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of its own that answers headers with statuses."""
    command = (sys.executable, "-m", "tests.smart_auth.process", uri, prefix, str(lease))
    pipe = asyncio.subprocess.PIPE
    made = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe)
    try:
        assert made.stdout is not None
        assert await made.stdout.readline() == b"ready\n"
        yield made
    finally:
        if made.returncode is None:
            made.kill()
        await made.wait()


async def ask(child: asyncio.subprocess.Process, header: bytes) -> int:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(header + b"\n")
    return int(await child.stdout.readline())


async def grant_of(process: Process, header: bytes) -> str:
    live = await process.tokens.find(header.decode().removeprefix("Bearer "))
    assert live is not None
    return live.grant.id


async def test_what_one_process_revokes_the_other_does_not_serve(one: Process, other: Process) -> None:
    header = await one.header(user="doctor")
    assert [await one.status(header), await other.status(header)] == [200, 200]
    assert await one.tokens.revoke(await grant_of(one, header))
    assert one.authenticator.cached(header) is None
    assert other.authenticator.cached(header) is None
    assert [await one.status(header), await other.status(header)] == [401, 401]


async def test_a_loop_that_is_stuck_serves_nothing_old_when_it_goes_on(
    one: Process, mongo_uri: str, database: str
) -> None:
    """The other process does nothing at all while the token is revoked, and is asked before it can look."""
    header = await one.header(user="doctor")
    known, revoked = threading.Event(), threading.Event()
    answers: list[Any] = []

    async def other() -> None:
        async with process(mongo_uri, database) as made:
            answers.append(await made.status(header))
            known.set()
            revoked.wait(60)  # its loop, too: no poll runs
            answers.append(made.authenticator.cached(header))
            answers.append(await made.status(header))

    thread = threading.Thread(target=lambda: asyncio.run(other()))
    thread.start()
    await asyncio.to_thread(known.wait, 60)
    await one.tokens.revoke(await grant_of(one, header))
    revoked.set()
    await asyncio.to_thread(thread.join)
    assert answers == [200, None, 401]


@pytest.mark.parametrize(("lease", "served"), [(1.0, 401), (100.0, 200)])
async def test_a_stopped_process_serves_nothing_old_when_it_is_continued(
    one: Process, mongo_uri: str, database: str, lease: float, served: int
) -> None:
    """With a lease that does not end it would serve the old principal: so the test can fail."""
    header = await one.header(user="doctor")
    async with child(mongo_uri, database, lease) as stopped:
        assert await ask(stopped, header) == 200
        stopped.send_signal(signal.SIGSTOP)
        await one.tokens.revoke(await grant_of(one, header))
        stopped.send_signal(signal.SIGCONT)
        assert await ask(stopped, header) == served


async def test_killed_processes_hold_nobody_up(one: Process, mongo_uri: str, database: str) -> None:
    header = await one.header(user="doctor")
    async with child(mongo_uri, database, 1.0) as killed:
        assert await ask(killed, header) == 200
        killed.kill()
        await killed.wait()
    async with asyncio.timeout(60):  # what it left in the table of processes lasts for minutes
        await one.tokens.revoke(await grant_of(one, header))
    assert await one.status(header) == 401


async def test_of_many_parallel_requests_none_that_began_after_the_announcement_is_served(
    one: Process, other: Process
) -> None:
    header = await one.header(user="doctor")
    grant = await grant_of(one, header)
    ticks = itertools.count()
    asked: list[tuple[int, int]] = []
    stopping = asyncio.Event()

    async def caller(process: Process) -> None:
        while not stopping.is_set():
            began = next(ticks)
            asked.append((began, await process.status(header)))
            await asyncio.sleep(0)

    callers = [asyncio.create_task(caller(made)) for made in (one, other) for _ in range(10)]
    while len(asked) < 200:
        await asyncio.sleep(0)
    await one.tokens.revoke(grant)
    told = next(ticks)
    while asked[-1][0] < told + 200:
        await asyncio.sleep(0)
    stopping.set()
    await asyncio.gather(*callers)
    after = {status for began, status in asked if began > told}
    before = {status for began, status in asked if began < told}
    assert after == {401}
    assert 200 in before


async def test_what_was_read_before_a_revocation_is_not_kept_after_it(
    one: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token is found, then revoked, and only then the principal is made of it."""
    header = await one.header(user="doctor")
    grant = await grant_of(one, header)
    find, times = one.tokens.find, itertools.count()

    async def slow(token: str) -> Any:
        found = await find(token)
        if next(times) == 0:
            await one.tokens.revoke(grant)
        return found

    monkeypatch.setattr(one.tokens, "find", slow)
    assert await one.status(header) == 401
    assert next(times) == 2, "it was looked at again"


async def test_alone_nobody_waits(one: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    await one.changes.stop()
    monkeypatch.setattr(leases, "asyncio", SimpleNamespace(sleep=sleep, CancelledError=asyncio.CancelledError))
    await one.database.system["processes"].delete_many({"_id": {"$ne": one.database.incarnation}})
    await one.changes.announce()
    assert waited == []
    await one.database.system["processes"].insert_one({"_id": "fhir-server/elsewhere/1/x"})
    await one.changes.announce()
    assert waited == [leases.LEASE + leases.MARGIN]
    await one.changes.settle(CARE)
    assert len(waited) == 1, "nobody waits until all know who is in whose care"
    await one.changes.settle(RIGHTS)
    assert len(waited) == 2
    await one.database.system["processes"].delete_one({"_id": "fhir-server/elsewhere/1/x"})


async def test_without_the_database_nothing_is_served(one: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    header = await one.header(user="doctor")
    assert await one.status(header) == 200
    await one.changes.stop()  # a look that is under way would end well

    async def away(*_: Any) -> None:
        raise AutoReconnect("gone")

    monkeypatch.setattr(leases, "access_generations", away)
    monkeypatch.setattr(leases, "advance_revocations", away)
    one.changes.until = -inf
    assert one.authenticator.cached(header) is None
    assert await one.status(header) == 503
    with pytest.raises(Unavailable):
        await one.changes.announce()
    monkeypatch.setattr(leases, "MARGIN", -leases.LEASE)
    await one.changes.settle()  # what was committed does not fail any more


@pytest.mark.parametrize("type_", sorted(RIGHTS | CARE))
async def test_a_write_of_another_process_ends_what_was_made_of_it(one: Process, other: Process, type_: str) -> None:
    header = await one.header(user="doctor")
    assert await one.status(header) == 200
    await one.changes.stop()  # no look that began before the write ends after it
    counts = (one.changes.rights, one.changes.total)
    other.repository.settle = None  # as a process that loads data does, or is killed before it can tell
    await other.put({"resourceType": type_, "id": "any"})
    one.changes.until = -inf  # the lease is over
    await one.changes.current()
    assert one.changes.total > counts[1]
    assert (one.changes.rights > counts[0]) == (type_ in RIGHTS)
    assert one.authenticator.cached(header) is None
    await other.delete(type_, "any")
    one.changes.until = -inf
    await one.changes.current()
    assert one.changes.total > counts[1] + 1


async def test_other_writes_end_nothing(one: Process, other: Process) -> None:
    header = await one.header(user="doctor")
    assert await one.status(header) == 200
    await other.put({"resourceType": "Observation", "id": "any"})
    one.changes.until = -inf
    await one.changes.current()
    assert one.authenticator.cached(header) is not None


async def test_the_counts_are_followed_only_while_somebody_asks(
    one: Process, other: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    look = one.changes._look

    async def counted() -> None:
        nonlocal looks
        looks += 1
        await look()

    monkeypatch.setattr(one.changes, "_look", counted)
    monkeypatch.setattr(leases, "POLL", 0.001)
    one.changes.used = False
    await asyncio.sleep(0.4)  # the poll that was under way
    idle = looks
    await asyncio.sleep(0.05)
    assert looks == idle
    header = await one.header(user="doctor")
    async with asyncio.timeout(60):
        while looks < idle + 3:
            assert await one.status(header) == 200
            await asyncio.sleep(0.001)
