"""Discussions of a case, notifications and emergencies, over two processes (points 7, 9 and 10)."""

from __future__ import annotations

import pytest

from fhir_server.access.principal import SYSTEM
from fhir_server.context import FhirRequest
from tests.realtime.house import ANN, BEN, DORA, MARY, NICK, Site, case

pytestmark = pytest.mark.asyncio(loop_scope="module")
Sites = tuple[Site, Site]


async def test_a_message_reaches_the_other_clinician_and_no_patient(sites: Sites) -> None:
    here, there = sites
    async with (
        here.connect(await here.token(DORA)) as dora,
        there.connect(await there.token(NICK)) as nick,
        there.connect(await there.token(ANN)) as ann,
        there.connect(await there.token(BEN)) as ben,
    ):
        assert (await dora.ask("case:join", "ann-case"))["users"] == [DORA]
        assert set((await nick.ask("case:join", {"caseId": "ann-case"}))["users"]) == {DORA, NICK}
        assert (await ann.ask("case:join", "ann-case"))["ok"]
        refused = await ben.ask("case:join", "ann-case")
        assert refused["status"] == 404
        assert refused["outcome"]["resourceType"] == "OperationOutcome"
        await dora.hears("case:join", lambda data: data == {"caseId": "ann-case", "userId": NICK})

        forged = {"caseId": "ann-case", "message": "Troponin?", "sender": NICK, "senderName": "Nick", "userId": NICK}
        answer = await dora.ask("case:message", forged)
        assert answer["ok"], answer
        for ear in (nick, dora):
            (told,) = await ear.hears("case:message")
            assert told.pop("timestamp")
            assert told == {
                "caseId": "ann-case",
                "id": answer["id"].partition("/")[2],
                "message": "Troponin?",
                "sender": DORA,
                "senderName": "Dora Dale",
                "status": "completed",
            }
        stored = await here.server.repository.read(SYSTEM, *answer["id"].split("/"))
        assert stored is not None
        assert stored.resource()["sender"]["reference"] == DORA

        said = await ann.ask("case:message", {"caseId": "ann-case", "message": "It hurts."})
        assert said["ok"], said
        await nick.hears("case:message", lambda data: data["sender"] == ANN)
        await ann.hears("case:message", lambda data: data["sender"] == ANN)
        assert [data["sender"] for name, data in ann.heard if name == "case:message"] == [ANN]
        assert ben.heard == []


async def test_what_is_written_over_rest_is_told_too(sites: Sites) -> None:
    here, there = sites
    token = await here.token(DORA)
    async with there.connect(await there.token(NICK)) as nick:
        await nick.ask("case:join", "ann-case")
        message = {
            "resourceType": "Communication",
            "status": "completed",
            "encounter": {"reference": "Encounter/ann-case"},
            "subject": {"reference": ANN},
            "sender": {"reference": DORA},
            "recipient": [{"reference": NICK}],
            "payload": [{"contentString": "By REST"}],
        }
        stored = await here.write(message, token)
        (told,) = await nick.hears("case:message", lambda data: data["id"] == stored["id"])
        assert told["message"] == "By REST"
        del stored["payload"]
        await here.write({**stored, "status": "entered-in-error"}, token)
        _, told = await nick.hears("case:message", lambda data: data["id"] == stored["id"], count=2)
        assert (told["status"], told["message"]) == ("entered-in-error", "")


async def test_typing_is_told_to_the_others_in_the_room(sites: Sites) -> None:
    here, there = sites
    async with here.connect(await here.token(DORA)) as dora, there.connect(await there.token(NICK)) as nick:
        typing = {"caseId": "ann-case", "isTyping": True, "userId": "Practitioner/mary"}
        assert (await dora.ask("case:typing", typing))["status"] == 403
        await dora.ask("case:join", "ann-case")
        await nick.ask("case:join", "ann-case")
        await dora.ask("case:typing", typing)
        assert await nick.hears("case:typing") == [{"caseId": "ann-case", "userId": DORA, "isTyping": True}]
        assert "case:typing" not in dora.names()
        await nick.ask("case:leave", "ann-case")
        await dora.hears("case:leave", lambda data: data["userId"] == NICK)


