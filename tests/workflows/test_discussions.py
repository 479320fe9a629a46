"""The discussion of a case, played by its people with their own tokens (docs/workflows/discussions.md)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fhir_server.access.principal import Principal
from fhir_server.access.scopes import resource_scopes
from fhir_server.context import FhirRequest
from fhir_server.json import decode, encode
from fhir_server.outcomes import Conflict
from tests.workflows.clinic import BEN, CARDIOLOGY, DAN, DORA, NICK, SARA, SAUL, SECONDS, Actor, Clinic, case

Json = dict[str, Any]
KIND = "http://fhir-server.example/ig/CodeSystem/message-kind"
TEAM = {"system": "http://fhir-server.example/ig/CodeSystem/record-label", "code": "team-discussion"}
REDACTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "REDACTED"}


def message(encounter: str, text: str = "Troponin is normal.", kind: str = "discussion", **more: Any) -> Json:
    return {
        "resourceType": "Communication",
        "status": "completed",
        "category": [{"coding": [{"system": KIND, "code": kind}]}],
        "encounter": {"reference": encounter},
        "payload": [{"contentString": text}],
        **more,
    }


def receipt(of: Json, status: str = "completed") -> Json:
    return {
        "resourceType": "Communication",
        "status": status,
        "category": [{"coding": [{"system": KIND, "code": "receipt"}]}],
        "inResponseTo": [{"reference": path(of)}],
    }


def path(resource: Json) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def recipients(resource: Json) -> list[str]:
    return [one["reference"] for one in resource.get("recipient", ())]


def to(path: str, value: Any) -> Json:
    return {"op": "add", "path": path, "value": value}


def ref(resource: Json) -> Json:
    return {"reference": path(resource)}


async def opened(dora: Actor, patient: str, *practitioners: str) -> str:
    """A case of the patient's, "Encounter/…"."""
    return path(await dora.post("Encounter", case(patient, DORA, *practitioners)))


