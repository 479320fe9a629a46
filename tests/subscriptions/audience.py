"""Subscribers of a running server, each listening on every channel there is, and all that they are told.

The server is the whole application behind a port of loopback, with sign-in; another process of the authorization
server, here, mints and revokes the tokens.
"""

from __future__ import annotations

import asyncio
import email
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.smtp import SMTP
from socketio import AsyncClient
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from fhir_server import json
from fhir_server.config import Settings
from smart_auth.clients import Client
from smart_auth.grant import Grant, new_id
from smart_auth.users import User
from subscriptions import wire
from subscriptions.extensions import BACKPORT
from tests.conftest import serve
from tests.smart_auth.process import Process, process
from tests.subscriptions.receiver import Receiver, Request, receiving

Json = dict[str, Any]
PATIENCE = 60.0  # seconds after which nobody waits any longer
SOCKETIO, WEBSOCKET, PING, REST_HOOK, EMAIL = CHANNELS = ("socketio", "websocket", "ping", "rest-hook", "email")
_NAMED = {"system": "http://fhir-server.example/ig/CodeSystem/subscription-channel", "code": "socketio"}


@dataclass(frozen=True)
class Caller:
    """Somebody who signs in: a user of this login, or a backend service."""

    name: str
    scopes: str
    fhir_user: str = ""
    role: str = ""
    patient: str = ""


@dataclass(frozen=True)
class Answer:
    """Of a request over REST."""

    status: int
    text: str

    @property
    def body(self) -> Json:
        return dict(json.decode(self.text.encode())) if self.text else {}


class Line:
    """One connection that is kept, for one request after the other: thousands of them are the most of such a test."""

    def __init__(self, base: str) -> None:
        _, _, self._host, self._path = base.split("/")
        self._turn = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, token: str, method: str, path: str, body: Json | None = None) -> Answer:
        data = json.encode(body) if body is not None else b""
        head = f"{method} /{self._path}/{path} HTTP/1.1\r\nHost: {self._host}\r\nAuthorization: Bearer {token}\r\n"
        head += f"Content-Type: application/fhir+json\r\nContent-Length: {len(data)}\r\n\r\n"
        async with self._turn:
            if self._streams is None or self._streams[0].at_eof():  # the server ends what is idle
                self._streams = await asyncio.open_connection(*self._host.split(":"))
            reader, writer = self._streams
            writer.write(head.encode() + data)
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
            length = next((int(line.split(":")[1]) for line in lines if line.startswith("content-length:")), 0)
            return Answer(int(lines[0].split(" ")[1]), (await reader.readexactly(length)).decode())

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


@dataclass
class Told:
    """One notification: the keys ("Type/id") that it names, and the resources in it. A ping names nothing."""

    bundle: Json | None = None
    resource: Json | None = None

    @property
    def foci(self) -> list[str]:
        return [_key(one["valueReference"]["reference"]) for one in self._parts("focus")]

    @property
    def contexts(self) -> set[str]:
        return {_key(one["valueReference"]["reference"]) for one in self._parts("additional-context")}

    @property
    def resources(self) -> list[Json]:
        if self.resource is not None:
            return [self.resource]
        return [one["resource"] for one in self._entries() if "resource" in one]

    @property
    def keys(self) -> set[str]:
        """Everything that it is about, wherever that is said."""
        found = {*self.foci, *self.contexts} | {f"{one['resourceType']}/{one['id']}" for one in self.resources}
        for entry in self._entries():
            found |= {_key(entry["fullUrl"])}
            found |= {entry["request"]["url"]} if "/" in entry["request"]["url"] else set()
        return found

    @property
    def is_whole(self) -> bool:
        """Whether it tells what comes along, too."""
        return bool(self._entries())

    def _entries(self) -> list[Json]:
        return self.bundle["entry"][1:] if self.bundle is not None else []

    def _parts(self, name: str) -> list[Json]:
        if self.bundle is None:
            return []
        listed = self.bundle["entry"][0]["resource"]["parameter"]
        events = [one["part"] for one in listed if one["name"] == "notification-event"]
        return [part for parts in events for part in parts if part["name"] == name]


@dataclass
class Ear:
    """One Subscription, and all that came over its channel."""

    id: str
    channel: str
    criteria: str
    content: str
    told: list[Told] = field(default_factory=list)


@dataclass
class Listener:
    """A caller with a token, and what they follow."""

    caller: Caller
    client: str
    token: str
    ears: dict[str, Ear] = field(default_factory=dict)  # by the Subscription's id
    gone: set[str] = field(default_factory=set)  # channels whose sockets were closed
    sockets: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def live(self) -> set[str]:
        """The channels with a socket."""
        return {one.channel for one in self.ears.values()} & {SOCKETIO, WEBSOCKET, PING}


