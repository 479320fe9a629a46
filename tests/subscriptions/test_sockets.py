"""The websocket, over a real server and a real client: R4's pings, bound tokens, and who is told what until when."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed, InvalidStatus

from fhir_server import json, xml
from fhir_server.access.principal import Principal
from fhir_server.audit import Trail
from fhir_server.audit.lines import decode
from fhir_server.config import Settings
from fhir_server.outcomes import Unprocessable
from smart_auth.clients import Client
from smart_auth.grant import Grant, new_id
from smart_auth.sessions import Sessions
from smart_auth.store import digest, now
from smart_auth.subscribers import Subscribers
from subscriptions import connection as module
from subscriptions import sockets as app
from subscriptions import subscriber, wire
from subscriptions.bindings import Bindings
from subscriptions.channels.websocket import CHANNEL
from subscriptions.connection import Served
from subscriptions.event import Events
from subscriptions.extensions import CONTENT
from subscriptions.notification import Notifications
from subscriptions.reader import Reader
from subscriptions.rights import Everybody
from subscriptions.signals import Signals
from subscriptions.sockets import Sockets
from subscriptions.subscription import parse
from subscriptions.topic import Topic
from tests.smart_auth.process import BASE, Process, process
from tests.subscriptions.follower import Engine, resource

Json = dict[str, Any]
PATIENCE = 60
SCOPES = "user/Patient.rs user/Subscription.rs"
connect = partial(open_socket, open_timeout=PATIENCE)


class NoTopics:
    def get(self, url: str) -> Topic | None:
        return None


@dataclass
class Here:
    """A server, and what a test changes behind its back."""

    process: Process
    engine: Engine
    bindings: Bindings
    sockets: Sockets
    subscribers: Subscribers
    port: int

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/websocket"

    async def token(self, login: str = "doctor", scopes: str = SCOPES, **given: Any) -> str:
        grant = Grant(new_id(), **{"client": "app", "user": login, **given, "scopes": scopes})
        return (await self.process.tokens.issue(grant, seconds=3600)).access

    async def principal(self, token: str) -> Principal:
        return await self.process.authenticator.authenticate(f"Bearer {token}".encode(), {})

    async def subscribe(self, id_: str, token: str, **about: Any) -> None:
        """What is left of a Subscription that the bearer of the token wrote."""
        principal = await self.principal(token)
        kept = self.subscribers.remember(principal)
        await self.process.put(resource(id_, **about))
        marker, document = subscriber.marker(id_, principal, kept)
        await self.process.database.markers.replace_one({"_id": marker}, document, upsert=True)
        await self.engine.know(id_, kept, **about)

    async def binding(self, token: str, *ids: str, **about: Any) -> str:
        """A binding token for these, got with the access token."""
        kept = self.subscribers.remember(await self.principal(token))
        return (await self.bindings.issue(ids, kept, **about))[0]


@asynccontextmanager
async def serving(one: Process, *, is_open: bool = False, trail: Trail | None = None) -> AsyncIterator[Here]:
    database = one.database
    settings = Settings(host="127.0.0.1", open=is_open)
    sessions = Sessions(settings, database, one.tokens)
    subscribers = Subscribers(one.changes, one.tokens, one.clients, sessions, one.authenticator)
    signals, bindings = Signals(database), Bindings(database)
    notifications = Notifications(one.repository, BASE, NoTopics())
    rights = Everybody() if is_open else subscribers
    reader = Reader(database, Events(database), notifications, rights, signals, trail=trail)
    engine = Engine(database, signals)
    await engine.prepare()
    await bindings.prepare()
    authenticator = None if is_open else one.authenticator
    origins = {b"https://app.example"}
    served = Served(settings, database, one.repository, reader, bindings, notifications, rights, authenticator, origins)
    sockets = Sockets(served)
    await signals.start()
    await reader.start()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(sockets, lifespan="off", log_level="warning", ws_max_size=65_536))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield Here(one, engine, bindings, sockets, subscribers, listener.getsockname()[1])
        finally:
            await sockets.stop()
            server.should_exit = True
            await running
            await reader.stop()
            await signals.stop()
            await subscribers.finish()


@pytest.fixture
async def behind(mongo_uri: str, database: str) -> AsyncIterator[Process]:
    async with process(mongo_uri, database) as made:
        await made.database.system["processes"].delete_many({"_id": {"$ne": made.database.incarnation}})
        await made.add("doctor", "Practitioner/1", ["administrator"])
        await made.add("nurse", "Practitioner/2", ["administrator"])
        await made.put({"resourceType": "Patient", "id": "1", "active": True})
        await made.put({"resourceType": "Patient", "id": "2", "active": True})
        yield made
        for rows in (made.database.resource, made.database.version):
            await rows.delete_many({})
        for name in ("auth_user", "auth_clients", "sub_active", "sub_events", "markers"):
            await made.database.system[name].delete_many({})


@pytest.fixture
async def here(behind: Process) -> AsyncIterator[Here]:
    async with serving(behind) as made:
        yield made


async def heard(client: ClientConnection, times: int = 1) -> list[str]:
    async with asyncio.timeout(PATIENCE):
        return [str(await client.recv()) for _ in range(times)]


async def bundles(client: ClientConnection, times: int = 1) -> list[tuple[str, int, list[int]]]:
    """Type, count and event numbers of the next notifications."""
    found = []
    for text in await heard(client, times):
        bundle = json.decode(text)
        assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "history")
        events = [one for one in bundle["entry"][0]["resource"]["parameter"] if one["name"] == "notification-event"]
        count = int(wire.parameter(bundle, "events-since-subscription-start")["valueString"])
        found.append((wire.kind(bundle), count, [int(event["part"][0]["valueString"]) for event in events]))
    return found


async def closed(client: ClientConnection) -> int | None:
    """The code with which the server closes; no event is told before."""
    async with asyncio.timeout(PATIENCE):
        with suppress(ConnectionClosed):
            while True:
                text = await client.recv()
                assert str(text).startswith("error "), "an event was told"
    return client.close_code


# ---- R4 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["header", "message"])
async def test_point_4_bind_bound_ping(here: Here, way: str) -> None:
    token = await here.token()
    await here.subscribe("s1", token)
    headers = {"Authorization": f"Bearer {token}"} if way == "header" else {}
    async with connect(here.url, additional_headers=headers) as client:
        if way == "message":
            await client.send(f"auth {token}")
            assert await heard(client) == ["authenticated"]
        await client.send("bind s1")
        assert await heard(client) == ["bound s1"]
        await here.engine.number("s1", 3)
        assert await heard(client, 3) == ["ping s1"] * 3
        await client.send("unbind s1")
        assert await heard(client) == ["unbound s1"]
        await client.send("bind s1")
        await here.engine.number("s1", told=True)
        assert (await heard(client))[0] == "bound s1"


async def test_a_ping_is_for_what_the_subscriber_may_see(here: Here) -> None:
    token = await here.token(scopes="patient/Patient.rs user/Subscription.rs", context={"patient": "1"})
    await here.subscribe("s1", token)
    async with connect(here.url, additional_headers={"Authorization": f"Bearer {token}"}) as client:
        await client.send("bind s1")
        assert await heard(client) == ["bound s1"]
        await here.engine.number("s1", focus="Patient/2")
        await here.engine.number("s1", focus="Patient/1")
        assert await heard(client) == ["ping s1"]
        await client.send("unbind s1")
        assert await heard(client) == ["unbound s1"]  # and no other ping before it


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ("bind nothing", "error 404 There is no such Subscription."),
        ("unbind nothing", "error 404 The socket is not bound to such a Subscription."),
        ("bind", "error 400"),
        ("hello there", "error 400"),
        ("bind a b", "error 400"),
        ("bind-with-token unknown", "error 401"),
        ("auth unknown", "error 401"),
    ],
)
async def test_what_cannot_be_done_is_said_and_nothing_else_suffers(here: Here, message: str, answer: str) -> None:
    async with connect(here.url) as client:
        await client.send(f"auth {await here.token()}")
        await client.send(message)
        await client.send("unbind x")
        said = await heard(client, 3)
        assert said[1].startswith(answer)
        assert said[2].startswith("error 404")


async def test_nobody_binds_without_signing_in(here: Here) -> None:
    await here.subscribe("s1", await here.token())
    async with connect(here.url) as client:
        await client.send("bind s1")
        assert (await heard(client))[0].startswith("error 401")


async def test_only_what_one_wrote_or_may_read_can_be_bound(here: Here) -> None:
    own = await here.token(scopes="user/Patient.rs")
    await here.subscribe("s1", own)
    for login, scopes, answer in (
        ("doctor", "user/Patient.rs", "bound s1"),
        ("nurse", "user/Subscription.rs", "bound s1"),
        ("nurse", "user/Patient.rs", "error 404 There is no such Subscription."),
    ):
        token = await here.token(login, scopes)
        async with connect(here.url, additional_headers={"Authorization": f"Bearer {token}"}) as client:
            await client.send("bind s1")
            assert await heard(client) == [answer]


async def test_an_access_token_that_does_not_hold_closes(here: Here) -> None:
    async with connect(here.url, additional_headers={"Authorization": "Bearer unknown"}) as client:
        assert await closed(client) == module.UNAUTHORIZED


async def test_the_socket_ends_with_the_access_token_unless_it_was_renewed(here: Here) -> None:
    for renew in (False, True):
        first, second = await here.token(), await here.token()
        await here.subscribe("s1", first)
        async with connect(here.url) as client:
            await client.send(f"auth {first}")
            await client.send("bind s1")
            assert await heard(client, 2) == ["authenticated", "bound s1"]
            if renew:
                await client.send(f"auth {second}")
                assert await heard(client) == ["authenticated"]
            past = {"$set": {"until": now() - timedelta(seconds=1)}}
            await here.process.database.system["auth_tokens"].update_one({"_id": digest(first)}, past)
            await here.process.changes.announce()
            if renew:
                await here.engine.number("s1")
                assert await heard(client) == ["ping s1"]
            else:
                assert await closed(client) == module.UNAUTHORIZED


async def test_a_socket_is_one_callers(here: Here) -> None:
    async with connect(here.url) as client:
        await client.send(f"auth {await here.token()}")
        await client.send(f"auth {await here.token('nurse')}")
        said = await heard(client, 2)
        assert said[0] == "authenticated"
        assert said[1].startswith("error 403")


# ---- the backport guide -----------------------------------------------------------------------------------


async def test_point_4_bound_by_a_token_handshake_and_then_notifications_in_order(here: Here) -> None:
    token = await here.token()
    for id_ in ("s1", "s2"):
        await here.subscribe(id_, token)
    await here.engine.number("s1", 5)
    async with connect(here.url) as client:
        await client.send(f"bind-with-token {await here.binding(token, 's1', 's2')}")
        assert sorted(await bundles(client, 2)) == [("handshake", 0, []), ("handshake", 5, [])]
        await here.engine.number("s1", 3)
        assert await bundles(client, 3) == [("event-notification", n, [n]) for n in (6, 7, 8)]


async def test_what_is_told_is_in_the_audit_trail_and_a_ping_tells_nothing(behind: Process, tmp_path: Path) -> None:
    database, now_ = behind.database, behind.repository.flusher.clock.now
    trail = Trail(database, tmp_path, alive=behind.processes.alive, now=now_, wait=True)
    await trail.start()
    async with serving(behind, trail=trail) as here, connect(here.url, user_agent_header="x/1") as client:
        token = await here.token()
        for id_ in ("s1", "s2"):
            await here.subscribe(id_, token, payload="application/fhir+json")
        await client.send(f"auth {token}")
        await client.send("bind s2")
        await heard(client, 2)
        await client.send(f"bind-with-token {await here.binding(token, 's1')}")
        await bundles(client)
        await here.engine.number("s2")
        await heard(client)
        await here.engine.number("s1")
        await bundles(client)
    groups = [one async for one in trail.store.groups.find()]
    (told,) = [entry for one in groups for entry in decode(one["e"])]
    await trail.stop()
    assert (told.type, told.id, told.query) == ("Patient", "1", "subscription=s1&event-number=1")
    assert (told.agent.user, told.agent.software, told.agent.address) == ("Practitioner/1", "x/1", "127.0.0.1")


async def test_a_binding_may_begin_at_a_position(here: Here) -> None:
    token = await here.token()
    await here.subscribe("s1", token, max_count=3)
    await here.engine.number("s1", 5)
    async with connect(here.url) as client:
        await client.send(f"bind-with-token: {await here.binding(token, 's1', after=1)}")
        found = await bundles(client, 3)
        assert [numbers for _, _, numbers in found] == [[], [2, 3, 4], [5]]


async def test_binding_again_goes_on_and_tells_nothing_twice(here: Here) -> None:
    token = await here.token()
    await here.subscribe("s1", token)
    async with connect(here.url) as client:
        for n in (0, 1, 2):
            await client.send(f"bind-with-token {await here.binding(token, 's1')}")
            assert await bundles(client) == [("handshake", n, [])]
            await here.engine.number("s1")
            assert await bundles(client) == [("event-notification", n + 1, [n + 1])]
        await client.send(f"auth {token}")
        await client.send("bind s1")
        assert (await heard(client, 2))[1].startswith("error 409")


async def test_content_and_format_are_what_the_subscription_asks_for(here: Here) -> None:
    token = await here.token()
    extension = [{"url": CONTENT, "valueCode": "full-resource"}]
    for id_, mime in (("s1", "application/fhir+json"), ("s2", "application/fhir+xml")):
        await here.subscribe(id_, token, payload=mime, _payload={"extension": extension})
        async with connect(here.url) as client:
            await client.send(f"bind-with-token {await here.binding(token, id_)}")
            await heard(client)
            await here.engine.number(id_)
            (text,) = await heard(client)
            bundle = json.decode(text) if mime.endswith("json") else xml.decode(text.encode())
            assert bundle["entry"][1]["resource"]["id"] == "1"


async def test_heartbeats_come_when_asked_for(here: Here) -> None:
    token = await here.token()
    await here.subscribe("s1", token, heartbeat=1)
    async with connect(here.url) as client:
        await client.send(f"bind-with-token {await here.binding(token, 's1')}")
        assert await bundles(client, 2) == [("handshake", 0, []), ("heartbeat", 0, [])]


async def test_a_binding_token_is_good_once(here: Here) -> None:
    token = await here.token()
    await here.subscribe("s1", token)
    binding = await here.binding(token, "s1")
    async with connect(here.url) as client, connect(here.url) as thief:
        await client.send(f"bind-with-token {binding}")
        assert await bundles(client) == [("handshake", 0, [])]
        await thief.send(f"bind-with-token {binding}")
        assert (await heard(thief))[0].startswith("error 401")


async def test_one_that_is_switched_off_says_so_and_the_others_go_on(here: Here) -> None:
    token = await here.token()
    for id_ in ("s1", "s2"):
        await here.subscribe(id_, token)
    async with connect(here.url) as client:
        await client.send(f"bind-with-token {await here.binding(token, 's1', 's2')}")
        await bundles(client, 2)
        kept = here.subscribers.remember(await here.principal(token))
        await here.engine.know("s1", kept, version=2, status="off")
        (text,) = await heard(client)
        assert wire.parameter(json.decode(text), "status")["valueCode"] == "off"
        await here.engine.number("s2")
        assert await bundles(client) == [("event-notification", 1, [1])]


# ---- what ends it -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["token", "grant", "user", "client"])
@pytest.mark.parametrize("form", ["ping", "bundle"])
async def test_point_7_a_revocation_closes_the_socket_though_nothing_happens(here: Here, what: str, form: str) -> None:
    token = await here.token()
    await here.subscribe("s1", token)
    async with connect(here.url) as client:
        if form == "ping":
            await client.send(f"auth {token}")
            await client.send("bind s1")
            await heard(client, 2)
        else:
            await client.send(f"bind-with-token {await here.binding(token, 's1')}")
            await heard(client)
        one = here.process
        registered = await one.clients.get("app")
        assert registered is not None
        if what == "token":
            await one.tokens.revoke_token(token, "app")
        elif what == "grant":
            await one.tokens.revoke_user("doctor")
        elif what == "user":
            await one.users.set_active("doctor", False)
        else:
            await one.clients.update(replace(registered, active=False))
        assert await closed(client) == module.UNAUTHORIZED


async def test_point_7_it_ends_with_the_subscribers_authorization_whoever_listens(here: Here) -> None:
    token = await here.token()
    await here.subscribe("s1", token)
    async with connect(here.url) as client:
        await client.send(f"auth {await here.token('nurse')}")
        await client.send("bind s1")
        assert await heard(client, 2) == ["authenticated", "bound s1"]
        await here.process.tokens.revoke_token(token, "app")
        assert await closed(client) == module.UNAUTHORIZED


async def test_point_7_also_when_another_process_revokes(mongo_uri: str, database: str, here: Here) -> None:
    token = await here.token()
    await here.subscribe("s1", token)
    async with process(mongo_uri, database) as there, connect(here.url) as client:
        await client.send(f"bind-with-token {await here.binding(token, 's1')}")
        await heard(client)
        assert await there.tokens.revoke_token(token, "app")  # returns once every process knows
        await here.engine.number("s1")
        assert await closed(client) == module.UNAUTHORIZED


async def test_point_7_whoever_signed_in_on_the_socket_counts_as_well(here: Here) -> None:
    subscribing, listening = await here.token(), await here.token()
    await here.subscribe("s1", subscribing)
    async with connect(here.url) as client:
        await client.send(f"auth {listening}")
        assert await heard(client) == ["authenticated"]
        await client.send(f"bind-with-token {await here.binding(subscribing, 's1')}")
        assert await bundles(client) == [("handshake", 0, [])]
        await here.process.tokens.revoke_token(listening, "app")
        assert await closed(client) == module.UNAUTHORIZED


async def test_there_is_one_path(here: Here) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await connect(f"ws://127.0.0.1:{here.port}/elsewhere")
    assert caught.value.response.status_code == 403


async def test_point_7_a_scope_taken_away_closes_and_nothing_more_is_told(here: Here) -> None:
    token = await here.token()
    await here.subscribe("s1", token)
    async with connect(here.url) as client:
        await client.send(f"bind-with-token {await here.binding(token, 's1')}")
        await heard(client)
        app = await here.process.clients.get("app")
        assert isinstance(app, Client)
        await here.process.clients.update(replace(app, scopes="user/Subscription.rs"))
        await here.engine.number("s1")
        texts = []
        with suppress(ConnectionClosed):
            while True:
                texts += await heard(client)
        assert texts == []
        assert client.close_code == module.NARROWED


async def test_a_server_that_stops_says_so(here: Here) -> None:
    async with connect(here.url) as client:
        await client.send(f"auth {await here.token()}")
        await heard(client)
        await here.sockets.stop()
        assert await closed(client) == module.RESTART


# ---- limits -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "is_welcome"),
    [
        (None, True),
        ("https://app.example", True),
        ("own", True),
        ("https://evil.example", False),
        ("null", False),
        ("https://app.example.evil.example", False),
    ],
)
async def test_pages_of_other_origins_do_not_connect(here: Here, origin: str | None, is_welcome: bool) -> None:
    sent = f"http://127.0.0.1:{here.port}" if origin == "own" else origin
    headers = {} if sent is None else {"Origin": sent}
    if is_welcome:
        async with connect(here.url, additional_headers=headers):
            return
    with pytest.raises(InvalidStatus) as caught:
        await connect(here.url, additional_headers=headers)
    assert caught.value.response.status_code == 403


async def test_messages_are_limited_in_size_and_number_and_kind(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connect(here.url) as client:
        await client.send("x" * (module.MAX_MESSAGE + 1))
        assert await closed(client) == module.TOO_BIG
    async with connect(here.url) as client:
        await client.send(b"bind s1")
        assert await closed(client) == module.UNSUPPORTED
    monkeypatch.setattr(module, "PER_SECOND", 0)
    async with connect(here.url) as client:
        for _ in range(module.BURST + 1):
            with suppress(ConnectionClosed):
                await client.send("unbind x")
        assert await closed(client) == module.TOO_MANY


async def test_bindings_and_sockets_are_limited(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BINDINGS", 1)
    monkeypatch.setattr(module, "MAX_SOCKETS", 1)
    token = await here.token()
    for id_ in ("s1", "s2"):
        await here.subscribe(id_, token)
    async with connect(here.url) as client:
        await client.send(f"auth {token}")
        for id_ in ("s1", "s2"):
            await client.send(f"bind {id_}")
        said = await heard(client, 3)
        assert sorted(one.split(" The")[0].split(" A")[0] for one in said) == ["authenticated", "bound s1", "error 429"]
        async with connect(here.url) as second:
            await second.send(f"auth {token}")
            assert await closed(second) == module.TOO_MANY
    while here.sockets.open:
        await asyncio.sleep(0.01)
    assert not here.sockets.callers
    async with connect(here.url) as third:
        await third.send(f"auth {token}")
        assert await heard(third) == ["authenticated"]


async def test_strangers_are_limited_in_time_and_number(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "MAX_STRANGERS", 1)
    async with connect(here.url):
        while not here.sockets.open:
            await asyncio.sleep(0.01)
        with pytest.raises(InvalidStatus):
            await connect(here.url)
    monkeypatch.setattr(app, "MAX_STRANGERS", 10)
    monkeypatch.setattr(module, "IDLE", 0.05)
    async with connect(here.url) as client:
        assert await closed(client) == module.NORMAL


async def test_a_client_that_takes_nothing_is_disconnected(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    token = await here.token()
    extension = [{"url": CONTENT, "valueCode": "full-resource"}]
    await here.process.put({"resourceType": "Patient", "id": "3", "text": {"status": "empty", "div": "x" * 2_000_000}})
    await here.subscribe("s1", token, payload="application/fhir+json", _payload={"extension": extension})
    async with connect(here.url, max_size=None, max_queue=1, compression=None) as client:
        await client.send(f"bind-with-token {await here.binding(token, 's1')}")
        await heard(client)
        monkeypatch.setattr(module, "SLOW", 0.2)
        await here.engine.number("s1", 50, focus="Patient/3")
        while here.sockets.open:
            await asyncio.sleep(0.05)
        client.transport.abort()


# ---- open mode, and the channel ---------------------------------------------------------------------------


async def test_in_open_mode_everybody_binds_but_foreign_names_of_the_machine(behind: Process) -> None:
    async with serving(behind, is_open=True) as here:
        await here.process.put(resource("s1"))
        await here.engine.know("s1")
        async with connect(here.url) as client:
            await client.send("bind s1")
            assert await heard(client) == ["bound s1"]
            await here.engine.number("s1")
            assert await heard(client) == ["ping s1"]
        with pytest.raises(InvalidStatus):
            await connect(f"ws://evil.example:{here.port}/websocket", host="127.0.0.1", port=here.port)


def test_the_channel_carries_no_headers() -> None:
    assert (CHANNEL.name, CHANNEL.send) == ("websocket", None)
    CHANNEL.check(parse(resource("a")), Settings())
    with pytest.raises(Unprocessable) as caught:
        CHANNEL.check(parse(resource("a", header=["X-Key: 1"])), Settings())
    assert caught.value.issues[0].expression == ("Subscription.channel.header",)
