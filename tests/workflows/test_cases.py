"""Row A-3: a case from its opening to its end, by those who treat it; what is refused on the way."""

from __future__ import annotations

import asyncio
import re
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest

from extensions.cases.case import CASE_NUMBER
from tests.workflows.clinic import ACT, ANN, CARDIOLOGY, DAN, DORA, NICK, PRIORITY, SARA, Clinic, case, person

pytestmark = pytest.mark.row("A-3")
Json = dict[str, Any]

REASON = "http://hl7.org/fhir/StructureDefinition/encounter-reasonCancelled"
DIAGNOSIS = "http://terminology.hl7.org/CodeSystem/diagnosis-role"
TELE_CASE = "http://fhir-server.example/ig/StructureDefinition/tele-case"
NUMBER = re.compile(r"CASE-20\d\d-\d{5,}")


def status(code: str) -> Json:
    return {"op": "replace", "path": "/status", "value": code}


def number(made: Json) -> str:
    (one,) = [one["value"] for one in made["identifier"]]
    assert NUMBER.fullmatch(one)
    return str(one)


async def test_a_case_from_opening_to_end(clinic: Clinic) -> None:
    patient = clinic.patient()
    subject = {"reference": patient}
    async with clinic.acting("dora") as dora, clinic.acting("nick") as nick, clinic.acting("dan") as dan:
        symptom = await nick.post(
            "Observation",
            {
                "resourceType": "Observation",
                "status": "final",
                "code": {"text": "Chest pain"},
                "subject": subject,
                "valueString": "Pressing, worse when walking",
            },
        )
        reason = [{"reference": f"Observation/{symptom['id']}"}]
        made = await nick.post("Encounter", case(patient, DORA, NICK, reasonReference=reason))
        path = f"Encounter/{made['id']}"
        assert number(made)
        assert {one["period"]["start"] for one in made["participant"]}
        assert "period" not in made

        await dora.patch(path, status("in-progress"))
        condition = await dora.post(
            "Condition",
            {
                "resourceType": "Condition",
                "code": {"text": "Stable angina"},
                "subject": subject,
                "encounter": {"reference": path},
            },
        )
        use = {"coding": [{"system": DIAGNOSIS, "code": "CM"}]}
        found = [{"condition": {"reference": f"Condition/{condition['id']}"}, "use": use}]
        forbidden = await dan.patch(path, {"op": "add", "path": "/diagnosis", "value": found}, expect=403)
        assert forbidden["issue"][0]["code"] == "forbidden"
        await dora.patch(path, {"op": "add", "path": "/diagnosis", "value": found})
        plan = {"resourceType": "CarePlan", "status": "active", "intent": "plan", "subject": subject}
        await dora.post("CarePlan", {**plan, "encounter": {"reference": path}, "title": "Rest"})
        episode = {"resourceType": "EpisodeOfCare", "status": "active", "patient": subject}
        care = await dora.post("EpisodeOfCare", episode)
        grouping = [{"reference": f"EpisodeOfCare/{care['id']}"}]
        await dora.patch(path, {"op": "add", "path": "/episodeOfCare", "value": grouping})

        conflict = await nick.patch(path, status("planned"), expect=409)
        assert "in-progress" in conflict["issue"][0]["diagnostics"]
        await nick.patch(path, status("onleave"))
        await nick.patch(path, status("in-progress"))
        ended = await dora.patch(path, status("finished"))
        assert [one["status"] for one in ended["statusHistory"]] == ["planned", "in-progress", "onleave", "in-progress"]
        spans = [one["period"] for one in ended["statusHistory"]]
        assert all(one["end"] == following["start"] for one, following in pairwise(spans))
        assert ended["period"] == {"start": spans[0]["end"], "end": spans[-1]["end"]}

        assert [one["id"] for one in await nick.found(f"CarePlan?encounter={path}")]
        assert [one["id"] for one in await nick.found(f"Encounter?episode-of-care={grouping[0]['reference']}")]
        assert [one["id"] for one in await nick.found(f"Encounter?diagnosis={found[0]['condition']['reference']}")]
        assert [one["id"] for one in await nick.found(f"Encounter?reason-reference={reason[0]['reference']}")]
        await dora.patch(path, status("in-progress"), expect=409)


