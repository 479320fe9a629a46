"""The pages on a real database, and a visitor who reads them as a browser without scripts would."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
from starlette.applications import Starlette

from fhir_server.config import Settings
from fhir_server.main import running
from fhir_server.storage.unit_of_work import UnitOfWork, Write
from smart_auth import pages, passwords, token_endpoint
from smart_auth.clients import Client
from smart_auth.codes import challenge_of
from smart_auth.service import SmartAuth
from smart_auth.users import User

Json = dict[str, Any]

ORIGIN = "http://127.0.0.1:8080"
BASE = f"{ORIGIN}/fhir"
APP = "https://app.example/callback"
VERIFIER = "v" * 43
PASSWORD = "a quiet walk by the river"
OTHER_PASSWORD = "seven green umbrellas"


@dataclass
class FormOf:
    """A form as it stands in a page: where it goes, and what it would send untouched."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class Reader(HTMLParser):
    """Forms, links, text and ids of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[FormOf] = []
        self.links: list[str] = []
        self.labels: set[str] = set()
        self.inputs: dict[str, dict[str, str]] = {}
        self.ids: set[str] = set()
        self.text = ""
        self._open: FormOf | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.ids.add(given["id"])
        if tag == "form":
            self._open = FormOf(given.get("action", ""), given.get("method", "get"))
            self.forms.append(self._open)
        elif tag == "a":
            self.links.append(given.get("href", ""))
        elif tag == "label":
            self.labels.add(given.get("for", ""))
        elif tag in ("input", "button"):
            self._control(tag, given)

    def _control(self, tag: str, given: dict[str, str]) -> None:
        if tag == "input" and given.get("type") != "hidden":
            self.inputs[given.get("id", "")] = given
        if self._open is None or "name" not in given:
            return
        pair = (given["name"], given.get("value", ""))
        if tag == "button":
            self._open.buttons.append(pair)
        elif given.get("type") not in ("checkbox", "radio") or "checked" in given:
            self._open.fields.append(pair)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None

    def handle_data(self, data: str) -> None:
        self.text += data


class Visitor:
    """One browser."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def get(self, url: str, **headers: str) -> httpx.Response:
        return await self.http.get(url, headers=headers)

    async def follow(self, response: httpx.Response) -> httpx.Response:
        """Go where the answers lead, as long as that is here."""
        while response.is_redirect and response.headers["location"].startswith((ORIGIN, "/")):
            response = await self.http.get(response.headers["location"])
        return response

    async def submit(
        self,
        page: httpx.Response,
        changes: dict[str, Any] | None = None,
        *,
        press: tuple[str, str] | None = None,
        number: int = 0,
        without: tuple[str, ...] = (),
    ) -> httpx.Response:
        """Send a form of the page with these fields in place of what stood there, and one pressed button."""
        form = Reader(page.text).forms[number]
        changes = changes or {}
        pairs = [(name, value) for name, value in form.fields if name not in changes and name not in without]
        for name, value in changes.items():
            pairs += [(name, one) for one in (value if isinstance(value, list) else [value])]
        pairs += [press] if press else []
        if form.method == "get":
            return await self.http.get(f"{form.action}?{urlencode(pairs)}")
        return await self.post(form.action, pairs)

    async def post(self, url: str, pairs: list[tuple[str, str]], **headers: str) -> httpx.Response:
        headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        return await self.http.post(url, content=urlencode(pairs), headers=headers)

    async def sign_in(self, login: str, password: str = PASSWORD, url: str = "/auth/login") -> httpx.Response:
        """Fill in the sign-in page that the URL leads to; answers what comes of it, unfollowed."""
        page = await self.follow(await self.get(url))
        return await self.submit(page, {"login": login, "password": password})


@dataclass
class World:
    """The pages, who can sign in, and what they can see."""

    auth: SmartAuth
    app: Starlette
    settings: Settings

    def visitor(self, address: str = "127.0.0.1") -> Visitor:
        transport = httpx.ASGITransport(self.app, client=(address, 50_000))
        return Visitor(httpx.AsyncClient(transport=transport, base_url=ORIGIN))

    def authorize_url(self, scope: str, client: str = "app", **more: str) -> str:
        given = {
            "response_type": "code",
            "client_id": client,
            "redirect_uri": APP,
            "scope": scope,
            "state": "the state",
            "aud": BASE,
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
            **more,
        }
        return "/auth/authorize?" + urlencode(given)

    async def tokens(self, answer: httpx.Response, client: str = "app", visitor: Visitor | None = None) -> Json:
        """What the app gets for the code that the browser brought."""
        form = [
            ("grant_type", "authorization_code"),
            ("code", said(answer)["code"]),
            ("redirect_uri", APP),
            ("client_id", client),
            ("code_verifier", VERIFIER),
        ]
        response = await (visitor or self.visitor()).post("/auth/token", form)
        assert response.status_code == 200, response.text
        found: Json = response.json()
        return found


