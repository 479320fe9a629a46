"""Notifications as they are played: told, counted, read one by one and all at once, removed; also all of it at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import uuid4

import pytest

from tests.workflows.clinic import DORA, MARY, NICK, Actor, Clinic
from tests.workflows.test_notification_states import SYSTEM, notice
from workflow.making import instant

Json = dict[str, Any]
UNREAD = f"Communication?recipient={MARY}&category=notification&status=in-progress"
NOW = "2026-01-01T10:00:00Z"


async def unread(mary: Actor, about: str) -> int:
    """The number beside the bell."""
    total: int = (await mary.get(f"{UNREAD}&about={about}&_summary=count"))["total"]
    return total


async def read_all(mary: Actor, until: str = "", *, expect: int = 200) -> int:
    parts = {"parameter": [{"name": "until", "valueInstant": until}]} if until else {}
    body = {"resourceType": "Parameters", **parts}
    answer = await mary.post("Communication/$mark-read", body, expect=expect)
    return answer["parameter"][0]["valueInteger"] if expect == 200 else -1


def about(name: str) -> Json:
    return {"about": [{"reference": name}]}


@pytest.fixture
def subject() -> str:
    """What the test's own notifications are about."""
    return f"Task/{uuid4()}"


@pytest.mark.row("A-11")
async def test_notifications_from_end_to_end(clinic: Clinic, subject: str) -> None:
    async with clinic.acting("mary") as mary, mary.connect() as ear:
        await read_all(mary)
        made = [notice(sent=f"2026-01-01T10:0{n}:00Z", **about(subject)) for n in range(5)]
        clinic.put(*made)
        heard = await ear.hears("notification", lambda told: told["about"] == [subject], count=5)
        assert {one["id"] for one in heard} == {one["id"] for one in made}
        listed = f"Communication?recipient={MARY}&about={subject}&status=in-progress,completed&_sort=-sent"
        assert [one["id"] for one in await mary.found(f"{listed}&_count=3")] == [one["id"] for one in made[:1:-1]]
        assert await unread(mary, subject) == 5
        path = f"Communication/{made[0]['id']}"
        one = await mary.patch(path, {"op": "replace", "path": "/status", "value": "completed"})
        assert one["received"] > one["sent"]
        again = await mary.patch(path, {"op": "replace", "path": "/status", "value": "completed"})
        assert again["received"] == one["received"]
        for count in (1, 0):  # a retry marks nothing
            answer = await mary.ask("POST", f"Communication/{made[1]['id']}/$mark-read")
            assert answer["parameter"] == [{"name": "count", "valueInteger": count}]
        assert await unread(mary, subject) == 3
        await mary.patch(
            f"Communication/{made[2]['id']}", {"op": "replace", "path": "/status", "value": "entered-in-error"}
        )
        assert len(await mary.found(listed)) == 4
        assert await read_all(mary, "2026-01-01T10:03:30Z") == 1
        assert [one["id"] for one in await mary.found(f"{UNREAD}&about={subject}")] == [made[4]["id"]]
        assert [await read_all(mary), await read_all(mary)] == [1, 0]
        assert await unread(mary, subject) == 0


@pytest.mark.row("A-11")
async def test_only_the_house_notifies(clinic: Clinic, subject: str) -> None:
    """A notification of anybody's choice would be an invitation to click on it."""
    one = notice(sender={"reference": DORA}, **about(subject))
    async with clinic.acting("dora") as dora, clinic.acting("ada") as ada, clinic.acting("mary") as mary:
        await dora.post("Communication", {**one, "category": one["category"]}, expect=403)
        alert = {"coding": [{"system": SYSTEM, "code": "alert"}]}
        await dora.post("Communication", {**one, "category": [alert]}, expect=403)
        # Nor does a message become one.
        message = await dora.post("Communication", {**one, "category": [{"text": "chat"}]})
        await dora.put({**message, "category": one["category"]}, expect=403)
        for recipients in ([], [{"reference": MARY}, {"reference": NICK}]):
            wrong = {name: value for name, value in {**one, "recipient": recipients}.items() if value}
            told = await ada.post("Communication", wrong, expect=422)
            assert told["issue"][0]["expression"] == ["Communication.recipient"]
        assert await unread(mary, subject) == 0
        await ada.post("Communication", one)
        assert await unread(mary, subject) == 1
        await read_all(mary)


@pytest.mark.row("A-11")
async def test_what_mark_read_does_not_take(clinic: Clinic, subject: str) -> None:
    async with clinic.acting("mary") as mary, clinic.acting("dora") as dora:
        await read_all(mary, "yesterday", expect=400)
        clinic.put(one := notice(**about(subject)))
        body = {"resourceType": "Parameters", "parameter": [{"name": "until", "valueInstant": NOW}]}
        await mary.post(f"Communication/{one['id']}/$mark-read", body, expect=400)
        await mary.get(f"Communication/{one['id']}/$mark-read", expect=405)
        message = {"resourceType": "Communication", "status": "in-progress", "sender": {"reference": DORA}}
        sent = await dora.post("Communication", {**message, "recipient": [{"reference": MARY}]})
        await mary.ask("POST", f"Communication/{sent['id']}/$mark-read", expect=403)
        assert await unread(mary, subject) == 1
        await read_all(mary)
        assert (await dora.get(f"Communication/{sent['id']}"))["status"] == "in-progress"


