"""Calls in /consultation: rooms, signals to one user of a room, media, screens and chat (point 10)."""

from __future__ import annotations

import pytest

from tests.realtime.house import ANN, BEN, DORA, NICK, Ear, Site

pytestmark = pytest.mark.asyncio(loop_scope="module")
Sites = tuple[Site, Site]
CALL = "/consultation"
ROOM = {"roomId": "ann-case"}


async def ask(ear: Ear, event: str, **data: object) -> dict:  # type: ignore[type-arg]
    return await ear.ask(event, {**ROOM, **data}, CALL)


async def test_a_call_from_beginning_to_end(sites: Sites) -> None:
    here, there = sites
    async with (
        here.connect(await here.token(DORA), namespaces=(CALL,)) as dora,
        there.connect(await there.token(ANN), namespaces=(CALL,)) as ann,
        there.connect(await there.token(BEN), namespaces=(CALL,)) as ben,
        there.connect(await there.token(NICK), namespaces=(CALL,)) as nick,
    ):
        await ask(dora, "join-room", userId=NICK, role="patient")
        (joined,) = await dora.hears("room-joined")
        assert [(one["userId"], one["role"]) for one in joined["participants"]] == [(DORA, "doctor")]
        await ask(ann, "join-room")
        (joined,) = await ann.hears("room-joined")
        assert [(one["userId"], one["role"]) for one in joined["participants"]] == [(DORA, "doctor"), (ANN, "patient")]
        (told,) = await dora.hears("user-joined")
        assert (told["roomId"], told["userId"], told["role"]) == ("ann-case", ANN, "patient")
        assert (await ask(ben, "join-room"))["status"] == 404
        await ask(nick, "join-room")

        await ask(dora, "webrtc-offer", targetUserId=ANN, offer={"type": "offer", "sdp": "v=0"}, fromUserId=NICK)
        (offer,) = await ann.hears("webrtc-offer")
        assert (offer["fromUserId"], offer["offer"]) == (DORA, {"type": "offer", "sdp": "v=0"})
        await ask(ann, "webrtc-answer", targetUserId=DORA, answer={"type": "answer", "sdp": "v=0"})
        (answer,) = await dora.hears("webrtc-answer")
        assert (answer["fromUserId"], answer["answer"]["type"]) == (ANN, "answer")
        candidate = {"candidate": "", "sdpMLineIndex": 0, "a.b": {"$c": 1.5}}
        await ask(ann, "webrtc-ice-candidate", targetUserId=DORA, candidate=candidate)
        assert (await dora.hears("webrtc-ice-candidate"))[0]["candidate"] == candidate

        state = {"audio": {"enabled": True, "muted": True}}
        await ask(dora, "media-state-changed", userId=ANN, mediaState=state)
        (told,) = await ann.hears("user-media-changed")
        assert (told["userId"], told["mediaState"]) == (DORA, state)
        await ask(dora, "start-screen-share")
        await ask(dora, "stop-screen-share")
        assert (await ann.hears("user-screen-share-started"))[0]["userId"] == DORA
        assert (await ann.hears("user-screen-share-stopped"))[0]["userId"] == DORA

        said = await ask(ann, "send-chat-message", message="Hello", senderId=DORA, senderRole="doctor")
        assert said["ok"], said
        for ear in (dora, ann):
            (told,) = await ear.hears("chat-message")
            assert (told["senderId"], told["senderName"], told["senderRole"]) == (ANN, "Ann Archer", "patient")
            assert (told["message"], told["id"]) == ("Hello", said["id"].partition("/")[2])

        await ask(ann, "leave-room")
        (left,) = await dora.hears("user-left")
        assert (left["roomId"], left["userId"]) == ("ann-case", ANN)
        assert not {"webrtc-offer", "webrtc-answer", "webrtc-ice-candidate"} & set(nick.names())
        assert ben.heard == []


async def test_strangers_to_the_room_reach_nobody_in_it(sites: Sites) -> None:
    here, there = sites
    async with (
        here.connect(await here.token(DORA), namespaces=(CALL,)) as dora,
        there.connect(await there.token(BEN), namespaces=(CALL,)) as ben,
        there.connect(await there.token(ANN), namespaces=(CALL,)) as ann,
    ):
        await ask(dora, "join-room")
        await dora.ask("join-room", {"roomId": "ben-case"}, CALL)
        await ben.ask("join-room", {"roomId": "ben-case"}, CALL)
        for event, member in (
            ("webrtc-offer", "offer"),
            ("webrtc-answer", "answer"),
            ("webrtc-ice-candidate", "candidate"),
            ("media-state-changed", "mediaState"),
            ("start-screen-share", "x"),
            ("stop-screen-share", "x"),
        ):
            refused = await ask(ben, event, targetUserId=DORA, **{member: {}})
            assert refused["status"] == 403
        refused = await ask(ben, "send-chat-message", message="Hello")
        assert refused["status"] == 403
        # In the other room Ann is not: nothing finds her.
        await ask(ann, "join-room")
        offered = {"roomId": "ben-case", "targetUserId": ANN, "offer": {}}
        assert (await dora.ask("webrtc-offer", offered, CALL))["ok"]
        await ask(dora, "webrtc-offer", targetUserId=ANN, offer={"last": True})
        assert [one["offer"] for one in await ann.hears("webrtc-offer")] == [{"last": True}]


async def test_who_loses_the_connection_is_told_to_have_left(sites: Sites) -> None:
    here, there = sites
    async with here.connect(await here.token(DORA), namespaces=(CALL,)) as dora:
        await ask(dora, "join-room")
        async with (
            there.connect(await there.token(NICK), namespaces=(CALL,)) as nick,
            there.connect(await there.token(NICK), namespaces=(CALL,)) as again,
        ):
            await ask(nick, "join-room")
            await ask(again, "join-room")
            await dora.hears("user-joined", count=2)
            await ask(again, "leave-room")
            assert "user-left" not in dora.names()
        (left,) = await dora.hears("user-left")
        assert left["userId"] == NICK
