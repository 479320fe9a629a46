"""Server processes with sign-in, subscriptions and real-time on one database, and the clients that connect to them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

import httpx
import uvicorn
from socketio import AsyncClient
from socketio.exceptions import ConnectionError

import subscriptions.operations
from fhir_server.access import Principal
from fhir_server.access.principal import SYSTEM
from fhir_server.cli.processes import WEBSOCKETS
from fhir_server.config import Settings
from fhir_server.context import Context, FhirRequest
from fhir_server.dispatch import dispatch
from fhir_server.json import decode, encode
from fhir_server.main import Server, running
from fhir_server.registry import discover
from fhir_server.rest.app import FhirApp
from realtime.service import Realtime
from smart_auth.clients import Client
from smart_auth.grant import Grant, new_id
from smart_auth.service import SmartAuth
from smart_auth.users import User
from subscriptions.rights import Everybody
from subscriptions.service import Subscriptions

Json = dict[str, Any]
SECONDS = 60.0  # after which nobody waits any longer
ANN, BEN, DORA, NICK, MARY = "Patient/ann", "Patient/ben", "Practitioner/dora", "Practitioner/nick", "Practitioner/mary"
ROLES = {DORA: "doctor", NICK: "nurse", MARY: "receptionist", ANN: "patient", BEN: "patient"}


def person(reference: str, given: str, family: str) -> Json:
    type_, _, id_ = reference.partition("/")
    return {"resourceType": type_, "id": id_, "name": [{"given": [given], "family": family}], "active": True}


def case(id_: str, patient: str, *practitioners: str) -> Json:
    return {
        "resourceType": "Encounter",
        "id": id_,
        "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "VR"},
        "subject": {"reference": patient},
        "participant": [{"individual": {"reference": one}} for one in practitioners],
    }


WORLD = [
    person(ANN, "Ann", "Archer"),
    person(BEN, "Ben", "Booker"),
    person(DORA, "Dora", "Dale"),
    person(NICK, "Nick", "Nash"),
    person(MARY, "Mary", "Mill"),
    case("ann-case", ANN, DORA, NICK),
    case("ben-case", BEN, DORA),
]


class Refused(Exception):
    """The connection did not come about; with what a connect_error said."""


@dataclass
class Ear:
    """A connected client, and all that it was told."""

    client: Any
    heard: list[tuple[str, Any]] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self, event: str, data: Any = None, namespace: str = "/") -> Json:
        """The acknowledgement of an event."""
        answer: Json = await self.client.call(event, data, namespace=namespace, timeout=SECONDS)
        return answer

    async def hears(self, event: str, fits: Callable[[Any], bool] = lambda _: True, count: int = 1) -> list[Any]:
        """What came with the event, once there are so many that fit."""

        def found() -> list[Any]:
            return [data for name, data in self.heard if name == event and fits(data)]

        async with asyncio.timeout(SECONDS), self.news:
            await self.news.wait_for(lambda: len(found()) >= count)
        return found()

    async def refused(self, told: Any = None) -> None:
        """What a connect_error said."""
        self.heard.append(("connect_error", told))

    def names(self) -> list[str]:
        """The events so far."""
        return [name for name, _ in self.heard]


@dataclass
class Site:
    """One server process of the house."""

    url: str
    server: Server
    auth: SmartAuth | None
    subscriptions: Subscriptions
    realtime: Realtime
    http: httpx.AsyncClient
    stack: AsyncExitStack

    async def token(self, user: str, scopes: str = "", *, seconds: int = 3600, grant: str = "", **given: Any) -> str:
        """An access token of a user, by reference."""
        assert self.auth is not None
        if not scopes:
            scopes = "patient/*.cruds user/*.cruds" if user.startswith("Patient/") else "user/*.cruds"
        if user.startswith("Patient/"):
            given.setdefault("context", {"patient": user.partition("/")[2]})
        made = Grant(grant or new_id(), "app", user.partition("/")[2], user, scopes, **given)
        return (await self.auth.tokens.issue(made, seconds=seconds)).access

    async def write(self, resource: Json, token: str | None = None) -> Json:
        """Store a resource over HTTP; answers it as it is stored."""
        path = f"/fhir/{resource['resourceType']}" + (f"/{resource['id']}" if "id" in resource else "")
        headers = {"Content-Type": "application/fhir+json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        method = "PUT" if "id" in resource else "POST"
        answer = await self.http.request(method, path, content=encode(resource), headers=headers)
        assert answer.status_code in (200, 201), answer.text
        stored: Json = answer.json()
        return stored

    async def put(self, *resources: Json) -> None:
        """Store resources under their ids, as the server itself."""
        ctx = self.server.context()
        for one in resources:
            body = decode(encode(one))
            await ctx.dispatch(ctx, FhirRequest("PUT", f"{one['resourceType']}/{one['id']}", body=body))

    async def subscribe(self, token: str, criteria: str) -> str:
        """The id of an active Subscription of the token's user, for the channel socketio.

        Whether the user's role lets them write one is not what these tests are about.
        """
        assert self.auth is not None
        found = await self.auth.authenticator.authenticate(f"Bearer {token}".encode(), {})
        ctx = self.server.context(principal=replace(found, is_open=True))
        ctx.state["subscriptions"] = self.subscriptions
        backport = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-channel-type"
        system = "http://fhir-server.example/ig/CodeSystem/subscription-channel"
        named = {"extension": [{"url": backport, "valueCoding": {"system": system, "code": "socketio"}}]}
        channel = {"type": "websocket", "_type": named, "payload": "application/fhir+json"}
        resource = {
            "resourceType": "Subscription",
            "status": "requested",
            "reason": "a test",
            "criteria": criteria,
            "channel": channel,
        }
        answer = await ctx.dispatch(ctx, FhirRequest("POST", "Subscription", body=resource))
        assert answer.location is not None
        id_ = answer.location.split("/")[1]
        async with asyncio.timeout(SECONDS):
            while (await self.status(id_)) != "active":
                await asyncio.sleep(0.02)
            while await self.subscriptions.reader.state(id_) is None:
                await asyncio.sleep(0.02)
        return id_

    async def status(self, id_: str) -> str:
        """The status of a Subscription."""
        found = await self.server.repository.read(SYSTEM, "Subscription", id_)
        assert found is not None
        return str(found.resource()["status"])

    @asynccontextmanager
    async def connect(
        self, token: str | None = None, *, namespaces: tuple[str, ...] = ("/",), acknowledge: bool = True, **more: Any
    ) -> AsyncIterator[Ear]:
        """A client with the token, until the block ends."""
        client = AsyncClient(reconnection=False, request_timeout=SECONDS)
        ear = Ear(client)

        async def take(event: str, *data: Any) -> str:
            async with ear.news:
                ear.heard.append((event, data[0] if data else None))
                ear.news.notify_all()
            if event == "subscription:event" and not acknowledge:
                await ear.gone.wait()  # which is when nobody asks for it any longer
            return "ok"

        for namespace in namespaces:
            client.on("*", take, namespace=namespace)
            client.on("connect_error", ear.refused, namespace=namespace)
            client.on("disconnect", lambda *_: ear.gone.set(), namespace=namespace)
        auth = {"token": token} if token is not None else None
        more.setdefault("transports", ["websocket"])
        try:
            await client.connect(self.url, auth=auth, namespaces=list(namespaces), wait_timeout=60, **more)
        except ConnectionError as error:
            await client.disconnect()
            raise Refused(*(told for name, told in ear.heard if name == "connect_error")) from error
        try:
            yield ear
        finally:
            ear.gone.set()
            await client.disconnect()


@asynccontextmanager
async def open_site(settings: Settings, *, origins: frozenset[bytes] = frozenset()) -> AsyncIterator[Site]:
    """A process on the database of `settings`, with the world in it."""
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = listener.getsockname()[1]
        discover(subscriptions.operations)
        import_module("subscriptions.rules")
        server = await stack.enter_async_context(running(settings.model_copy(update={"port": port}), works=True))
        auth = None if settings.open else await _authorization(settings, server, stack)

        def context(base_url: str, request_id: str, principal: Principal) -> Context:
            made = server.context(base_url, request_id, principal)
            made.state |= {"auth": auth, "trail": server.trail, "subscriptions": subs}
            return made

        rights = auth.subscribers if auth is not None else Everybody()
        subs = Subscriptions(
            settings,
            server.database,
            server.repository,
            rights,
            server.base_url,
            lambda: server.context(),
            trail=server.trail,
        )
        await subs.prepare()
        await subs.start()
        stack.push_async_callback(subs.stop)
        authenticator = auth.authenticator if auth is not None else None
        live = Realtime(settings, server.database, server.repository, subs, authenticator, origins, context, dispatch)
        await live.start()
        stack.push_async_callback(live.stop)
        fhir = FhirApp(context, dispatch, settings, authenticator=authenticator, trail=server.trail)
        await _serve(_paths(fhir, live), listener, stack)
        url = f"http://127.0.0.1:{port}"
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=SECONDS))
        yield Site(url, server, auth, subs, live, http, stack)


async def _authorization(settings: Settings, server: Server, stack: AsyncExitStack) -> SmartAuth:
    auth = SmartAuth(settings, server.database, server.repository)
    await auth.prepare()
    await auth.start()
    stack.push_async_callback(auth.stop)
    server.repository.settle = auth.changes.settle
    if await auth.clients.get("app") is None:
        scopes = "patient/*.cruds user/*.cruds"
        await auth.clients.add(Client("app", "app", redirect_uris=("http://127.0.0.1/app",), scopes=scopes))
        for reference, role in ROLES.items():
            await auth.users.add(User(reference.partition("/")[2], fhir_user=reference, roles=(role,)))
        bundle = [
            {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
            for one in WORLD
        ]
        ctx = server.context()
        body = decode(encode({"resourceType": "Bundle", "type": "transaction", "entry": bundle}))
        await ctx.dispatch(ctx, FhirRequest("POST", "", body=body))
    return auth


def _paths(fhir: FhirApp, live: Realtime) -> Any:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await (fhir if scope["path"].startswith("/fhir") else live.asgi)(scope, receive, send)

    return application


async def _serve(application: Any, listener: socket.socket, stack: AsyncExitStack) -> None:
    config = uvicorn.Config(application, lifespan="off", log_level="warning", timeout_graceful_shutdown=1, **WEBSOCKETS)
    running = uvicorn.Server(config)
    task = asyncio.create_task(running._serve([listener]))

    async def end() -> None:
        running.should_exit = True
        await task

    stack.push_async_callback(end)
    while not running.started:
        assert not task.done()
        await asyncio.sleep(0.01)