async def test_mine_by_status_and_priority(clinic: Clinic) -> None:
    patient = clinic.patient()
    emergency = {"coding": [{"system": PRIORITY, "code": "EM"}]}
    async with clinic.acting("dora") as dora, clinic.acting("saul") as saul:
        first = await dora.post("Encounter", case(patient, DORA))
        second = await dora.post("Encounter", case(patient, DORA, priority=emergency, status="in-progress"))
        third = await dora.post("Encounter", case(patient, "PractitionerRole/saul-cardiology"))
        mine = f"Encounter?patient={patient}&participant={DORA}"
        assert {one["id"] for one in await dora.found(mine)} == {first["id"], second["id"]}
        assert [one["id"] for one in await dora.found(f"{mine}&status=planned,triaged")] == [first["id"]]
        assert [one["id"] for one in await dora.found(f"{mine}&priority=EM&status=in-progress")] == [second["id"]]
        roles = "participant=PractitionerRole/saul-cardiology"
        assert [one["id"] for one in await saul.found(f"Encounter?patient={patient}&{roles}")] == [third["id"]]


async def test_what_a_new_case_lacks(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora:
        without = {name: value for name, value in case(patient).items() if name != "priority"}
        refused = await dora.post("Encounter", without, expect=422)
        assert refused["issue"][0]["expression"] == ["Encounter.priority"]
        other = {"coding": [{"system": PRIORITY, "code": "S"}]}
        await dora.post("Encounter", case(patient, priority=other), expect=422)
        for nobody in (
            "Practitioner/nobody",
            "RelatedPerson/somebody",
            "https://elsewhere.example/fhir/Practitioner/1",
        ):
            refused = await dora.post("Encounter", case(patient, DORA, nobody), expect=422)
            assert refused["issue"][0]["expression"] == ["Encounter.participant[1].individual"]
        unnamed = case(patient) | {"participant": [{"type": [{"text": "Somebody"}]}]}
        await dora.post("Encounter", unnamed, expect=422)
        assert await dora.found(f"Encounter?patient={patient}") == []


async def test_other_encounters_are_not_bound(clinic: Clinic) -> None:
    patient = clinic.patient()
    visit = {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"system": ACT, "code": "AMB"},
        "subject": {"reference": patient},
    }
    async with clinic.acting("dora") as dora:
        made = await dora.post("Encounter", visit)
        await dora.patch(f"Encounter/{made['id']}", status("planned"))
        part = {**case(patient, status="arrived"), "partOf": {"reference": f"Encounter/{made['id']}"}}
        await dora.post("Encounter", {name: value for name, value in part.items() if name != "priority"})


async def test_a_case_stays_what_it_is(clinic: Clinic) -> None:
    patient, other = clinic.patient(), clinic.patient()
    async with clinic.acting("dora") as dora:
        made = await dora.post("Encounter", case(patient, DORA))
        path = f"Encounter/{made['id']}"
        await dora.patch(path, {"op": "replace", "path": "/subject/reference", "value": other}, expect=409)
        await dora.patch(path, {"op": "replace", "path": "/class/code", "value": "AMB"}, expect=409)
        await dora.patch(path, {"op": "replace", "path": "/identifier/0/value", "value": "CASE-1999-00001"}, expect=409)
        await dora.patch(path, {"op": "remove", "path": "/priority"}, expect=422)
        forged = [{"status": "finished", "period": {"start": "2020-01-01"}}]
        bare = {**made, "statusHistory": forged, "identifier": [{"system": "urn:mine", "value": "7"}]}
        now = await dora.put(bare)
        assert "statusHistory" not in now
        assert {one["value"] for one in now["identifier"]} == {"7", number(made)}
        assert (await dora.get(path))["subject"]["reference"] == patient


