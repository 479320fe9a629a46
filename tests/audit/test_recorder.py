"""Once it is answered it is in the trail; what is given up leaves no hole; two processes never share a chain."""

from __future__ import annotations

import asyncio

import pytest

from fhir_server.audit import Entry, entry
from fhir_server.audit.lines import decode, key
from fhir_server.audit.verify import Report, Verification
from fhir_server.outcomes import Unavailable
from fhir_server.storage.unit_of_work import Lost, UnitOfWork, Write
from tests.audit.conftest import DOCTOR, Process, read_of


def update(id_: str, **more: object) -> UnitOfWork:
    """A unit that writes a resource, with its entry."""
    write = Write("PUT", "Basic", id_, {"resourceType": "Basic", "id": id_}, **more)  # type: ignore[arg-type]
    write.index = {"k": ["b"]}
    write.prepare()
    unit = UnitOfWork()
    unit.add(write)
    unit.audit.append(Entry(entry.now(), "update", "U", 200, DOCTOR, "Basic", id_))
    return unit


async def entries(process: Process, kind: str = "") -> list[Entry]:
    found = process.trail.store.groups.find({"_id": {"$regex": f"{kind}/"}}, sort=[("_id", 1)])
    return [one async for document in found for one in decode(document["e"])]


async def verified(process: Process) -> Report:
    report = await Verification(process.trail.store, process.trail.keys).run()
    assert report.breaks == []
    return report


async def test_many_entries_share_groups(process: Process) -> None:
    await asyncio.gather(*(process.trail.record([read_of("Basic", str(n))]) for n in range(300)))
    assert sorted(int(one.id) for one in await entries(process)) == list(range(300))
    report = await verified(process)
    assert report.entries == 300
    assert report.groups < 20


async def test_when_record_returns_the_entry_is_there(process: Process) -> None:
    async def one(n: int) -> None:
        await process.trail.record([read_of("Basic", str(n))])
        assert await process.trail.store.groups.find_one({"k": key(f"eBasic/{n}")}) is not None

    await asyncio.gather(*(one(n) for n in range(40)))


async def test_writes_and_their_entries_are_one_transaction(process: Process) -> None:
    await asyncio.gather(*(process.repository.commit(update(f"b{n}")) for n in range(50)))
    found = await entries(process, "w")
    assert {(one.id, one.version, one.status) for one in found} == {(f"b{n}", "1", 201) for n in range(50)}
    versions = await process.repository.database.version.count_documents({"r": {"$regex": "^Basic/b"}})
    assert versions == len(found)


async def test_losers_leave_neither_entry_nor_hole(process: Process) -> None:
    results = await asyncio.gather(
        *(process.repository.commit(update("exact", exact=True)) for _ in range(20)), return_exceptions=True
    )
    assert sum(isinstance(one, Lost) for one in results) == 19
    assert len(await entries(process, "w")) == 1
    await verified(process)


async def test_contending_processes_keep_whole_chains(process: Process, other: Process) -> None:
    pair = (process, other)
    await asyncio.gather(*(pair[n % 2].repository.commit(update(f"c{n % 3}")) for n in range(90)))
    found = await entries(process, "w")
    assert sorted(int(one.version) for one in found) == sorted([*range(1, 31)] * 3)
    assert (await verified(process)).chains == 2


async def test_a_unit_of_entries_alone_is_stored(process: Process) -> None:
    unit = UnitOfWork()
    unit.audit.append(read_of("Basic", "alone"))
    await process.repository.commit(unit)
    assert [one.id for one in await entries(process, "w")] == ["alone"]


async def test_a_large_bundle_has_several_groups(process: Process) -> None:
    unit = update("large")
    unit.audit += [read_of("Basic", str(n)) for n in range(4500)]
    await process.repository.commit(unit)
    assert len(await entries(process, "w")) == 4501
    assert (await verified(process)).groups == 2


