"""A clinic in which workflows are played: a whole server with its guide, and people with tokens of their own roles.

async with clinic.acting("dora") as dora, clinic.acting("ann") as ann: ...
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import pytest
from socketio import AsyncClient

import smart_auth.changes
from fhir_server.config import Settings
from fhir_server.context import FhirRequest
from fhir_server.json import decode, encode
from fhir_server.main import Server, running
from smart_auth.clients import Client
from smart_auth.grant import Grant, new_id
from smart_auth.service import SmartAuth
from smart_auth.users import User

Json = dict[str, Any]
T = TypeVar("T")
SECONDS = 60.0  # after which nobody waits any longer
MAILBOX = "mailbox"  # below the data directory

ANN, BEN = "Patient/ann", "Patient/ben"
DORA, DAN = "Practitioner/dora", "Practitioner/dan"  # doctors
NICK = "Practitioner/nick"  # nurse
SARA, SAUL = "Practitioner/sara", "Practitioner/saul"  # specialists: cardiology and its colleague
PETE, PAM = "Practitioner/pete", "Practitioner/pam"  # paramedics
ADA = "Practitioner/ada"  # administrator
OLGA = "Practitioner/olga"  # privacy officer
MARY = "Practitioner/mary"  # receptionist
ROLES = {
    DORA: "doctor",
    DAN: "doctor",
    NICK: "nurse",
    SARA: "specialist",
    SAUL: "specialist",
    PETE: "paramedic",
    PAM: "paramedic",
    ADA: "administrator",
    OLGA: "privacy-officer",
    MARY: "receptionist",
    ANN: "patient",
    BEN: "patient",
}
CLINIC = "Organization/clinic"
CARDIOLOGY = "PractitionerRole/sara-cardiology"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
PRIORITY = "http://terminology.hl7.org/CodeSystem/v3-ActPriority"


def person(reference: str) -> Json:
    type_, _, id_ = reference.partition("/")
    return {"resourceType": type_, "id": id_, "active": True, "name": [{"given": [id_.title()], "family": "Test"}]}


def role(id_: str, practitioner: str, **more: Any) -> Json:
    """A PractitionerRole at the clinic."""
    return {
        "resourceType": "PractitionerRole",
        "id": id_,
        "active": True,
        "practitioner": {"reference": practitioner},
        "organization": {"reference": CLINIC},
        **more,
    }


WORLD: list[Json] = [
    {"resourceType": "Organization", "id": "clinic", "active": True, "name": "Clinic"},
    *(person(one) for one in ROLES),
    role("sara-cardiology", SARA),
    role("saul-cardiology", SAUL),
]


class Refused(AssertionError):
    """An answer that was not expected."""


@dataclass
class Actor:
    """Somebody with their own token: HTTP below /fhir, and sockets."""

    user: str
    token: str
    http: httpx.AsyncClient  # below the FHIR base
    issuer: str

    async def ask(
        self, method: str, path: str, body: Any = None, *, expect: int | tuple[int, ...] = 200, **more: Any
    ) -> Json:
        """The JSON of an answer with the expected status ({} without content)."""
        if body is not None:
            kind = "application/json-patch+json" if method == "PATCH" else "application/fhir+json"
            more.setdefault("headers", {}).setdefault("Content-Type", kind)
            more["content"] = encode(body)
        answer = await self.http.request(method, path, **more)
        expected = (expect,) if isinstance(expect, int) else expect
        if answer.status_code not in expected:
            raise Refused(f"{method} {path}: {answer.status_code}, not {expected}: {answer.text}")
        return answer.json() if answer.content else {}

    async def get(self, path: str, *, expect: int = 200) -> Json:
        return await self.ask("GET", path, expect=expect)

    async def post(self, path: str, body: Any, *, expect: int = 201) -> Json:
        """Create below a type, or call an operation (`expect=200`)."""
        return await self.ask("POST", path, body, expect=expect)

    async def put(self, resource: Json, *, expect: int | tuple[int, ...] = (200, 201)) -> Json:
        return await self.ask("PUT", f"{resource['resourceType']}/{resource['id']}", resource, expect=expect)

    async def patch(self, path: str, *operations: Json, expect: int = 200) -> Json:
        """A JSON Patch: `await dora.patch("Task/1", {"op": "replace", "path": "/status", "value": "accepted"})`."""
        return await self.ask("PATCH", path, list(operations), expect=expect)

    async def found(self, query: str) -> list[Json]:
        """The resources that a search finds (matches only)."""
        bundle = await self.get(query)
        return [one["resource"] for one in bundle.get("entry", ()) if one.get("search", {}).get("mode") != "include"]

    async def until(self, query: str, fits: Callable[[list[Json]], bool] = bool) -> list[Json]:
        """What a search finds, once it fits: for what the server does by itself a moment later."""
        async with asyncio.timeout(SECONDS):
            while not fits(found := await self.found(query)):
                await asyncio.sleep(0.05)  # a search cannot be awaited; sockets can, see `connect`
        return found

    @asynccontextmanager
    async def connect(self, namespace: str = "/", headers: dict[str, str] | None = None) -> AsyncIterator[Ear]:
        """A Socket.IO connection with the token, until the block ends."""
        client = AsyncClient(reconnection=False)
        ear = Ear(client, namespace)
        client.on("*", ear.take, namespace=namespace)
        auth = {"token": self.token}
        await client.connect(
            self.issuer,
            headers or {},
            auth,
            transports=["websocket"],
            namespaces=[namespace],
            wait_timeout=SECONDS,
        )
        try:
            yield ear
        finally:
            await client.disconnect()


@dataclass
class Ear:
    """A connected client, and all that it was told."""

    client: Any
    namespace: str
    heard: list[tuple[str, Any]] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, event: str, *data: Any) -> str:
        async with self.news:
            self.heard.append((event, data[0] if data else None))
            self.news.notify_all()
        return "ok"

    async def ask(self, event: str, data: Any = None) -> Json:
        """The acknowledgement of an event."""
        answer: Json = await self.client.call(event, data, namespace=self.namespace, timeout=SECONDS)
        return answer

    async def hears(self, event: str, fits: Callable[[Any], bool] = lambda _: True, count: int = 1) -> list[Any]:
        """What came with the event, once there are so many that fit."""

        def found() -> list[Any]:
            return [data for name, data in self.heard if name == event and fits(data)]

        async with asyncio.timeout(SECONDS), self.news:
            await self.news.wait_for(lambda: len(found()) >= count)
        return found()


class Clinic:
    """The running server, and its office in a thread of its own beside it."""

    def __init__(self, base: str, settings: Settings, loop: asyncio.AbstractEventLoop, server: Server, auth: SmartAuth):
        self.base = base  # of the FHIR API
        self.settings = settings
        self.issuer = base.removesuffix("/fhir")
        self._loop, self._server, self._auth = loop, server, auth

    @property
    def mailbox(self) -> Path:
        """The folder with the latest e-mail to each address, a file of that name."""
        return self.settings.data_dir / MAILBOX

    async def letter(self, address: str) -> str:
        """The latest e-mail to the address, once it is there; it is taken out."""
        file = self.mailbox / address
        async with asyncio.timeout(SECONDS):
            while not file.exists():
                await asyncio.sleep(0.02)  # e-mail goes out after the answer; nothing tells that it has come
        text = file.read_text()
        file.unlink()
        return text

    def do(self, work: Callable[[SmartAuth], Coroutine[Any, Any, T]]) -> T:
        """What `work` answers, in the office."""
        return asyncio.run_coroutine_threadsafe(work(self._auth), self._loop).result(60)

    def put(self, *resources: Json) -> None:
        """Store resources under their ids as the server itself: what a test starts from."""

        async def store() -> None:
            ctx = self._server.context()
            for one in resources:
                path = f"{one['resourceType']}/{one['id']}"
                await ctx.dispatch(ctx, FhirRequest("PUT", path, body=decode(encode(one))))

        asyncio.run_coroutine_threadsafe(store(), self._loop).result(60)

    def token(self, name: str, scopes: str = "") -> str:
        """An access token of somebody of ROLES by name ("dora"), with the scopes that an app of theirs has."""
        user = next(one for one in ROLES if one.partition("/")[2] == name)
        context = {"patient": name} if user.startswith("Patient/") else {}
        scopes = scopes or ("patient/*.cruds user/*.cruds" if context else "user/*.cruds")
        grant = Grant(new_id(), "app", name, user, scopes, context=context)
        return self.do(lambda auth: auth.tokens.issue(grant, seconds=3600)).access

    @asynccontextmanager
    async def acting(self, name: str, scopes: str = "") -> AsyncIterator[Actor]:
        """Somebody of ROLES by name, with a token of their own."""
        token = self.token(name, scopes)
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=f"{self.base}/", headers=headers, timeout=SECONDS) as http:
            user = next(one for one in ROLES if one.partition("/")[2] == name)
            yield Actor(user, token, http, self.issuer)

    @asynccontextmanager
    async def newcomer(self) -> AsyncIterator[Actor]:
        """A new patient of the test's own, with a token of theirs."""
        user = self.patient("new")
        name = user.partition("/")[2]
        self.do(lambda auth: auth.users.add(User(name, fhir_user=user, roles=("patient",))))
        grant = Grant(new_id(), "app", name, user, "patient/*.cruds user/*.cruds", context={"patient": name})
        token = self.do(lambda auth: auth.tokens.issue(grant, seconds=3600)).access
        async with httpx.AsyncClient(
            base_url=f"{self.base}/", headers={"Authorization": f"Bearer {token}"}, timeout=SECONDS
        ) as http:
            yield Actor(user, token, http, self.issuer)

    def patient(self, name: str = "pat") -> str:
        """A new patient of the test's own, "Patient/…"."""
        reference = f"Patient/{name}-{uuid4().hex[:8]}"
        self.put(person(reference))
        return reference