@pytest.mark.row("A-11")
async def test_a_retry_reads_more_than_one_batch(clinic: Clinic, subject: str) -> None:
    async with clinic.acting("mary") as mary:
        await read_all(mary)
        clinic.put(*(notice(**about(subject)) for _ in range(230)))
        counts = await asyncio.gather(*(read_all(mary) for _ in range(3)))
        assert sum(counts) == 230
        assert await unread(mary, subject) == 0


@pytest.mark.row("A-11")
async def test_an_alert_is_read_by_itself(clinic: Clinic, subject: str) -> None:
    clinic.put(one := notice(category=[{"coding": [{"system": SYSTEM, "code": "alert"}]}], **about(subject)))
    async with clinic.acting("mary") as mary, clinic.acting("nick") as nick:
        await read_all(mary)
        assert (await mary.get(f"Communication/{one['id']}"))["status"] == "in-progress"
        await nick.ask("POST", f"Communication/{one['id']}/$mark-read", expect=404)
        answer = await mary.ask("POST", f"Communication/{one['id']}/$mark-read")
        assert answer["parameter"][0]["valueInteger"] == 1


# ---- all of it at once ----------------------------------------------------------------------------------


@dataclass
class Told:
    """One notification as its oracle knows it: moments are those of the one clock of this process."""

    id: str
    sent: str
    begun: float
    there: float = float("inf")  # when its creation was acknowledged
    touched: float = float("inf")  # when somebody first began to read it
    read: float = float("inf")  # when that was acknowledged


@dataclass
class Oracle:
    """What is certainly unread and what may be, from what was asked and what was acknowledged."""

    told: dict[str, Told] = field(default_factory=dict)
    counted: int = 0  # what all answers together said was read

    @staticmethod
    def now() -> float:
        return asyncio.get_running_loop().time()

    def bounds(self, begun: float, ended: float) -> tuple[int, int]:
        """The fewest and the most that can be unread at some moment between these two."""
        certainly = sum(one.there <= begun and one.touched >= ended for one in self.told.values())
        possibly = sum(one.begun <= ended and one.read >= begun for one in self.told.values())
        return certainly, possibly


@dataclass
class Desk:
    """Everybody's hands on mary's notifications."""

    ada: Actor
    mary: Actor
    subject: str
    oracle: Oracle = field(default_factory=Oracle)
    chance: Random = field(default_factory=lambda: Random(11))

    async def tell(self) -> None:
        sent, key = instant(), str(uuid4())
        one = self.oracle.told[key] = Told("", sent, Oracle.now())
        made = {name: value for name, value in notice(sent=sent, **about(self.subject)).items() if name != "id"}
        one.id = (await self.ada.post("Communication", made))["id"]
        one.there = Oracle.now()

    async def read_one(self) -> None:
        known = [one for one in self.oracle.told.values() if one.there < float("inf")]
        if not known:
            return
        one = self.chance.choice(known)
        one.touched = min(one.touched, Oracle.now())
        answer = await self.mary.ask("POST", f"Communication/{one.id}/$mark-read")
        one.read = min(one.read, Oracle.now())
        self.oracle.counted += answer["parameter"][0]["valueInteger"]

    async def read_all(self) -> None:
        until, begun = instant(), Oracle.now()
        there = [one for one in self.oracle.told.values() if one.there <= begun]
        for one in self.oracle.told.values():
            if one.sent <= until:
                one.touched = min(one.touched, begun)
        count = await read_all(self.mary, until)
        self.oracle.counted += count
        for one in there:
            one.read = min(one.read, Oracle.now())

    async def count(self) -> None:
        begun = Oracle.now()
        number = await unread(self.mary, self.subject)
        fewest, most = self.oracle.bounds(begun, Oracle.now())
        assert fewest <= number <= most, (fewest, number, most)

    async def work(self, turns: int) -> None:
        steps = [self.tell, self.tell, self.read_one, self.read_one, self.count, self.count, self.read_all]
        for _ in range(turns):
            await self.chance.choice(steps)()


@pytest.mark.row("A-11")
async def test_the_number_beside_the_bell_is_right_at_every_moment(clinic: Clinic, subject: str) -> None:
    async with clinic.acting("ada") as ada, clinic.acting("mary") as mary:
        await read_all(mary)
        desk = Desk(ada, mary, subject)
        await asyncio.gather(*(desk.work(30) for _ in range(6)))
        left = {one["id"] for one in await mary.found(f"{UNREAD}&about={subject}&_count=500")}
        told = desk.oracle.told.values()
        assert len(told) > 20
        assert left >= {one.id for one in told if one.touched == float("inf")}, "one is lost"
        assert left.isdisjoint({one.id for one in told if one.read < float("inf")}), "one is still there"
        assert await unread(mary, subject) == len(left)
        assert desk.oracle.counted == len(told) - len(left), "one was counted twice, or not at all"
        assert await read_all(mary) == len(left)
        assert await unread(mary, subject) == 0


async def test_the_oracle_can_tell() -> None:
    oracle = Oracle({"a": Told("a", NOW, 1, there=2), "b": Told("b", NOW, 1, there=2, touched=5, read=6)})
    assert oracle.bounds(3, 4) == (2, 2)
    assert oracle.bounds(3, 5.5) == (1, 2)
    assert oracle.bounds(7, 8) == (1, 1)
    assert oracle.bounds(0, 0.5) == (0, 0)