async def test_numbers_are_given_once(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("nick") as nick:
        made = await asyncio.gather(
            *(who.post("Encounter", case(patient)) for who in (dora, nick) for _ in range(8)),
        )
        numbers = {number(one) for one in made}
        assert len(numbers) == 16
        taken = [{"system": made[0]["identifier"][0]["system"], "value": numbers.pop()}]
        await dora.post("Encounter", case(patient, identifier=taken), expect=409)
        await dora.post("Encounter", case(patient, identifier=[{**taken[0], "value": "7&status=x"}]), expect=422)
        two = [{**taken[0], "value": f"CASE-1970-0000{n}"} for n in (1, 2)]
        await dora.post("Encounter", case(patient, identifier=two), expect=422)
        add = {"op": "add", "path": "/identifier/-", "value": taken[0]}
        await dora.patch(f"Encounter/{made[1]['id']}", add, expect=409)


async def test_two_bring_the_same_number_at_once(clinic: Clinic) -> None:
    patient = clinic.patient()
    brought = {"system": CASE_NUMBER, "value": f"CASE-1970-{uuid4().int % 10**9:09d}"}
    async with clinic.acting("dora") as dora, clinic.acting("nick") as nick:
        whole = case(patient, identifier=[brought])
        answers = await asyncio.gather(*(who.http.post("Encounter", json=whole) for who in (dora, nick)))
        assert sorted(one.status_code for one in answers) == [201, 409]
        both = {"resourceType": "Bundle", "type": "transaction"}
        another = {**whole, "identifier": [{**brought, "value": f"CASE-1970-{uuid4().int % 10**9:09d}"}]}
        entry = {"resource": another, "request": {"method": "POST", "url": "Encounter"}}
        await dora.post("", {**both, "entry": [entry, entry]}, expect=409)


async def test_nobody_has_it_so_anybody_takes_it(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora, clinic.acting("dan") as dan, clinic.acting("nick") as nick:
        made = await dora.post("Encounter", case(clinic.patient()))
        path = f"Encounter/{made['id']}"
        mine = [{"individual": {"reference": DAN}}]
        await dan.patch(path, {"op": "add", "path": "/participant", "value": mine})
        await dora.patch(path, status("in-progress"), expect=403)
        await nick.patch(path, {"op": "add", "path": "/participant/-", "value": {"individual": {"reference": NICK}}},
                         expect=403)  # fmt: skip
        await dan.patch(path, {"op": "remove", "path": "/participant"})
        await dora.patch(path, status("in-progress"))


async def test_cancelled_with_and_without_a_reason(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora:
        made = await dora.post("Encounter", case(clinic.patient(), DORA))
        path = f"Encounter/{made['id']}"
        cancelled = await dora.patch(path, status("cancelled"))
        said = await dora.ask("GET", f"{path}/$validate?profile={TELE_CASE}")
        assert [one["severity"] for one in said["issue"] if "why" in one["diagnostics"]] == ["warning"]
        why = {"url": REASON, "valueCodeableConcept": {"text": "Entered twice"}}
        await dora.put({**cancelled, "extension": [why]})
        said = await dora.ask("GET", f"{path}/$validate?profile={TELE_CASE}")
        assert not [one for one in said["issue"] if "why" in one["diagnostics"]]


async def test_deleting_a_case(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with (
        clinic.acting("dora") as dora,
        clinic.acting("dan") as dan,
        clinic.acting("nick") as nick,
        clinic.acting("ada") as ada,
    ):
        made = await dora.post("Encounter", case(patient, DORA, NICK))
        path = f"Encounter/{made['id']}"
        await dan.ask("DELETE", path, expect=403)
        await nick.ask("DELETE", path, expect=403)
        part = await dora.post("Encounter", {**case(patient, DORA), "partOf": {"reference": path}})
        conflict = await dora.ask("DELETE", path, expect=409)
        assert part["id"] not in conflict["issue"][0]["diagnostics"]
        await dora.patch(f"Encounter/{part['id']}", status("finished"))
        task = {"resourceType": "Task", "status": "requested", "intent": "order", "requester": {"reference": DORA}}
        asked = await dora.post("Task", {**task, "for": {"reference": patient}, "encounter": {"reference": path}})
        await dora.ask("DELETE", path, expect=409)
        await dora.patch(f"Task/{asked['id']}", status("cancelled"))
        await dora.ask("DELETE", path, expect=204)
        await dora.get(path, expect=410)
        other = await dora.post("Encounter", case(patient, DORA))
        await ada.ask("DELETE", f"Encounter/{other['id']}", expect=204)


async def test_old_cases_are_brought_in_by_administrators(clinic: Clinic) -> None:
    patient = clinic.patient()
    earlier = [{"status": "in-progress", "period": {"start": "2020-01-01", "end": "2020-01-03"}}]
    old = case(patient, DORA, status="finished", statusHistory=earlier)
    async with clinic.acting("ada") as ada, clinic.acting("dora") as dora:
        made = await ada.post("Encounter", old)
        assert made["statusHistory"] == earlier
        await dora.post("Encounter", old, expect=422)
        await ada.patch(f"Encounter/{made['id']}", status("in-progress"), expect=409)


async def test_who_works_here_no_more_is_not_assigned(clinic: Clinic) -> None:
    gone = f"Practitioner/gone-{uuid4().hex[:8]}"
    clinic.put({**person(gone), "active": True})
    async with clinic.acting("dora") as dora:
        made = await dora.post("Encounter", case(clinic.patient(), DORA, gone))
        clinic.put({**person(gone), "active": False})
        await dora.post("Encounter", case(clinic.patient(), gone), expect=422)
        await dora.patch(f"Encounter/{made['id']}", status("in-progress"))  # what was, stays


async def test_who_opens_no_case(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("ann") as ann, clinic.acting("sara") as sara, clinic.acting("olga") as olga:
        await ann.post("Encounter", case(ANN), expect=403)
        await sara.post("Encounter", case(patient, SARA), expect=403)
        await olga.post("Encounter", case(patient), expect=403)
        assert await sara.found(f"Encounter?patient={patient}&participant={CARDIOLOGY}") == []