async def test_who_may_no_longer_read_the_case_hears_no_more(sites: Sites) -> None:
    here, there = sites
    await here.put(case("moved", ANN, DORA))
    async with there.connect(await there.token(ANN)) as ann, here.connect(await here.token(DORA)) as dora:
        assert (await ann.ask("case:join", "moved"))["ok"]
        await dora.ask("case:join", "moved")
        await dora.ask("case:typing", {"caseId": "moved", "isTyping": True})
        await ann.hears("case:typing")
        await here.put(case("moved", BEN, DORA))
        await dora.hears("case:leave", lambda data: data == {"caseId": "moved", "userId": ANN})
        await dora.ask("case:typing", {"caseId": "moved", "isTyping": False})
        assert (await ann.ask("case:typing", {"caseId": "moved", "isTyping": True}))["status"] == 403
        assert ann.names().count("case:typing") == 1


async def test_a_notification_reaches_its_recipient_alone(sites: Sites) -> None:
    here, there = sites
    async with (
        here.connect(await here.token(NICK), namespaces=("/",)) as nick,
        there.connect(await there.token(NICK), namespaces=("/",)) as again,
        here.connect(await here.token(MARY)) as mary,
    ):
        category = {"system": "http://terminology.hl7.org/CodeSystem/communication-category", "code": "notification"}
        notification = {
            "resourceType": "Communication",
            "id": "accepted",
            "status": "in-progress",
            "category": [{"coding": [category]}],
            "sender": {"reference": DORA},
            "recipient": [{"reference": NICK}],
            "payload": [{"contentString": "Your referral was accepted."}],
        }
        await there.put(notification)
        for ear in (nick, again):
            (told,) = await ear.hears("notification")
            assert (told["id"], told["message"]) == ("accepted", "Your referral was accepted.")
        assert "notification" not in mary.names()


async def test_an_emergency_is_a_flag_and_reaches_those_on_duty(sites: Sites) -> None:
    here, there = sites
    async with (
        here.connect(await here.token(NICK)) as nick,
        there.connect(await there.token(MARY)) as mary,
        there.connect(await there.token(ANN)) as ann,
    ):
        assert (await nick.ask("emergency:join"))["ok"]
        assert (await mary.ask("emergency:join"))["status"] == 403
        assert (await ann.ask("emergency:join"))["status"] == 403
        said = {"message": "Chest pain", "priority": "critical", "author": DORA, "caseId": "ann-case"}
        answer = await ann.ask("emergency:alert", said)
        assert answer["ok"], answer
        (told,) = await nick.hears("emergency:alert")
        assert told["id"] == answer["id"].partition("/")[2]
        assert (told["author"], told["patient"], told["priority"], told["status"]) == (ANN, ANN, "high", "active")
        stored = await here.server.repository.read(SYSTEM, *answer["id"].split("/"))
        assert stored is not None
        flag = stored.resource()
        flag["status"] = "inactive"
        flag["period"]["end"] = "2030-01-01T00:00:00Z"
        await here.write(flag, await here.token(DORA))
        await nick.hears("emergency:alert", lambda data: data["status"] == "inactive" and data["resolved"])
        assert "emergency:alert" not in [*mary.names(), *ann.names()]
        assert (await ann.ask("emergency:alert", {"message": "Not me", "patientId": "ben"}))["status"] == 403


async def test_a_message_leaves_an_audit_entry_and_so_does_hearing_it(sites: Sites) -> None:
    here, _ = sites
    async with here.connect(await here.token(DORA)) as dora:
        await dora.ask("case:join", "ann-case")
        answer = await dora.ask("case:message", {"caseId": "ann-case", "message": "Noted"})
        await dora.hears("case:message", lambda data: data["message"] == "Noted")
    assert here.server.trail is not None
    await here.server.trail.settle()
    ctx = here.server.context()
    ctx.state["trail"] = here.server.trail
    found = await ctx.dispatch(ctx, FhirRequest("GET", "AuditEvent", query=[("entity", answer["id"])]))
    bundle = found.resource
    assert bundle is not None
    actions = [entry["resource"]["action"] for entry in bundle.get("entry", ())]
    assert sorted(actions) == ["C", "R"]