async def test_a_chain_that_another_process_closed_is_left(process: Process, other: Process) -> None:
    await process.trail.record([read_of("Basic", "before")])
    await process.repository.commit(update("before"))
    other.living = [other.database.incarnation]  # the first one looks dead, and is only slow
    await other.trail.anchors.bury()
    await process.trail.record([read_of("Basic", "after")])
    await process.repository.commit(update("after"))
    assert {one.id for one in await entries(process)} == {"before", "after"}
    report = await verified(process)
    assert (report.chains, report.entries) == (4, 4)


async def test_what_a_dead_process_left_is_closed_and_signed_for(process: Process, other: Process) -> None:
    await other.trail.record([read_of("Basic", "1")])
    process.living = [process.database.incarnation]
    await process.trail.anchors.bury()
    await process.trail.anchors.make(period=0)
    assert await process.trail.store.chains.count_documents({"done": False}) == 0
    assert (await verified(process)).unsigned == 0


async def test_a_commit_whose_answer_was_lost_is_settled(process: Process) -> None:
    """The flusher does not learn that the transaction is durable: the next one asks the database."""
    writes = process.trail.writes
    await process.repository.commit(update("first"))
    forgotten, writes.committed = writes.committed, lambda: None  # type: ignore[method-assign]
    await process.repository.commit(update("second"))
    writes.committed = forgotten  # type: ignore[method-assign]
    await process.repository.commit(update("third"))
    assert [one.id for one in await entries(process, "w")] == ["first", "second", "third"]
    await verified(process)


async def test_an_aborted_group_is_forgotten_even_when_nothing_follows_at_once(process: Process) -> None:
    await process.repository.commit(update("first"))
    async with process.database.client.start_session() as session:
        await session.start_transaction()
        await process.trail.writes.write(session, [update("aborted")])
        await session.abort_transaction()
    silent = update("silent")
    silent.audit.clear()
    await process.repository.commit(silent)
    await process.repository.commit(update("second"))
    assert [one.id for one in await entries(process, "w")] == ["first", "second"]
    await verified(process)


async def test_a_full_queue_refuses(process: Process) -> None:
    process.trail.recorder._max_pending = 5
    tries = [process.trail.record([read_of("Basic", str(n))]) for n in range(20)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(one, Unavailable) for one in results) == 15
    assert len(await entries(process)) == 5


async def test_without_its_store_nothing_is_recorded(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit collection refuses (here: a rule that nothing fits), so the request must fail."""
    monkeypatch.setattr("fhir_server.audit.recorder.PATIENCE", 0)
    await process.database.system.command({"collMod": "audit", "validator": {"never": True}})
    try:
        with pytest.raises(Unavailable):
            await process.trail.record([read_of("Basic", "1")])
    finally:
        await process.database.system.command({"collMod": "audit", "validator": {}})
    await process.trail.record([read_of("Basic", "2")])
    assert [one.id for one in await entries(process)] == ["2"]
    await verified(process)


async def test_a_caller_that_goes_away_takes_nothing_back(process: Process) -> None:
    task = asyncio.create_task(process.trail.record([read_of("Basic", "gone")]))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await process.trail.record([read_of("Basic", "stays")])
    assert {one.id for one in await entries(process)} == {"gone", "stays"}


async def test_only_one_process_makes_an_anchor(process: Process, other: Process) -> None:
    await process.trail.record([read_of("Basic", "1")])
    made = await asyncio.gather(*(one.trail.anchors.make(period=0) for one in (process, other) * 3))
    assert sum(number is not None for number in made) >= 1
    numbers = await process.trail.store.anchors.distinct("_id")
    assert numbers == list(range(1, len(numbers) + 1))
    assert await process.trail.anchors.make(period=0) is None, "nothing is new"
    await verified(process)


async def test_after_stop_the_trail_is_closed_and_signed(process: Process, other: Process) -> None:
    await other.trail.record([read_of("Basic", "1")])
    await other.trail.stop()
    with pytest.raises(Unavailable):
        await other.trail.record([read_of("Basic", "2")])
    report = await verified(process)
    assert (report.groups, report.unsigned) == (2, 0)