@pytest.mark.row("A-6")
async def test_a_message_is_read_answered_and_deleted(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora, clinic.acting("nick") as nick, clinic.acting("dan") as dan:
        encounter = await opened(dora, clinic.patient(), NICK)
        said = await dora.post("Communication", message(encounter))
        assert said["sender"] == {"reference": DORA, "display": "Dora Test"}
        assert said["subject"] == (await dora.get(encounter))["subject"]
        assert recipients(said) == [NICK]
        assert said["meta"]["security"] == [TEAM]
        assert said["sent"]

        answer = message(encounter, "Then home?", partOf=[{"reference": path(said)}], inResponseTo=[ref(said)])
        answered = await nick.post("Communication", answer)
        assert recipients(answered) == [DORA]
        found = await nick.found(f"Communication?encounter={encounter}&_sort=sent")
        assert [one["payload"][0]["contentString"] for one in found] == ["Troponin is normal.", "Then home?"]
        assert await dan.found(f"Communication?encounter={encounter}") == []
        await dan.get(path(said), expect=404)

        deleting = {"op": "replace", "path": "/status", "value": "entered-in-error"}
        await nick.patch(path(said), deleting, expect=403)
        deleted = await dora.patch(path(said), deleting)
        assert "payload" not in deleted
        assert (await nick.get(path(said)))["status"] == "entered-in-error"
        back = {"op": "replace", "path": "/status", "value": "completed"}
        assert "entered-in-error" in str(await dora.patch(path(said), back, expect=409))
        still = await nick.found(f"Communication?part-of={path(said)}")
        assert [one["id"] for one in still] == [answered["id"]]


@pytest.mark.row("A-6")
async def test_what_a_deleted_message_said_is_nowhere(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora, clinic.acting("nick") as nick, clinic.acting("ada") as ada:
        encounter = await opened(dora, clinic.patient(), NICK)
        said = await dora.post("Communication", message(encounter, "Wrong patient"))
        await dora.put({**said, "payload": [{"contentString": "Wrong patient, sorry"}]})
        assert "Wrong" in str(await nick.get(f"{path(said)}/_history/1"))
        gone = {**said, "status": "entered-in-error", "payload": [{"contentString": "Wrong patient, kept?"}]}
        assert "payload" not in await dora.put(gone)
        for reader in (dora, nick):
            shown = await reader.get(f"{path(said)}/_history/1")
            assert "Wrong" not in str(shown)
            assert shown["meta"]["security"] == [TEAM, REDACTED]
            assert "Wrong" not in str(await reader.get(f"{path(said)}/_history"))
            assert "Wrong" not in str(await reader.get(f"{path(said)}/_history/2/$diff?fromVersion=1"))
        assert "Wrong" in str(await ada.get(f"{path(said)}/_history/1"))
        await nick.ask("DELETE", path(said), expect=403)
        await dora.ask("DELETE", path(said), expect=403)
        await ada.ask("DELETE", path(said), expect=204)
        await nick.get(path(said), expect=410)
        assert "Wrong" not in str(await nick.get(f"{path(said)}/_history"))


@pytest.mark.row("A-6")
async def test_who_says_it_follows_from_the_token(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara, clinic.acting("ada") as ada:
        patient = clinic.patient()
        encounter = await opened(dora, patient, NICK, SARA)
        forged = message(encounter, sender={"reference": NICK, "display": "Nick"})
        await dora.post("Communication", forged, expect=403)
        await ada.post("Communication", forged, expect=403)
        said = await dora.post("Communication", message(encounter, sender={"reference": DORA, "display": "House"}))
        assert said["sender"]["display"] == "Dora Test"
        by_role = await sara.post("Communication", message(encounter, sender={"reference": CARDIOLOGY}))
        assert by_role["sender"] == {"reference": CARDIOLOGY, "display": "Sara Test"}
        assert await sara.patch(path(by_role), to("/payload/0/contentString", "Better so"))
        await dora.post("Communication", message(encounter, kind="system"), expect=403)
        # An administrator takes a message back, and puts no words into anybody's mouth.
        await ada.patch(path(said), to("/payload/0/contentString", "Sedate."), expect=403)
        await ada.patch(path(said), to("/status", "entered-in-error"))


@pytest.mark.row("A-6")
async def test_a_message_stays_where_it_was_said(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora:
        patient = clinic.patient()
        here, elsewhere = await opened(dora, patient), await opened(dora, clinic.patient())
        said, other = [await dora.post("Communication", message(one)) for one in (here, elsewhere)]
        for moved in (
            to("/encounter/reference", elsewhere),
            to("/subject/reference", BEN),
            to("/sender/reference", NICK),
            to("/sent", "2020-01-01T00:00:00Z"),
            to("/partOf", [ref(other)]),
            to("/category/0/coding/0/code", "chat"),
            {"op": "remove", "path": "/category"},
        ):
            await dora.patch(path(said), moved, expect=422)
        assert (await dora.get(path(said)))["meta"]["versionId"] == "1"
        kept = {name: value for name, value in said.items() if name not in ("sender", "sent", "subject")}
        again = await dora.put({**kept, "payload": [{"contentString": "Troponin is 4."}]})
        assert [again[name] for name in ("sender", "sent", "subject")] == [
            said[name] for name in ("sender", "sent", "subject")
        ]
        for wrong in (
            message(here, subject={"reference": BEN}),
            message(here, inResponseTo=[ref(other)]),
            message(here, partOf=[ref(other)]),
            message(here, partOf=[{"reference": here}]),
            message(here, recipient=[{"reference": BEN}]),
            message("Encounter/none"),
            {**message(here), "status": "in-progress"},
            {name: value for name, value in message(here).items() if name != "encounter"},
        ):
            await dora.post("Communication", wrong, expect=422)
        first = await dora.post("Communication", message(here, partOf=[ref(said)]))
        await dora.post("Communication", message(here, partOf=[ref(first)]), expect=422)
        absolute = await dora.post("Communication", message(f"{dora.http.base_url}{here}"))
        assert absolute["encounter"]["reference"] == here


@pytest.mark.row("A-6")
async def test_the_patient_sees_what_is_meant_for_them_and_no_more(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora, clinic.acting("nick") as nick, clinic.acting("ann") as ann:
        encounter = await opened(dora, "Patient/ann", NICK)
        among = await dora.post("Communication", message(encounter))
        theirs = await dora.post(
            "Communication", message(encounter, "See you", recipient=[{"reference": "Patient/ann"}])
        )
        assert "security" not in theirs["meta"]
        found = await ann.found(f"Communication?encounter={encounter}")
        assert [one["id"] for one in found] == [theirs["id"]]
        await ann.get(path(among), expect=404)

        said = await ann.post("Communication", message(encounter, "It hurts", inResponseTo=[ref(theirs)]))
        assert (said["sender"]["reference"], recipients(said)) == ("Patient/ann", [DORA, NICK])
        assert "security" not in said["meta"]
        assert (await nick.get(path(said)))["payload"] == said["payload"]
        await ann.post("Communication", message(encounter, meta={"security": [TEAM]}), expect=422)
        await ann.post("Communication", message(encounter, inResponseTo=[ref(among)]), expect=422)
        # An answer to the patient is the team's own until it is addressed to them.
        answer = await nick.post("Communication", message(encounter, "Poor Ann", inResponseTo=[ref(said)]))
        assert answer["meta"]["security"] == [TEAM]
        await ann.get(path(answer), expect=404)

        open_ = {"op": "remove", "path": "/meta/security"}
        tell = {"op": "add", "path": "/recipient/-", "value": {"reference": "Patient/ann"}}
        await nick.patch(path(answer), open_, expect=422)
        await nick.patch(path(answer), tell, expect=422)
        async with clinic.acting("ada") as ada:
            await ada.patch(path(answer), open_, tell, expect=403)
        await nick.patch(path(answer), open_, tell)
        assert (await ann.get(path(answer)))["payload"] == [{"contentString": "Poor Ann"}]
        await nick.patch(
            path(answer), {"op": "replace", "path": "/recipient", "value": [{"reference": DORA}]}, expect=422
        )


@pytest.mark.row("A-6")
async def test_a_chat_is_for_the_patient_too(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora, clinic.acting("ann") as ann, clinic.acting("ben") as ben:
        encounter = await opened(dora, "Patient/ann", NICK)
        said = await dora.post("Communication", message(encounter, "Hello Ann", "chat"))
        assert recipients(said) == [NICK, "Patient/ann"]
        assert (await ann.get(path(said)))["id"] == said["id"]
        among = await dora.post(
            "Communication", message(encounter, "Hello Nick", "chat", recipient=[{"reference": NICK}])
        )
        await ann.get(path(among), expect=404)
        # A stranger learns neither of the case nor of what is said.
        await ben.get(path(said), expect=404)
        hidden = await ben.post("Communication", message(encounter, "Let me in"), expect=422)
        absent = await ben.post("Communication", message("Encounter/none", "Let me in"), expect=422)
        assert hidden == absent


@pytest.mark.row("A-6")
async def test_who_joins_the_care_team_reads_what_was_said(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora, clinic.acting("saul") as saul, clinic.acting("dan") as dan:
        patient = clinic.patient()
        encounter = await opened(dora, patient)
        said = await dora.post("Communication", message(encounter))
        for later in (saul, dan):
            await later.get(path(said), expect=404)
        named = [{"name": "practitioner", "valueReference": {"reference": one}} for one in (SAUL, DAN)]
        await dora.post(f"{encounter}/$assign", {"resourceType": "Parameters", "parameter": named}, expect=200)
        for later in (saul, dan):
            await later.until(f"Communication?encounter={encounter}")
            answer = await later.post("Communication", message(encounter, "Seen", inResponseTo=[ref(said)]))
            assert set(recipients(answer)) == {DORA, SAUL, DAN} - {later.user}


@pytest.mark.row("A-6")
async def test_who_has_left_the_case_is_not_addressed(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora:
        left: list[Json] = [{"individual": {"reference": DORA}}]
        left += [{"individual": {"reference": NICK}, "period": {"end": "2020-01-01"}}]
        encounter = path(await dora.post("Encounter", case(clinic.patient()) | {"participant": left}))
        assert recipients(await dora.post("Communication", message(encounter))) == []


@pytest.mark.row("A-6")
async def test_a_receipt_is_each_readers_own(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora, clinic.acting("nick") as nick, clinic.acting("dan") as dan:
        encounter = await opened(dora, clinic.patient(), NICK)
        said = await dora.post("Communication", message(encounter))
        await dan.post("Communication", receipt(said), expect=422)
        await dora.post("Communication", receipt(said), expect=422)
        await nick.post("Communication", {**receipt(said), "sender": {"reference": DAN}}, expect=403)
        await nick.post("Communication", {**receipt(said), "payload": [{"contentString": "Ok"}]}, expect=422)
        reached = await nick.post("Communication", receipt(said, "in-progress"))
        assert reached["sender"]["reference"] == NICK
        assert reached["received"]
        assert reached["meta"]["security"] == [TEAM]
        read = await nick.post("Communication", receipt(said))
        assert (read["id"], read["status"], read["received"]) == (reached["id"], "completed", reached["received"])
        late = await nick.post("Communication", receipt(said, "in-progress"))
        assert late["status"] == "completed"
        await nick.patch(path(read), to("/status", "in-progress"), expect=409)
        await nick.patch(path(read), to("/inResponseTo/0/reference", path(read)), expect=422)
        await dora.patch(path(read), to("/status", "in-progress"), expect=403)
        (found,) = await dora.found(f"Communication?in-response-to={path(said)}&category={KIND}|receipt")
        assert found["id"] == read["id"]


@pytest.mark.row("A-6")
async def test_two_receipts_at_the_same_moment_are_one(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora, clinic.acting("nick") as nick, clinic.acting("nick") as again:
        encounter = await opened(dora, clinic.patient(), NICK)
        said = await dora.post("Communication", message(encounter))
        statuses = ("in-progress", "completed") * 4
        askers = (nick, again) * 4
        await asyncio.gather(
            *(one.post("Communication", receipt(said, status)) for one, status in zip(askers, statuses, strict=True))
        )
        (found,) = await dora.found(f"Communication?in-response-to={path(said)}")
        assert found["status"] == "completed"


@pytest.mark.row("A-6")
async def test_a_bundle_goes_by_the_same_rules(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora:
        patient = clinic.patient()
        url = "urn:uuid:5f1c7a4e-8a53-4c5d-9a63-0d8bb2f9a001"
        posts = [(url, case(patient, DORA, NICK)), ("", message(url)), ("", message(url, sender={"reference": NICK}))]
        entries = [
            {
                **({"fullUrl": one} if one else {}),
                "resource": resource,
                "request": {"method": "POST", "url": resource["resourceType"]},
            }
            for one, resource in posts
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        await dora.post("", bundle, expect=403)
        assert await dora.found(f"Encounter?patient={patient}") == []
        await dora.post("", {**bundle, "entry": entries[:2]}, expect=200)
        (said,) = await dora.found(f"Communication?patient={patient}")
        assert (recipients(said), said["meta"]["security"]) == ([NICK], [TEAM])


@pytest.mark.row("A-6")
async def test_what_the_server_loads_is_kept_but_for_what_was_taken_back(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora, clinic.acting("nick") as nick:
        encounter = await opened(dora, clinic.patient(), NICK)
        id_ = f"old-{encounter.partition('/')[2]}"
        old = message(encounter, "Of last year", id=id_, sent="2024-01-01T08:00:00Z", sender={"reference": NICK})
        clinic.put(old)
        assert (await nick.get(path(old)))["sent"] == "2024-01-01T08:00:00Z"
        clinic.put({**old, "status": "entered-in-error"})
        assert "payload" not in await nick.get(path(old))
        assert "Of last year" not in str(await nick.get(f"{path(old)}/_history"))


@pytest.mark.row("A-6")
async def test_a_service_brings_what_others_said_and_it_stays_the_teams(clinic: Clinic) -> None:
    service = Principal("service", client="integration", scopes=resource_scopes("system/*.cruds"))
    said = message("Encounter/of-another-time", sender={"reference": NICK})

    async def bring(_: Any, method: str, path: str, resource: Json) -> Json:
        ctx = clinic._server.context(principal=service)
        answer = await ctx.dispatch(ctx, FhirRequest(method, path, body=decode(encode(resource))))
        found: Json = decode(answer.text or b"{}")
        return found

    stored = clinic.do(lambda auth: bring(auth, "POST", "Communication", said))
    assert stored["meta"]["security"] == [TEAM]
    assert stored["sender"] == {"reference": NICK}
    confirmed = clinic.do(
        lambda auth: bring(auth, "POST", "Communication", {**receipt(stored), "sender": said["sender"]})
    )
    assert confirmed["meta"]["security"] == [TEAM]
    with pytest.raises(Conflict, match="is completed"):
        clinic.do(lambda auth: bring(auth, "PUT", path(stored), {**stored, "status": "in-progress"}))


@pytest.mark.row("A-6")
async def test_what_was_taken_back_is_in_no_event_either(clinic: Clinic) -> None:
    """An event names a version, which is read when it is told: also when it is asked for again."""
    async with clinic.acting("dora") as dora:
        encounter = await opened(dora, clinic.patient(), NICK)
        subscription = {
            "resourceType": "Subscription",
            "status": "requested",
            "reason": "a test",
            "criteria": f"Communication?encounter={encounter}",
            "channel": {"type": "websocket", "payload": "application/fhir+json"},
        }
        stored = path(await dora.post("Subscription", subscription))
        await dora.until(f"Subscription?_id={stored.partition('/')[2]}&status=active")
        said = await dora.post("Communication", message(encounter, "Taken back"))

        async def told(text: str) -> Json:
            async with asyncio.timeout(SECONDS):
                while text not in str(found := await dora.get(f"{stored}/$events?content=full-resource")):
                    await asyncio.sleep(0.05)  # nobody listens on a socket here, so nothing tells of the event
            return found

        await told("Taken back")
        await dora.patch(path(said), to("/status", "entered-in-error"))
        events = await told("entered-in-error")
        assert "REDACTED" in str(events)
        assert "Taken back" not in str(events)


async def test_a_file_of_the_teams_own_talk_is_not_the_patients(clinic: Clinic) -> None:
    label = {"system": "http://fhir-server.example/ig/CodeSystem/record-label", "code": "team-discussion"}
    async with clinic.acting("dora") as dora, clinic.newcomer() as patient:
        made = await dora.post("Encounter", case(patient.user, DORA))
        file = {
            "resourceType": "Binary",
            "contentType": "text/plain",
            "securityContext": {"reference": f"Encounter/{made['id']}"},
            "data": "eA==",
        }
        told = await dora.post("Binary", file)
        kept = await dora.post("Binary", {**file, "meta": {"security": [label]}})
        read = [(patient, told, 200), (dora, kept, 200), (patient, kept, 404)]
        for who, one, status in read:
            assert (await who.http.get(f"Binary/{one['id']}")).status_code == status
