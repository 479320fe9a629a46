"""The audit trail: each action is in it, with who, from where, by what, on what and about whom; and who reads it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from tests.workflows.clinic import DORA, Actor, Clinic, case

pytestmark = pytest.mark.row("A-14")

Json = dict[str, Any]
ADDRESS = "127.0.0.1"


def condition(patient: str) -> Json:
    return {"resourceType": "Condition", "subject": {"reference": patient}, "code": {"text": "Asthma"}}


@dataclass
class Deed:
    """What Dora does to somebody's condition, and how it is told; {id} is the condition."""

    do: Callable[[Actor, str, dict[str, str]], Awaitable[Any]]
    subtype: str
    action: str
    outcome: str = "0"


async def _transaction(dora: Actor, path: str, headers: dict[str, str]) -> None:
    entry = {"request": {"method": "GET", "url": path}}
    await dora.ask("POST", "", {"resourceType": "Bundle", "type": "batch", "entry": [entry]}, headers=headers)


async def _put(dora: Actor, path: str, headers: dict[str, str]) -> None:
    seen = await dora.get(path)
    await dora.ask("PUT", path, {**seen, "note": [{"text": "x"}]}, headers=headers)


_NOTE = [{"op": "add", "path": "/note", "value": [{"text": "x"}]}]
_STALE = {"If-Match": 'W/"99"'}
DEEDS = {
    "read": Deed(lambda a, path, h: a.ask("GET", path, headers=h), "read", "R"),
    "version": Deed(lambda a, path, h: a.ask("GET", f"{path}/_history/1", headers=h), "vread", "R"),
    "history": Deed(lambda a, path, h: a.ask("GET", f"{path}/_history", headers=h), "history-instance", "R"),
    "update": Deed(_put, "update", "U"),
    "patch": Deed(lambda a, path, h: a.ask("PATCH", path, _NOTE, headers=h), "patch", "U"),
    "batch": Deed(_transaction, "read", "R"),
    "refused": Deed(lambda a, path, h: a.ask("DELETE", path, headers=h, expect=403), "delete", "D", "8"),
    "stale": Deed(
        lambda a, path, h: a.ask("PATCH", path, _NOTE, headers={**h, **_STALE}, expect=412), "patch", "U", "4"
    ),
}


def agent(event: Json) -> Json:
    """Who asked, without the client and the server."""
    return next(one for one in event["agent"] if one["requestor"])


def entities(event: Json) -> set[str]:
    """What it was about, without versions."""
    found = (one.get("what", {}).get("reference", "") for one in event["entity"])
    return {one.partition("/_history/")[0] for one in found if one}


def detail(event: Json) -> dict[str, str]:
    return {one["type"]: one["valueString"] for one in event["entity"][-1]["detail"]}


def addresses(event: Json) -> set[str]:
    return {one["network"]["address"] for one in event["agent"] if one.get("network", {}).get("type") == "2"}


async def told(officer: Actor, patient: str, software: str, by: str = "patient") -> list[Json]:
    """The entries about the patient (or `by="entity"` about a resource) that came from this program."""
    events = await officer.found(f"AuditEvent?{by}={patient}&_count=200")
    return [one for one in events if detail(one).get("user-agent") == software]


@pytest.mark.parametrize("name", list(DEEDS))
async def test_each_action_is_in_the_trail(clinic: Clinic, name: str) -> None:
    patient, deed, software = clinic.patient(), DEEDS[name], f"ward-terminal/{uuid4().hex}"
    async with clinic.acting("dora") as dora, clinic.acting("olga") as olga:
        made = await dora.post("Condition", condition(patient))
        path = f"Condition/{made['id']}"
        await deed.do(dora, path, {"User-Agent": software})
        (event,) = await told(olga, path, software, by="entity")
        assert (event["subtype"][0]["code"], event["action"], event["outcome"]) == (
            deed.subtype,
            deed.action,
            deed.outcome,
        )
        assert agent(event)["who"]["reference"] == DORA
        assert [one["coding"][0]["code"] for one in agent(event)["role"]]
        assert addresses(event) == {ADDRESS}
        assert (patient in entities(event)) is (deed.outcome == "0")  # what was refused told nothing of anybody


async def test_a_search_and_what_was_asked(clinic: Clinic) -> None:
    patient, software = clinic.patient(), f"ward-terminal/{uuid4().hex}"
    async with clinic.acting("dora") as dora, clinic.acting("olga") as olga:
        await dora.post("Condition", condition(patient))
        await dora.ask("GET", f"Condition?patient={patient}", headers={"User-Agent": software})
        (event,) = await told(olga, patient, software)
        assert (event["subtype"][0]["code"], event["action"]) == ("search-type", "E")
        assert any("query" in one for one in event["entity"])
        assert addresses(event) == {ADDRESS}


async def test_a_creation_and_a_deletion(clinic: Clinic) -> None:
    patient, software = clinic.patient(), f"ward-terminal/{uuid4().hex}"
    headers = {"User-Agent": software}
    async with clinic.acting("dora") as dora, clinic.acting("ada") as ada, clinic.acting("olga") as olga:
        made = await dora.ask("POST", "Condition", condition(patient), expect=201, headers=dict(headers))
        await ada.ask("DELETE", f"Condition/{made['id']}", expect=204, headers=dict(headers))
        found = [(one["action"], agent(one)["who"]["reference"]) for one in await told(olga, patient, software)]
        assert found == [("D", "Practitioner/ada"), ("C", DORA)]


