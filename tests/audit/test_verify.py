"""Every way to tamper with the trail in the database is noticed, and said where."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_server.audit import group
from fhir_server.audit.find import Search, newest
from fhir_server.audit.lines import gathered
from fhir_server.audit.store import Collection
from fhir_server.audit.trail import WITNESS
from fhir_server.audit.verify import Report, Verification
from fhir_server.search.compile import compile
from fhir_server.search.parse import parse
from tests.audit.conftest import Process, read_of

Json = dict[str, Any]
BASE = "http://example.org/fhir"
CASES: list[Json] = yaml.safe_load((Path(__file__).parents[1] / "cases" / "audit_tampering.yaml").read_text())


class Tamperer:
    """Someone who may do everything with the collections of the trail, and has no key."""

    def __init__(self, process: Process, chain: str) -> None:
        self.process = process
        self.groups: Collection = process.trail.store.groups
        self.anchors: Collection = process.trail.store.anchors
        self.chain = chain

    def id(self, sequence: int) -> str:
        return group.name(self.chain, sequence)

    async def get(self, sequence: int) -> Json:
        found = await self.groups.find_one({"_id": self.id(sequence)})
        assert found is not None
        return found

    async def set(self, sequence: int, **fields: Any) -> None:
        await self.groups.update_one({"_id": self.id(sequence)}, {"$set": fields})

    async def move(self, document: Json, sequence: int) -> None:
        await self.groups.replace_one({"_id": self.id(sequence)}, {**document, "_id": self.id(sequence)}, upsert=True)

    async def nothing(self, case: Json) -> None: ...

    async def change(self, case: Json) -> None:
        text = (await self.get(case["at"]))["e"]
        await self.set(case["at"], e=text.replace("dr-who", "dr-no"))

    async def rehash(self, case: Json) -> None:
        found = await self.get(case["at"])
        text = found["e"].replace("dr-who", "dr-no")
        forged = hashlib.sha256(found["_id"].encode() + bytes(found["p"]) + text.encode()).digest()
        await self.set(case["at"], e=text, h=forged)
        await self.set(case["at"] + 1, p=forged)

    async def hide(self, case: Json) -> None:
        await self.set(case["at"], k=[])

    async def backdate(self, case: Json) -> None:
        await self.set(case["at"], t=1)

    async def remove(self, case: Json) -> None:
        await self.groups.delete_one({"_id": self.id(case["at"])})

    async def close_up(self, case: Json) -> None:
        for sequence in range(case["at"], 6):
            await self.move(await self.get(sequence + 1), sequence)
        await self.groups.delete_one({"_id": self.id(6)})

    async def swap(self, case: Json) -> None:
        one, other = await self.get(case["at"]), await self.get(case["other"])
        await self.move(one, case["other"])
        await self.move(other, case["at"])

    async def append_copy(self, case: Json) -> None:
        await self.move(await self.get(case["at"]), 7)

    async def append(self, case: Json) -> None:
        last = await self.get(6)
        await self.move({**last, "p": last["h"], "h": b"x" * 32}, 7)

    async def insert(self, case: Json) -> None:
        for sequence in range(6, case["at"] - 1, -1):
            await self.move(await self.get(sequence), sequence + 1)
        before = await self.get(case["at"] - 1)
        await self.move({**before, "p": before["h"], "h": b"x" * 32}, case["at"])

    async def odd_id(self, case: Json) -> None:
        await self.groups.insert_one({**await self.get(6), "_id": f"{self.chain}/0000000006x"})

    async def cut(self, case: Json) -> None:
        await self.groups.delete_many({"_id": {"$gte": self.id(case["at"]), "$lt": f"{self.chain}0"}})

    async def after_closing(self, case: Json) -> None:
        await self.process.trail.recorder.stop()
        closing = await self.get(7)
        await self.move({**await self.get(6), "p": closing["h"], "h": b"x" * 32}, 8)

    async def change_anchor(self, case: Json) -> None:
        await self.anchors.update_one({"_id": case["at"]}, {"$set": {"e": "[]"}})

    async def remove_anchor(self, case: Json) -> None:
        await self.anchors.delete_one({"_id": case["at"]})

    async def rewind(self, case: Json) -> None:
        await self.anchors.delete_one({"_id": 3})
        await self.cut({"at": 3})


async def tampered(process: Process, data_dir: Path, case: Json) -> tuple[str, Report]:
    """The chain that the case is about, and what is said of it."""
    trail = process.trail
    for number in range(1, 7):
        await trail.record([read_of("Basic", str(number), "Patient/1")])
        if number in (2, 4):
            await trail.anchors.make(period=0)
    last = await trail.store.groups.find_one({}, sort=[("_id", -1)])
    assert last is not None
    chain = group.place(last["_id"])[0]
    do: Callable[[Json], Awaitable[None]] = getattr(Tamperer(process, chain), case["do"])
    await do(case)
    return chain, await Verification(trail.store, trail.keys, data_dir / WITNESS).run()


def judged(case: Json, chain: str, report: Report) -> bool:
    """Whether the report says what the case expects."""
    if "what" not in case:
        return report.ok and (report.groups, report.entries, report.unsigned) == (6, 6, 2)
    if not report.breaks:
        return False
    first = report.breaks[0]
    expected = (case.get("chain", chain), case.get("found", case.get("at")), case["what"])
    return (first.chain, first.sequence, first.what) == expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
async def test_tampering_is_noticed(process: Process, tmp_path: Path, case: Json) -> None:
    chain, report = await tampered(process, tmp_path, case)
    assert judged(case, chain, report), report


async def test_the_runner_can_fail(process: Process, tmp_path: Path) -> None:
    wrong = {"do": "change", "at": 3, "what": "missing"}
    chain, report = await tampered(process, tmp_path, wrong)
    assert not judged(wrong, chain, report)


async def test_an_invented_chain_is_noticed(process: Process, tmp_path: Path) -> None:
    trail = process.trail
    await trail.record([read_of("Basic", "1")])
    anchor = await trail.store.last_anchor()
    assert anchor is not None
    forged = group.document(
        b"y" * 32, "0123456789a01234567r", 1, bytes(anchor["h"]), 1, next(gathered([read_of("Basic", "2")]))
    )
    await trail.store.groups.insert_one(forged)
    report = await Verification(trail.store, trail.keys).run()
    assert [(one.chain, one.what) for one in report.breaks] == [("0123456789a01234567r", "inserted")]


async def test_a_former_key_verifies_what_it_sealed(process: Process) -> None:
    await process.trail.record([read_of("Basic", "1")])
    former = process.trail.keys
    assert not (await Verification(process.trail.store, [b"n" * 32]).run()).ok
    assert (await Verification(process.trail.store, [b"n" * 32, *former]).run()).ok


async def test_the_trail_grows_while_it_is_verified(process: Process, tmp_path: Path) -> None:
    async def grow() -> None:
        for number in range(60):
            await process.trail.record([read_of("Basic", str(number))])
            if number % 10 == 0:
                await process.trail.anchors.make(period=0)

    growing = asyncio.create_task(grow())
    while not growing.done():
        report = await Verification(process.trail.store, process.trail.keys, tmp_path / WITNESS).run()
        assert report.ok, report
    await growing


async def test_groups_of_an_earlier_layout_are_found_and_proven(process: Process) -> None:
    trail, chain = process.trail, "0123456789a01234567r"
    anchor = await trail.store.last_anchor()
    assert anchor is not None
    text, before = '[[1,"read","R",200,["dr-who","Practitioner/1"],"Patient","7"]]', bytes(anchor["h"])
    sealed = group.seal(trail.keys[0], group.name(chain, 1), before, 5, text)
    names = ["pPatient/7", "aPractitioner/1", "ePatient/7"]
    row = {"_id": group.name(chain, 1), "t": 5, "p": before, "h": sealed, "k": names, "e": text}
    await trail.store.groups.insert_one(row)
    assert (await Verification(trail.store, trail.keys).run()).ok
    wanted = compile(parse("AuditEvent", [("patient", "Patient/7")], base_url=BASE)).filter
    assert [found.where.index async for found in newest(trail.store, Search(wanted, BASE))] == [0]
    await trail.store.groups.update_one({"_id": row["_id"]}, {"$set": {"k": names[1:]}})
    assert not (await Verification(trail.store, trail.keys).run()).ok