@contextmanager
def quick_leases() -> Iterator[None]:
    """Who changes rights waits until no other process uses those of before: a third of a second here, not a whole one.

    The office is such another process. How long a lease lasts is not what these tests are about.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(smart_auth.changes, "LEASE", 0.3)
        patch.setattr(smart_auth.changes, "MARGIN", 0.02)
        yield


@contextmanager
def open_clinic(base: str, settings: Settings) -> Iterator[Clinic]:
    """The office of a server that runs on the database of `settings`, with the clinic's people in it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    opened = running(settings)

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(120)

    async def enter() -> tuple[Server, SmartAuth]:
        server = await opened.__aenter__()
        auth = SmartAuth(settings, server.database, server.repository)
        await auth.prepare()
        scopes = "openid fhirUser launch/patient patient/*.cruds user/*.cruds"
        await auth.clients.add(Client("app", "app", redirect_uris=("http://127.0.0.1/app",), scopes=scopes))
        for reference, named in ROLES.items():
            await auth.users.add(User(reference.partition("/")[2], fhir_user=reference, roles=(named,)))
        return server, auth

    try:
        clinic = Clinic(base, settings, loop, *run(enter()))
        clinic.put(*WORLD)
        yield clinic
    finally:
        run(opened.__aexit__(None, None, None))
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def case(patient: str, *practitioners: str, **more: Any) -> Json:
    """An Encounter that is a telemedicine case, to be posted."""
    return {
        "resourceType": "Encounter",
        "status": "planned",
        "class": {"system": ACT, "code": "VR"},
        "priority": {"coding": [{"system": PRIORITY, "code": "UR"}]},
        "subject": {"reference": patient},
        **({"participant": [{"individual": {"reference": one}} for one in practitioners]} if practitioners else {}),
        **more,
    }
