"""The events of the old sockets under their names, each played by people with their own tokens (docs/realtime.md)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from socketio import AsyncClient
from socketio.exceptions import ConnectionError

from tests.workflows.clinic import DORA, NICK, PAM, PETE, SAUL, SECONDS, Actor, Clinic, Ear, case

Json = dict[str, Any]
KIND = "http://fhir-server.example/ig/CodeSystem/message-kind"


def names(ear: Ear) -> list[str]:
    return [name for name, _ in ear.heard]


def told(ear: Ear, event: str) -> list[Any]:
    return [data for name, data in ear.heard if name == event]


@asynccontextmanager
async def online(clinic: Clinic, name: str) -> AsyncIterator[tuple[Actor, Ear]]:
    """Somebody with a connection of their own."""
    async with clinic.acting(name) as actor, actor.connect() as ear:
        yield actor, ear


async def opened(dora: Actor, patient: str, *practitioners: str) -> str:
    """The id of a case of Dora's."""
    stored = await dora.post("Encounter", case(patient, DORA, *practitioners))
    return str(stored["id"])


@pytest.mark.row("A-15")
async def test_connect_takes_a_token(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora:
        for auth in (None, {"token": "no"}, {"token": dora.token[:-1]}):
            client = AsyncClient(reconnection=False)
            with pytest.raises(ConnectionError):
                await client.connect(clinic.issuer, auth=auth, transports=["websocket"], wait_timeout=SECONDS)
            await client.disconnect()
        async with dora.connect() as ear:
            assert (await ear.ask("user:online"))["ok"]


@pytest.mark.row("A-6", "A-15")
async def test_a_message_is_told_as_it_was_in_the_old_system(clinic: Clinic) -> None:
    async with online(clinic, "dora") as (dora, d), online(clinic, "nick") as (nick, n):
        id_ = await opened(dora, clinic.patient(), NICK)
        for ear in (d, n):
            assert (await ear.ask("case:join", id_))["ok"]
        # What a payload says of its sender and time is not believed.
        sent = {"caseId": id_, "message": "Troponin?", "senderName": "Dr. House", "sender": NICK, "timestamp": "1970"}
        answer = await d.ask("case:message", sent)
        (heard,) = await n.hears("case:message")
        assert {name: heard[name] for name in ("caseId", "message", "sender", "senderName")} == {
            "caseId": id_,
            "message": "Troponin?",
            "sender": DORA,
            "senderName": "Dora Test",
        }
        stored = await nick.get(answer["id"])
        assert heard["timestamp"] == stored["sent"]
        assert answer["id"] == f"Communication/{heard['id']}"

        # The same by a plain POST; and taking it back is told, without its text.
        plain = {
            "resourceType": "Communication",
            "status": "completed",
            "category": [{"coding": [{"system": KIND, "code": "discussion"}]}],
            "encounter": {"reference": f"Encounter/{id_}"},
            "payload": [{"contentString": "Normal."}],
        }
        posted = await nick.post("Communication", plain)
        (heard,) = await d.hears("case:message", lambda data: data["id"] == posted["id"])
        assert (heard["senderName"], heard["message"]) == ("Nick Test", "Normal.")
        edited = {"op": "replace", "path": "/payload/0/contentString", "value": "4.1"}
        await nick.patch(f"Communication/{posted['id']}", edited)
        gone = {"op": "replace", "path": "/status", "value": "entered-in-error"}
        await nick.patch(f"Communication/{posted['id']}", gone)
        _, heard = await d.hears("case:message", lambda data: data["id"] == posted["id"], count=2)
        assert (heard["status"], heard["message"]) == ("entered-in-error", "")
        # One that could not be sent is nobody's news.
        failed = {**plain, "status": "not-done", "statusReason": {"text": "No network"}}
        unsent = await nick.post("Communication", failed)
        await n.ask("case:message", {"caseId": id_, "message": "Again"})
        await d.hears("case:message", lambda data: data["message"] == "Again")
        assert unsent["id"] not in [data["id"] for data in told(d, "case:message")]


@pytest.mark.row("A-6", "A-15")
async def test_a_patient_in_the_room_hears_what_is_meant_for_them(clinic: Clinic) -> None:
    async with (
        online(clinic, "dora") as (dora, d),
        online(clinic, "nick") as (nick, n),
        online(clinic, "ann") as (_, a),
    ):
        id_ = await opened(dora, "Patient/ann", NICK)
        for ear in (d, n, a):
            assert (await ear.ask("case:join", {"caseId": id_}))["ok"]
        await d.ask("case:message", {"caseId": id_, "message": "Do not tell her yet"})
        await n.hears("case:message")
        to_ann = {
            "resourceType": "Communication",
            "status": "completed",
            "category": [{"coding": [{"system": KIND, "code": "discussion"}]}],
            "encounter": {"reference": f"Encounter/{id_}"},
            "recipient": [{"reference": "Patient/ann"}, {"reference": DORA}],
            "payload": [{"contentString": "All is well"}],
        }
        await nick.post("Communication", to_ann)
        await a.hears("case:message")
        await a.ask("case:message", {"caseId": id_, "message": "Thank you"})
        await n.hears("case:message", lambda data: data["message"] == "Thank you")
        await a.hears("case:message", count=2)
        assert [data["message"] for data in told(a, "case:message")] == ["All is well", "Thank you"]
        await d.hears("case:message", count=3)


@pytest.mark.row("A-12", "A-15")
async def test_typing_is_told_to_the_others_and_stops(clinic: Clinic) -> None:
    async with online(clinic, "dora") as (dora, d), online(clinic, "nick") as (_, n):
        id_ = await opened(dora, clinic.patient(), NICK)
        typing = {"caseId": id_, "isTyping": True}
        assert (await d.ask("case:typing", typing))["status"] == 403  # who is not in the room
        for ear in (n, d):
            await ear.ask("case:join", id_)
        await n.hears("case:join", lambda data: data == {"caseId": id_, "userId": DORA})
        await d.ask("case:typing", typing)
        await d.ask("case:typing", {**typing, "isTyping": False})
        assert await n.hears("case:typing", count=2) == [
            {"caseId": id_, "userId": DORA, "isTyping": True},
            {"caseId": id_, "userId": DORA, "isTyping": False},
        ]
        assert "case:typing" not in names(d)
        async with dora.connect() as second:  # the same Dora in another window
            await second.ask("case:join", id_)
            await second.ask("case:typing", typing)
            await n.hears("case:typing", count=3)
            await d.ask("case:leave", id_)
            assert (await d.ask("case:typing", typing))["status"] == 403
            assert "case:leave" not in names(n)
        # Her last window is gone: nobody is left to type.
        await n.hears("case:leave", lambda data: data == {"caseId": id_, "userId": DORA})
        assert told(n, "case:typing")[-1] == {"caseId": id_, "userId": DORA, "isTyping": False}


@pytest.mark.row("A-15")
async def test_an_outsider_is_refused(clinic: Clinic) -> None:
    async with (
        online(clinic, "dora") as (dora, _),
        online(clinic, "saul") as (_, s),
        online(clinic, "ben") as (_, b),
    ):
        id_ = await opened(dora, clinic.patient())
        for ear in (s, b):
            absent = await ear.ask("case:join", "no-such-case")
            for event in ("case:join", "case:message"):
                refused = await ear.ask(event, {"caseId": id_, "message": "Hello"})
                assert refused["status"] == 404
                assert str(refused["outcome"]).replace(id_, "no-such-case") == str(absent["outcome"])
            assert (await ear.ask("case:typing", {"caseId": id_, "isTyping": True}))["status"] == 403
        assert (await s.ask("case:message", {"caseId": id_}))["status"] == 400
        assert await dora.found(f"Communication?encounter=Encounter/{id_}") == []


@pytest.mark.row("A-15")
async def test_who_leaves_a_case_hears_no_more(clinic: Clinic) -> None:
    async with online(clinic, "dora") as (dora, d), online(clinic, "nick") as (_, n):
        id_ = await opened(dora, clinic.patient(), NICK)
        for ear in (d, n):
            await ear.ask("case:join", id_)
        assert await n.ask("case:leave", id_) == {"ok": True, "caseId": id_}
        await d.hears("case:leave", lambda data: data == {"caseId": id_, "userId": NICK})
        await d.ask("case:message", {"caseId": id_, "message": "Alone"})
        await d.hears("case:message")
        assert (await n.ask("case:leave", id_))["ok"]  # again: nothing is left
        assert "case:message" not in names(n)


@pytest.mark.row("A-15")
async def test_an_emergency_is_told_to_those_who_joined(clinic: Clinic) -> None:
    async with (
        online(clinic, "pete") as (_, p),
        online(clinic, "pam") as (_, q),
        online(clinic, "mary") as (_, m),
        online(clinic, "ann") as (_, a),
    ):
        patient = clinic.patient()
        assert (await q.ask("emergency:join"))["ok"]
        for ear in (m, a):
            assert (await ear.ask("emergency:join"))["status"] == 403
        sent = {"patientId": patient.partition("/")[2], "message": "Fall", "priority": "critical"}
        answer = await p.ask("emergency:alert", sent)
        assert answer["ok"], answer
        heard = (await q.hears("emergency:alert", lambda data: data["patient"] == patient))[0]
        assert (heard["message"], heard["author"], heard["status"]) == ("Fall", PETE, "active")
        assert answer["id"] == f"Flag/{heard['id']}"
        assert "emergency:alert" not in [*names(p), *names(m), *names(a)]


@pytest.mark.row("A-15")
async def test_a_notification_comes_to_its_recipient_alone(clinic: Clinic) -> None:
    async with (
        online(clinic, "dora") as (dora, d),
        online(clinic, "saul") as (_, s),
        online(clinic, "nick") as (_, n),
    ):
        id_ = await opened(dora, clinic.patient())
        named = [{"name": "practitioner", "valueReference": {"reference": SAUL}}]
        await dora.post(f"Encounter/{id_}/$assign", {"resourceType": "Parameters", "parameter": named}, expect=200)
        (heard,) = await s.hears("notification", lambda data: f"Encounter/{id_}" in data["about"])
        assert heard["category"] == "notification"
        assert heard["message"]
        for ear in (d, n):
            assert [data for data in told(ear, "notification") if data["id"] == heard["id"]] == []


@pytest.mark.row("A-12", "A-15")
async def test_staff_see_staff_come_and_go(clinic: Clinic) -> None:
    async with online(clinic, "mary") as (_, m), online(clinic, "ann") as (_, a):
        async with online(clinic, "pam") as (pam, _):
            await m.hears("user:online", lambda data: data == {"userId": PAM})
            async with pam.connect():  # a second window is no second person
                assert (await m.ask("user:online"))["users"].count(PAM) == 1
            assert {"userId": PAM} not in told(m, "user:offline")
        await m.hears("user:offline", lambda data: data == {"userId": PAM})
        assert PAM not in (await m.ask("user:online"))["users"]
        assert "Patient/ann" not in (await m.ask("user:online"))["users"]
        # Of patients nobody is told, and patients are told of nobody.
        async with online(clinic, "ben"), online(clinic, "pam"):
            await m.hears("user:online", lambda data: data == {"userId": PAM}, count=2)
        assert {"userId": "Patient/ben"} not in told(m, "user:online")
        assert (await a.ask("user:online"))["status"] == 403
        assert a.heard == []