async def test_who_was_refused_is_in_the_trail(clinic: Clinic) -> None:
    """Somebody looks where they may not: 404 to them, and an entry about the patient."""
    patient, software = clinic.patient(), f"ward-terminal/{uuid4().hex}"
    async with clinic.acting("sara") as sara, clinic.acting("olga") as olga:
        await sara.ask("GET", patient, expect=404, headers={"User-Agent": software})
        (event,) = await told(olga, patient, software)
        assert (agent(event)["who"]["reference"], event["outcome"]) == ("Practitioner/sara", "4")


async def test_what_is_done_by_socket(clinic: Clinic) -> None:
    """Joining a case reads it; a message is a creation, and whoever hears it has read it."""
    patient = clinic.patient()
    here, there = f"dora-phone/{uuid4().hex}", f"dan-phone/{uuid4().hex}"
    async with clinic.acting("dora") as dora, clinic.acting("dan") as dan, clinic.acting("olga") as olga:
        made = await dora.post("Encounter", case(patient, DORA, dan.user))
        async with (
            dora.connect(headers={"User-Agent": here}) as speaks,
            dan.connect(headers={"User-Agent": there}) as hears,
        ):
            assert (await speaks.ask("case:join", made["id"]))["ok"] is True
            assert (await hears.ask("case:join", made["id"]))["ok"] is True
            said = await speaks.ask("case:message", {"caseId": made["id"], "message": "Seen at ten."})
            await hears.hears("case:message")
        spoken = await told(olga, patient, here)
        heard = await told(olga, patient, there)
        for event in (*spoken, *heard):
            assert addresses(event) == {ADDRESS}
            assert "Seen at ten" not in str(event)
        assert {agent(one)["who"]["reference"] for one in spoken} == {DORA}
        assert {agent(one)["who"]["reference"] for one in heard} == {dan.user}
        assert ("R", f"Encounter/{made['id']}") in {(one["action"], what) for one in spoken for what in entities(one)}
        assert ("C", said["id"]) in {(one["action"], what) for one in spoken for what in entities(one)}
        assert ("R", said["id"]) in {(one["action"], what) for one in heard for what in entities(one)}


async def test_a_case_that_is_hidden_is_refused_by_socket_too(clinic: Clinic) -> None:
    patient, software = clinic.patient(), f"phone/{uuid4().hex}"
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara, clinic.acting("olga") as olga:
        made = await dora.post("Encounter", case(patient, DORA))
        async with sara.connect(headers={"User-Agent": software}) as ear:
            assert (await ear.ask("case:join", made["id"]))["status"] == 404
        events = await olga.found(f"AuditEvent?entity=Encounter/{made['id']}&agent=Practitioner/sara")
        assert [(one["outcome"], detail(one)["user-agent"]) for one in events] == [("4", software)]


@pytest.mark.parametrize("name", ["dora", "nick", "sara", "pete", "mary"])
async def test_nobody_else_reads_the_trail(clinic: Clinic, name: str) -> None:
    patient = clinic.patient()
    async with clinic.acting(name) as actor, clinic.acting("olga") as olga, clinic.acting("ada") as ada:
        await ada.get(patient)
        (event, *_) = await olga.found(f"AuditEvent?patient={patient}")
        await actor.get(f"AuditEvent?patient={patient}", expect=403)
        await actor.get(f"AuditEvent/{event['id']}", expect=403)
        assert await ada.found(f"AuditEvent?patient={patient}")


async def test_patients_see_who_looked_at_them_and_at_nobody_else(clinic: Clinic) -> None:
    other, software = clinic.patient(), f"ward-terminal/{uuid4().hex}"
    async with clinic.acting("dora") as dora, clinic.acting("ben") as ben, clinic.acting("olga") as olga:
        await dora.ask("GET", "Patient/ben", headers={"User-Agent": software})
        await dora.get(other)
        (event,) = await told(ben, "Patient/ben", software)
        assert (agent(event)["who"]["reference"], event["action"]) == (DORA, "R")
        assert await ben.found(f"AuditEvent?patient={other}") == []
        (hidden, *_) = await olga.found(f"AuditEvent?patient={other}")
        await ben.get(f"AuditEvent/{hidden['id']}", expect=404)
        everything = await ben.found("AuditEvent?_count=100")
        assert everything
        # What was done to them, and what they did themselves.
        assert all("Patient/ben" in {*entities(one), agent(one)["who"].get("reference")} for one in everything)
        assert other not in str(everything)


@pytest.mark.parametrize("name", ["dora", "olga", "ada", "ben"])
async def test_nobody_writes_the_trail(clinic: Clinic, name: str) -> None:
    """What was recorded stays, and nobody adds what never was."""
    async with clinic.acting("dora") as dora, clinic.acting(name) as actor, clinic.acting("olga") as olga:
        await dora.get("Patient/ben")
        (event, *_) = await olga.found("AuditEvent?patient=Patient/ben&_count=1")
        path = f"AuditEvent/{event['id']}"
        await actor.ask("PUT", path, {**event, "outcome": "12"}, expect=405)
        await actor.ask("PATCH", path, [{"op": "remove", "path": "/agent"}], expect=405)
        await actor.ask("DELETE", path, expect=405)
        await actor.post("AuditEvent", {key: value for key, value in event.items() if key != "id"}, expect=403)
        assert await olga.get(path) == event


async def test_the_trail_is_proven(clinic: Clinic) -> None:
    async with clinic.acting("ada") as ada, clinic.acting("olga") as olga, clinic.acting("dora") as dora:
        for auditor in (ada, olga):
            report = {one["name"]: one for one in (await auditor.get("$verify-audit"))["parameter"]}
            assert report["ok"]["valueBoolean"] is True
            assert report["entries"]["valueInteger"] > 0
            assert "break" not in report
        await dora.get("$verify-audit", expect=403)
    async with clinic.acting("olga", "user/AuditEvent.rs") as app:  # of an app for a few things only
        await app.get("$verify-audit", expect=403)
