"""An emergency that nobody answers is escalated, each level exactly once, whichever process dies meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from socketio import AsyncClient

from fhir_server.storage.embedded import PrivateMongod
from tests.reliability.crash import Process, call

Json = dict[str, Any]
COUNT = 12
SECONDS = 60.0  # after which nobody waits any longer
GUIDE = "http://fhir-server.example/ig/CodeSystem"


def person(number: int, **more: Any) -> list[Json]:
    practitioner = {"resourceType": "Practitioner", "id": f"p{number}"}
    role = {"resourceType": "PractitionerRole", "id": f"r{number}", "active": True, **more}
    return [practitioner, {**role, "practitioner": {"reference": f"Practitioner/p{number}"}}]


PEOPLE = [*person(1, availableTime=[{"allDay": True}]), *person(2), *person(3)]


def flag(number: int) -> Json:
    return {
        "resourceType": "Flag",
        "status": "active",
        "category": [{"coding": [{"system": f"{GUIDE}/flag-category", "code": "emergency"}]}],
        "code": {"text": "Help"},
        "subject": {"reference": f"Patient/{number}"},
    }


class Watch:
    """A socket in the responders' room, and how far each emergency was escalated by what it heard."""

    def __init__(self) -> None:
        self.client = AsyncClient()
        self.levels: dict[str, int] = {}
        self._news = asyncio.Condition()
        self.client.on("emergency:update", self._take)

    async def connect(self, base: str) -> None:
        await self.client.connect(base.removesuffix("/fhir"), transports=["websocket"], wait_timeout=60)
        assert (await self.client.call("emergency:join"))["ok"]

    async def _take(self, told: Json) -> None:
        async with self._news:
            self.levels[told["id"]] = max(told["escalated"], self.levels.get(told["id"], 0))
            self._news.notify_all()

    async def until(self, level: int) -> None:
        """Return once an emergency has reached the level."""
        async with asyncio.timeout(SECONDS), self._news:
            await self._news.wait_for(lambda: any(one >= level for one in self.levels.values()))


@pytest.mark.row("A-10")
async def test_each_level_once_although_a_process_is_killed(tmp_path: Path) -> None:
    with PrivateMongod(tmp_path / "mongod") as uri:
        settings = {
            "MONGODB_URI": uri,
            "FHIR_GUIDE": "false",
            "FHIR_EMERGENCY_MINUTES": "0.02,0.02,0.02",
            "FHIR_JOB_SECONDS": "3",
        }
        one, two = (Process(tmp_path / name, port=0, **settings) for name in ("one", "two"))
        watch = Watch()
        try:
            for resource in PEOPLE:
                path = f"/{resource['resourceType']}/{resource['id']}"
                assert call(two.base, "PUT", path, resource)[0] == 201
            await watch.connect(two.base)
            made = [call((one, two)[n % 2].base, "POST", "/Flag", flag(n))[1]["id"] for n in range(COUNT)]
            await watch.until(1)
            one.kill()  # in the middle of it
            until_escalated(two.base)
            for id_ in made:
                assert_told_once(two.base, id_)
        finally:
            await watch.client.disconnect()
            one.kill()
            two.kill()


def until_escalated(base: str) -> None:
    """Return once all have reached the last level: by REST, for what the killed one was just telling nobody hears."""
    deadline = time.monotonic() + SECONDS
    while (found := call(base, "GET", "/Task?business-status=3&_summary=count")[1])["total"] < COUNT:
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


def assert_told_once(base: str, flag_id: str) -> None:
    """One on duty was alerted, then three times everybody; the Task has a version for each level."""
    _, tasks = call(base, "GET", f"/Task?focus=Flag/{flag_id}")
    (task,) = (entry["resource"] for entry in tasks["entry"])
    _, history = call(base, "GET", f"/Task/{task['id']}/_history")
    levels = [
        entry["resource"].get("businessStatus", {}).get("coding", [{}])[0].get("code") for entry in history["entry"]
    ]
    assert levels == ["3", "2", "1", None]
    _, found = call(base, "GET", f"/Communication?subject={task['for']['reference']}&_count=100")
    alerts = [entry["resource"] for entry in found["entry"]]
    told = Counter((one["recipient"][0]["reference"], one["payload"][0]["contentString"][-7:]) for one in alerts)
    people = [f"Practitioner/p{number}" for number in (1, 2, 3)]
    assert told == Counter(
        [(people[0], "iority."), *((person, f"{level} of 3.") for level in (1, 2, 3) for person in people)]
    )
