"""Row A-4: several workers are assigned, in one step with their team, or by a plain write; and they are told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from extensions.cases.case import team_id
from fhir_server.json import encode
from tests.workflows.clinic import ACT, CARDIOLOGY, DAN, DORA, NICK, PAM, PRIORITY, SARA, SAUL, Actor, Clinic, case

pytestmark = pytest.mark.row("A-4")
Json = dict[str, Any]

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
CONSULTANT = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "CON"}]}


def whom(*workers: str, role: Json | None = None) -> Json:
    named: list[Json] = [{"name": "practitioner", "valueReference": {"reference": one}} for one in workers]
    part: list[Json] = [{"name": "role", "valueCodeableConcept": role}] if role else []
    return {"resourceType": "Parameters", "parameter": [*named, *part]}


async def assign(actor: Actor, path: str, *workers: str, role: Json | None = None) -> tuple[Json, Json]:
    """The case and its team, as the operation answers them."""
    bundle = await actor.post(f"{path}/$assign", whom(*workers, role=role), expect=200)
    assert bundle["type"] == "collection"
    made, team = (one["resource"] for one in bundle["entry"])
    return made, team


def workers(made: Json) -> list[str]:
    return [one["individual"]["reference"] for one in made.get("participant", ())]


def members(team: Json) -> list[str]:
    return [one["member"]["reference"] for one in team["participant"] if "end" not in one["period"]]


async def test_several_are_assigned_and_the_record_opens(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara, clinic.acting("nick") as nick:
        made = await dora.post("Encounter", case(patient, DORA))
        path = f"Encounter/{made['id']}"
        await sara.get(patient, expect=404)
        async with sara.connect() as ear:
            now, team = await assign(dora, path, NICK, CARDIOLOGY, role=CONSULTANT)
            await ear.hears("notification", lambda told: path in told["about"])
        assert now["status"] == "triaged"
        assert workers(now) == [DORA, NICK, CARDIOLOGY]
        assert [one.get("type") for one in now["participant"]] == [None, [CONSULTANT], [CONSULTANT]]
        assert all(one["period"]["start"] for one in now["participant"])
        assert (team["subject"]["reference"], team["encounter"]["reference"]) == (patient, path)
        assert (team["status"], members(team)) == ("active", [NICK, CARDIOLOGY])
        assert team["participant"][0]["role"] == [CONSULTANT]
        await sara.get(patient)
        await sara.get(path)
        await nick.patch(path, {"op": "replace", "path": "/status", "value": "in-progress"})

        again, same = await assign(nick, path, NICK, CARDIOLOGY)
        assert same["meta"]["versionId"] == team["meta"]["versionId"]
        assert workers(again) == workers(now)


async def test_a_plain_write_assigns_and_tells_too(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora, clinic.acting("dan") as dan, dan.connect() as ear:
        made = await dora.post("Encounter", case(clinic.patient(), DORA))
        path = f"Encounter/{made['id']}"
        await dora.put({**made, "participant": [*made["participant"], {"individual": {"reference": DAN}}]})
        (told,) = await ear.hears("notification", lambda told: path in told["about"])
        assert (told["message"], told["priority"]) == ("You were assigned to a case.", "routine")
        (notice,) = await dan.found(f"Communication?recipient={DAN}&category=notification&_id={told['id']}")
        assert notice["status"] == "in-progress"
        assert "subject" not in notice


async def test_told_of_the_end_and_of_an_emergency(clinic: Clinic) -> None:
    patient = clinic.patient()
    emergency = {"coding": [{"system": PRIORITY, "code": "EM"}]}
    async with clinic.acting("dora") as dora, clinic.acting("nick") as nick, nick.connect() as ear:
        made = await dora.post("Encounter", case(patient, DORA, NICK, status="in-progress"))
        path = f"Encounter/{made['id']}"
        await dora.patch(path, {"op": "replace", "path": "/priority", "value": emergency})
        await dora.patch(path, {"op": "replace", "path": "/status", "value": "finished"})
        told = await ear.hears("notification", lambda told: path in told["about"], count=3)
        assert [(one["message"], one["priority"]) for one in told] == [
            ("You were assigned to a case.", "routine"),
            ("A case that you work on is an emergency now.", "urgent"),
            ("A case that you work on is finished.", "routine"),
        ]


@pytest.mark.row("A-3")
async def test_the_topic_reaches_who_is_assigned(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("nick") as nick, nick.connect() as ear:
        channel = {"system": "http://fhir-server.example/ig/CodeSystem/subscription-channel", "code": "socketio"}
        asked = {
            "resourceType": "Subscription",
            "status": "requested",
            "reason": "My cases",
            "criteria": "http://fhir-server.example/ig/SubscriptionTopic/case",
            "_criteria": {
                "extension": [
                    {
                        "url": f"{BACKPORT}backport-filter-criteria",
                        "valueString": f"Encounter?patient={patient}",
                    }
                ]
            },
            "channel": {
                "type": "websocket",
                "_type": {"extension": [{"url": f"{BACKPORT}backport-channel-type", "valueCoding": channel}]},
                "payload": "application/fhir+json",
                "_payload": {"extension": [{"url": f"{BACKPORT}backport-payload-content", "valueCode": "id-only"}]},
            },
        }
        subscription = await nick.post("Subscription", asked)
        await nick.until(f"Subscription?_id={subscription['id']}&status=active")
        assert (await ear.ask("subscription:join", {"subscription": subscription["id"]}))["ok"]
        made = await dora.post("Encounter", case(patient, DORA))
        await assign(dora, f"Encounter/{made['id']}", NICK)
        await ear.hears("subscription:event", count=2)


async def test_nobody_assigns_themselves_into_care(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with (
        clinic.acting("dora") as dora,
        clinic.acting("dan") as dan,
        clinic.acting("nick") as nick,
        clinic.acting("sara") as sara,
        clinic.acting("pam") as pam,
        clinic.acting("mary") as mary,
    ):
        made = await dora.post("Encounter", case(patient, DORA))
        path = f"Encounter/{made['id']}"
        await dan.post(f"{path}/$assign", whom(DAN), expect=403)
        await nick.post(f"{path}/$assign", whom(NICK), expect=403)
        await dan.post(f"{path}/$assign", whom(NICK), expect=403)
        await mary.post(f"{path}/$assign", whom(NICK), expect=403)
        await sara.post(f"{path}/$assign", whom(SARA), expect=404)
        await pam.post(f"{path}/$assign", whom(PAM), expect=404)
        # Taking part in a case puts nobody in care: that is for somebody else to give.
        await dora.post(f"{path}/$assign", whom(DORA), expect=403)
        free = await dora.post("Encounter", case(patient))
        await dan.post(f"Encounter/{free['id']}/$assign", whom(DAN), expect=403)
        assert await dora.found(f"CareTeam?patient={patient}") == []
        assert workers(await dora.get(path)) == [DORA]


async def test_a_team_that_is_not_the_cases_opens_nothing(clinic: Clinic) -> None:
    """A team under the id that the server would give it, of a patient whom the forger does treat."""
    patient, treated = clinic.patient(), clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("dan") as dan:
        made = await dora.post("Encounter", case(patient, DORA))
        path, id_ = f"Encounter/{made['id']}", team_id(made["id"])
        own = await dora.post("Encounter", case(treated, DORA))
        await assign(dora, f"Encounter/{own['id']}", DAN)
        forged = {
            "resourceType": "CareTeam",
            "id": id_,
            "status": "active",
            "subject": {"reference": treated},
            "encounter": {"reference": path},
            "participant": [{"member": {"reference": DAN}}],
        }
        await dan.put(forged, expect=403)  # who is on a case's team is said by who works on it
        clinic.put(forged)
        await dan.patch(path, {"op": "replace", "path": "/status", "value": "cancelled"}, expect=403)
        await dora.post(f"{path}/$assign", whom(NICK), expect=409)


async def test_who_works_on_a_case_says_who_is_on_its_team(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("dan") as dan, clinic.acting("nick") as nick:
        made = await dora.post("Encounter", case(patient, DORA))
        path = f"Encounter/{made['id']}"
        await assign(dora, path, SARA)
        (team,) = await dan.found(f"CareTeam?encounter={path}")
        more = {"op": "add", "path": "/participant/-", "value": {"member": {"reference": NICK}}}
        ended = {"op": "replace", "path": "/status", "value": "inactive"}
        elsewhere = {"op": "remove", "path": "/encounter"}
        for operation in (more, ended, elsewhere):
            await dan.patch(f"CareTeam/{team['id']}", operation, expect=403)
        await nick.patch(path, {"op": "replace", "path": "/status", "value": "cancelled"}, expect=403)
        await dan.patch(f"CareTeam/{team['id']}", {"op": "add", "path": "/name", "value": "Heart"})
        await dora.patch(f"CareTeam/{team['id']}", more)
        await nick.patch(path, {"op": "replace", "path": "/status", "value": "cancelled"})


async def test_a_team_as_large_as_can_be_loses_who_is_taken_off(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara:
        made = await dora.post("Encounter", case(patient, DORA))
        path = f"Encounter/{made['id']}"
        now, team = await assign(dora, path, SARA)
        bare = {**team, "note": [{"text": "x" * 1_000_000}] * 5 + [{"text": "x"}, {"text": "x"}]}
        room = clinic.settings.max_resource_bytes - (len(encode(bare)) - 42)  # the stamps do not count
        bare["note"][5:] = [{"text": "x" * (room // 2)}, {"text": "x" * (room - room // 2 - 10)}]  # an end takes 33
        await sara.put(bare)
        await dora.put(
            {**now, "participant": [one for one in now["participant"] if one["individual"] != {"reference": SARA}]}
        )
        await dora.until(f"CareTeam?encounter={path}", lambda found: "end" in found[0]["participant"][0]["period"])
        await sara.get(patient, expect=404)


async def test_two_assign_at_once_and_nobody_is_lost(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("nick") as nick:
        for _ in range(5):
            made = await dora.post("Encounter", case(patient, DORA, NICK))
            path = f"Encounter/{made['id']}"
            await asyncio.gather(
                assign(dora, path, SARA), assign(nick, path, SAUL), assign(dora, path, DAN), assign(nick, path, PAM)
            )
            now, (team,) = await dora.get(path), await dora.found(f"CareTeam?encounter={path}")
            assert sorted(workers(now)) == sorted([DORA, NICK, SARA, SAUL, DAN, PAM])
            assert sorted(members(team)) == sorted([SARA, SAUL, DAN, PAM])


async def test_who_is_taken_off_loses_the_record(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara:
        made = await dora.post("Encounter", case(patient, DORA))
        path = f"Encounter/{made['id']}"
        now, team = await assign(dora, path, SARA)
        await sara.get(patient)
        await dora.put({**now, "participant": now["participant"][:1]})
        await dora.until(f"CareTeam?encounter={path}", lambda found: members(found[0]) == [])
        await sara.get(patient, expect=404)
        _, team = await assign(dora, path, SARA)
        assert members(team) == [SARA]
        await sara.get(patient)
        await dora.patch(path, {"op": "replace", "path": "/status", "value": "entered-in-error"})
        await dora.until(f"CareTeam?encounter={path}&status=inactive")
        await sara.get(patient, expect=404)
        deleted = await dora.post("Encounter", case(patient, DORA))
        path = f"Encounter/{deleted['id']}"
        await assign(dora, path, SARA)
        await dora.ask("DELETE", path, expect=204)
        await dora.until(f"CareTeam?encounter={path}&status=inactive")
        await sara.get(patient, expect=404)


async def test_what_cannot_be_assigned(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora:
        made = await dora.post("Encounter", case(patient, DORA))
        path = f"Encounter/{made['id']}"
        await dora.post(f"{path}/$assign", whom("Practitioner/nobody"), expect=422)
        await dora.post(f"{path}/$assign", whom(patient), expect=422)
        await dora.post(f"{path}/$assign", whom(), expect=400)
        await dora.post(
            f"{path}/$assign", whom(NICK) | {"parameter": [{"name": "who", "valueString": "x"}]}, expect=400
        )
        await dora.post("Encounter/nowhere/$assign", whom(NICK), expect=404)
        visit = case(patient) | {"class": {"system": ACT, "code": "AMB"}}
        other = await dora.post("Encounter", visit)
        await dora.post(f"Encounter/{other['id']}/$assign", whom(NICK), expect=422)
        await dora.patch(path, {"op": "replace", "path": "/status", "value": "cancelled"})
        conflict = await dora.post(f"{path}/$assign", whom(NICK), expect=409)
        assert "cancelled" in conflict["issue"][0]["diagnostics"]
        assert workers(await dora.get(path)) == [DORA]