def said(answer: httpx.Response) -> dict[str, str]:
    """The parameters that the browser takes back to the app."""
    location = answer.headers["location"]
    assert location.startswith(APP), location
    return dict(parse_qsl(urlsplit(location).query))


def query(answer: httpx.Response) -> dict[str, str]:
    """The parameters of where an answer leads."""
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


@asynccontextmanager
async def world(settings: Settings, **changes: Any) -> AsyncIterator[World]:
    """The pages until the block ends; users and resources are new each time."""
    settings = settings.model_copy(update={"base_url": BASE, "open": False, **changes})
    async with running(settings) as server:
        auth = SmartAuth(settings, server.database, server.repository)
        auth.validator = server.validator
        await auth.prepare()
        for name in ("auth_user", "auth_limit", "auth_session", "auth_link", "auth_request", "auth_grants"):
            await server.database.system[name].delete_many({})
        app = Starlette(routes=[*pages.routes(auth).routes, *token_endpoint.routes(auth).routes])
        made = World(auth, app, settings)
        await _people(made)
        await _resources(made)
        yield made


async def fill(settings: Settings, redirect_uri: str = APP) -> None:
    """The people, apps and resources of these tests, for a server that is started on the same database after it."""
    async with running(settings) as server:
        auth = SmartAuth(settings, server.database, server.repository)
        await auth.prepare()
        made = World(auth, Starlette(), settings)
        await _people(made, redirect_uri)
        await _resources(made)


async def _people(made: World, redirect_uri: str = APP) -> None:
    if await made.auth.clients.get("app") is None:
        await made.auth.clients.add(Client("app", "Growth Chart", redirect_uris=(redirect_uri,)))
        await made.auth.clients.add(Client("trusted", "House app", redirect_uris=(redirect_uri,), trusted=True))
    hashed = await passwords.hash_of(PASSWORD)
    common: Json = {"password_hash": hashed, "verified": True}
    for user in (
        User("ana", "Ana Rivera", "ana@mail.example", fhir_user="Patient/ana", roles=("patient",), **common),
        User("rosa", "Rosa Rivera", "rosa@mail.example", fhir_user="RelatedPerson/rosa", roles=("proxy",), **common),
        User(
            "diaz", "Dr Elena Diaz", "diaz@clinic.example", fhir_user="Practitioner/diaz", roles=("doctor",), **common
        ),
        User("pat", "Pat Rivera", "pat@mail.example", fhir_user="Person/pat", roles=("proxy",), **common),
        User("sam", "Sam Ito", "sam@clinic.example", fhir_user="Practitioner/sam", roles=("specialist",), **common),
        User("root", "Root", "root@clinic.example", roles=("administrator",), **common),
        User("former", "Former", "former@clinic.example", roles=("doctor",), active=False, **common),
    ):
        await made.auth.users.add(user)


def resources() -> Iterator[Json]:
    """Three patients, a proxy of one of them and one of two, a doctor, and visits."""
    yield {"resourceType": "Practitioner", "id": "diaz", "active": True, "name": [{"family": "Diaz"}]}
    for id_, given, born in (("ana", "Ana", "1984-02-29"), ("leo", "Leo", "2015-06-01"), ("zoe", "Zoe", "2018-01-31")):
        yield {
            "resourceType": "Patient",
            "id": id_,
            "name": [{"use": "official", "family": "Rivera", "given": [given]}],
            "birthDate": born,
            "gender": "female",
        }
    sure = [{"target": {"reference": f"Patient/{id_}"}, "assurance": "level3"} for id_ in ("leo", "zoe")]
    yield {"resourceType": "Person", "id": "pat", "link": sure}
    yield {"resourceType": "RelatedPerson", "id": "rosa", "patient": {"reference": "Patient/leo"}, "active": True}
    for id_, day in (("e1", "2026-01-05"), ("e2", "2026-03-09")):
        yield {
            "resourceType": "Encounter",
            "id": id_,
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "type": [{"text": f"Check-up {id_}"}],
            "subject": {"reference": "Patient/ana"},
            "period": {"start": day, "end": day},
        }


async def _resources(made: World) -> None:
    unit = UnitOfWork()
    for resource in resources():
        await store(made, resource, unit)
    await made.auth.repository.commit(unit)


async def store(made: World, resource: Json, unit: UnitOfWork | None = None) -> None:
    """Put a resource there, past every rule."""
    own = unit or UnitOfWork()
    base = await made.auth.repository.read(_system(), resource["resourceType"], resource["id"])
    write = Write("PUT", resource["resourceType"], resource["id"], resource, base=base)
    write.find_by(BASE)
    write.prepare()
    own.add(write)
    if unit is None:
        await made.auth.repository.commit(own)


def _system() -> Any:
    from fhir_server.access.principal import SYSTEM

    return SYSTEM


def random_name() -> str:
    return "u" + secrets.token_hex(6)