class Audience:
    """Everybody who listens to one server. `news` is notified of whatever comes."""

    def __init__(self, base: str, auth: Process, hooks: Receiver, stack: AsyncExitStack):
        self.base = base
        self.auth = auth
        self._lines: dict[str, Line] = {}  # by token
        self.hooks = hooks
        self.news = asyncio.Condition()
        self.ears: dict[str, Ear] = {}
        self.held = asyncio.Event()  # while it is not set, rest-hooks wait for their answer
        self.held.set()
        self.waiting = 0
        self._endpoints: dict[str, str] = {}
        self._stack = stack

    # ---- who they are --------------------------------------------------------------------------------

    async def sign_in(self, caller: Caller) -> Listener:
        """With an app of their own, so that what happens to it happens to nobody else."""
        client = f"app-{caller.name}".replace(" ", "-")
        login = caller.name.replace(" ", "-") if caller.fhir_user else ""
        await self.auth.clients.add(Client(client, client, redirect_uris=("http://127.0.0.1/app",)))
        if login:
            await self.auth.users.add(User(login, fhir_user=caller.fhir_user, roles=(caller.role,)))
        context = {"patient": caller.patient.partition("/")[2]} if caller.patient else {}
        grant = Grant(new_id(), client, login, caller.fhir_user, caller.scopes, context)
        token = (await self.auth.tokens.issue(grant, seconds=3600)).access
        listener = Listener(caller, client, token)
        self._stack.push_async_callback(listener.sockets.aclose)
        return listener

    async def ask(self, token: str, method: str, path: str, body: Json | None = None) -> Answer:
        """Over REST, with a connection for every token."""
        line = self._lines.get(token)
        if line is None:
            line = self._lines[token] = Line(self.base)
            self._stack.callback(line.close)
        return await line.ask(token, method, path, body)

    # ---- how they listen -----------------------------------------------------------------------------

    async def subscribe(self, who: Listener, channel: str, criteria: str, content: str = "", mime: str = "") -> None:
        """Leave a Subscription; `content` is "" for R4's own form."""
        name = new_id()
        type_ = "websocket" if channel in (SOCKETIO, PING) else channel
        made: Json = {"type": type_}
        if channel == SOCKETIO:
            made["_type"] = _extension("backport-channel-type", valueCoding=_NAMED)
        if channel == REST_HOOK:
            made["endpoint"] = f"{self.hooks.url}/{name}"
        if channel == EMAIL:
            made["endpoint"] = f"mailto:{name}@mail.example"
        if mime or content:
            made["payload"] = mime or "application/fhir+json"
        if content:
            made["_payload"] = _extension("backport-payload-content", valueCode=content)
        resource = {"resourceType": "Subscription", "status": "requested", "reason": "test", "criteria": criteria}
        self._endpoints[name] = ""
        answer = await self.ask(who.token, "POST", "Subscription", {**resource, "channel": made})
        assert answer.status == 201, f"{who.caller.name} {channel} {criteria}: {answer.text}"
        id_ = answer.body["id"]
        self._endpoints[name] = id_
        self.ears[id_] = who.ears[id_] = Ear(id_, channel, criteria, content)

    async def open_sockets(self, who: Listener) -> None:
        """Once their subscriptions are active: one connection for each kind of socket."""
        await self.until_active(who)
        if SOCKETIO in who.live:
            await self._socketio(who)
        if WEBSOCKET in who.live:
            await self._websocket(who, WEBSOCKET)
        if PING in who.live:
            await self._websocket(who, PING)

    async def until_active(self, who: Listener) -> None:
        async with asyncio.timeout(PATIENCE):
            while {row["status"] for row in (await self.rows(who.ears)).values()} != {"active"}:
                await asyncio.sleep(0.02)

    async def rows(self, ids: Any = None) -> dict[str, Json]:
        """What the engine knows of these subscriptions, or of everybody's."""
        ids = list(self.ears if ids is None else ids)
        fields = {"count": 1, "sent": 1, "status": 1}
        found = self.auth.database.system["sub_active"].find({"_id": {"$in": ids}}, fields)
        rows = {row["_id"]: row async for row in found}
        return {id_: rows.get(id_, {"status": "", "count": 0}) for id_ in ids}

    async def _socketio(self, who: Listener) -> None:
        client = AsyncClient(reconnection=False)

        async def take(bundle: Json) -> str:
            await self._heard(bundle)
            return "ok"

        async def gone(*_: Any) -> None:
            await self._closed(who, SOCKETIO)

        client.on("subscription:event", take)
        client.on("disconnect", gone)
        url = self.base.removesuffix("/fhir")
        await client.connect(url, auth={"token": who.token}, transports=["websocket"], wait_timeout=60)
        who.sockets.push_async_callback(client.disconnect)
        for ear in who.ears.values():
            if ear.channel == SOCKETIO:
                answer = await client.call("subscription:join", {"subscription": ear.id, "after": 0}, timeout=PATIENCE)
                assert answer["ok"], answer

    async def _websocket(self, who: Listener, channel: str) -> None:
        url = self.base.replace("http", "ws", 1).removesuffix("/fhir") + "/websocket"
        socket = await who.sockets.enter_async_context(connect(url, open_timeout=PATIENCE))
        ids = [one.id for one in who.ears.values() if one.channel == channel]
        if channel == WEBSOCKET:
            query = "&".join(f"id={id_}" for id_ in ids)
            answer = await self.ask(who.token, "GET", f"Subscription/$get-ws-binding-token?{query}")
            (token,) = (one["valueString"] for one in answer.body["parameter"] if one["name"] == "token")
            await socket.send(f"bind-with-token {token}")
            for _ in ids:
                assert wire.kind(json.decode(await socket.recv())) == "handshake"
        else:
            await socket.send(f"auth {who.token}")
            assert await socket.recv() == "authenticated"
            for id_ in ids:
                await socket.send(f"bind {id_}")
            assert {await socket.recv() for _ in ids} == {f"bound {id_}" for id_ in ids}
        listening = asyncio.create_task(self._listen(who, channel, socket))

        async def end() -> None:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

        who.sockets.push_async_callback(end)

    async def _listen(self, who: Listener, channel: str, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for text in socket:
                assert isinstance(text, str)
                if text.startswith("ping "):
                    await self._note(text.removeprefix("ping "), Told())
                elif text.startswith("{"):
                    await self._heard(json.decode(text))
        await self._closed(who, channel)

    # ---- what they are told --------------------------------------------------------------------------

    async def take_request(self, request: Request) -> int:
        """A rest-hook's: a Bundle, or in R4's own form the resource itself."""
        id_ = self._endpoints[request.path.split("/")[2]]
        if not request.body:
            await self._note(id_, Told())
        elif request.method == "PUT":
            await self._note(id_, Told(resource=request.resource))
        else:
            await self._heard(request.resource)
        self.waiting += 1
        await self.held.wait()
        self.waiting -= 1
        return 200

    async def take_email(self, recipient: str, content: bytes) -> None:
        id_ = self._endpoints[recipient.partition("@")[0]]
        message = email.message_from_bytes(content)
        if "notification of" not in str(message["Subject"]):
            return
        for part in message.walk():
            if part.get_filename():
                body = part.get_payload(decode=True)
                assert isinstance(body, bytes)
                await self._heard(dict(json.decode(body)))
                return
        await self._note(id_, Told())

    async def _heard(self, bundle: Json) -> None:
        if wire.kind(bundle) == "event-notification":
            reference = wire.parameter(bundle, "subscription")["valueReference"]["reference"]
            await self._note(reference.rpartition("/")[2], Told(bundle))

    async def _note(self, id_: str, told: Told) -> None:
        async with self.news:
            self.ears[id_].told.append(told)
            self.news.notify_all()

    async def _closed(self, who: Listener, channel: str) -> None:
        async with self.news:
            who.gone.add(channel)
            self.news.notify_all()

    async def until(self, holds: Callable[[], bool], seconds: float = PATIENCE) -> bool:
        """Whether it comes to hold, looked at whenever something comes."""
        try:
            async with asyncio.timeout(seconds), self.news:
                await self.news.wait_for(holds)
        except TimeoutError:
            return False
        return True


class _Letters:
    def __init__(self) -> None:
        self.audience: Audience | None = None

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        assert self.audience is not None
        await self.audience.take_email(envelope.rcpt_tos[0], envelope.content)
        return "250 OK"


@asynccontextmanager
async def audience(settings: Settings) -> AsyncIterator[Audience]:
    """A server with these settings, and nobody listening yet."""
    letters = _Letters()
    async with AsyncExitStack() as stack:
        loop = asyncio.get_running_loop()
        mail = await loop.create_server(lambda: SMTP(letters), "127.0.0.1", 0)
        stack.callback(mail.close)
        more = {
            "open": False,
            "smtp_url": f"smtp://127.0.0.1:{mail.sockets[0].getsockname()[1]}",
            "mail_from": "no-reply@clinic.example",
            "allow_private_endpoints": True,
            "mails_per_hour": 0,
        }
        base = stack.enter_context(serve(settings.model_copy(update=more)))
        assert settings.mongodb_uri is not None
        auth = await stack.enter_async_context(process(settings.mongodb_uri, settings.database))

        async def take(request: Request) -> int:
            return await made.take_request(request)

        hooks = await stack.enter_async_context(receiving(take))
        made = letters.audience = Audience(base, auth, hooks, stack)
        yield made


def _extension(name: str, **value: Any) -> Json:
    return {"extension": [{"url": BACKPORT + name, **value}]}


def _key(url: str) -> str:
    """ "Type/id" of a URL that ends so, also where a version follows."""
    return "/".join(url.partition("/_history/")[0].split("/")[-2:])
