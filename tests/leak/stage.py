"""The servers of the leak test: the house with everybody in it, and its twins that hold only what one caller may see.

A twin is a database with the visible documents copied as they are, so ids, versions and stamps are the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from pymongo import MongoClient

from fhir_server.access import Principal
from fhir_server.access.principal import ANYONE
from fhir_server.config import Settings
from fhir_server.context import Context
from fhir_server.dispatch import dispatch
from fhir_server.main import Server, running
from fhir_server.outcomes import SignInRequired
from fhir_server.rest.app import FhirApp
from tests.leak.oracle import Chronicle, Oracle
from tests.leak.world import BASE, transactions

Json = dict[str, Any]
Document = dict[str, Any]
_PREFIX = urlsplit(BASE).path
_SECRET = b"the leak test's own secret, 32 B"


@dataclass
class Ask:
    """One request as it goes out; `pages` follows its next links to the end."""

    kind: str
    method: str
    path: str
    query: list[tuple[str, str]] = field(default_factory=list)
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    media: str = "application/fhir+json"
    pages: bool = False

    @property
    def writes(self) -> bool:
        """Whether something may change."""
        return self.method in ("PUT", "PATCH", "DELETE") or (self.method == "POST" and not self.is_reading)

    @property
    def is_reading(self) -> bool:
        """Whether a POST only asks."""
        last = self.path.rpartition("/")[2]
        return last == "_search" or (last.startswith("$") and not last.startswith("$meta-"))

    def __str__(self) -> str:
        query = "?" + urlencode(self.query, quote_via=quote, safe=":,/*$|") if self.query else ""
        headers = "".join(f" {name}: {value}" for name, value in self.headers.items())
        body = f" {json.dumps(self.body)[:1500]}" if self.body is not None else ""
        return f"[{self.kind}] {self.method} /{self.path}{query}{headers}{body}"


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        is_json = self.content and "json" in self.headers.get("content-type", "")
        return json.loads(self.content) if is_json else None

    def link(self, relation: str) -> str | None:
        links = (self.body or {}).get("link", ())
        return next((one["url"] for one in links if one["relation"] == relation), None)


async def call(app: FhirApp, ask: Ask, token: str | None = None) -> Answer:
    """One request, without a socket."""
    headers = {"host": "localhost:8080", **{name.lower(): value for name, value in ask.headers.items()}}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    data, query = b"", urlencode(ask.query).encode()
    if ask.path.endswith("_search") and ask.method == "POST":
        headers["content-type"], data, query = "application/x-www-form-urlencoded", query, b""
    elif ask.body is not None:
        headers["content-type"], data = ask.media, json.dumps(ask.body).encode()
    if data:
        headers["content-length"] = str(len(data))
    path = f"{_PREFIX}/{ask.path}" if ask.path else _PREFIX
    scope = {
        "type": "http",
        "method": ask.method,
        "scheme": "http",
        "path": path,
        "raw_path": quote(path, safe="/$*%").encode(),
        "query_string": query,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8080),
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *rest = sent
    answered = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    return Answer(start["status"], answered, b"".join(one.get("body", b"") for one in rest))


def following(ask: Ask, url: str) -> Ask:
    """The request that a link stands for."""
    from urllib.parse import parse_qsl

    parts = urlsplit(url)
    path = parts.path.removeprefix(_PREFIX).lstrip("/")
    return Ask(ask.kind, "GET", path, parse_qsl(parts.query, keep_blank_values=True), headers=ask.headers)


class Doorman:
    """Knows every caller by a token that is its name."""

    def __init__(self) -> None:
        self.principals: dict[str, Callable[[], Principal]] = {}

    def cached(self, authorization: bytes) -> Principal | None:
        made = self.principals.get(authorization.decode().removeprefix("Bearer "))
        return made() if made is not None else None

    async def authenticate(self, authorization: bytes | None, headers: Mapping[bytes, bytes]) -> Principal:
        raise SignInRequired("Who is it?")


class House:
    """One server on one database, with a door for named callers and one for anybody."""

    def __init__(self, server: Server, files: MongoClient[Document], doorman: Doorman) -> None:
        self.server = server
        self.resource = files[f"{server.settings.database}_fhir"]["resource"]
        self.version = files[f"{server.settings.database}_fhir"]["version"]
        self.guards = files[f"{server.settings.database}_fhir"]["guards"]

        def context(base_url: str, request_id: str, principal: Principal) -> Context:
            return server.context(base_url, request_id, principal)

        def anyone(base_url: str, request_id: str, principal: Principal = ANYONE) -> Context:
            return server.context(base_url, request_id, ANYONE)

        self.named = FhirApp(context, dispatch, server.settings, authenticator=doorman)
        self.open = FhirApp(anyone, dispatch, server.settings)
        self._known: dict[str, Document] = {}
        self._versions: dict[str, Document] = {}

    def replace(self, resources: Iterable[Document], versions: Iterable[Document]) -> None:
        """Hold these documents and no others."""
        for collection, documents in ((self.resource, list(resources)), (self.version, list(versions))):
            collection.delete_many({})
            if documents:
                collection.insert_many(documents)
        self.guards.delete_many({})
        self.remember()

    def remember(self) -> None:
        """Take what there is as what is to be restored."""
        self._known = {one["_id"]: one for one in self.resource.find()}
        self._versions = {one["_id"]: one for one in self.version.find()}

    def holds(self, key: str) -> bool:
        """Whether there is such a resource, or its deletion."""
        return key in self._known

    def restore(self) -> list[tuple[str, Json | None]]:
        """Undo what was written since; answers it: "Type/id" and content, None for a deletion."""
        # The database's own estimate of their number is late now and then.
        held = {one["_id"] for one in self.version.find({}, {"_id": 1})}
        ids = list(held - self._versions.keys())
        erased = [self._versions[one] for one in self._versions.keys() - held]
        if erased:  # by an administrator, who may
            self.version.insert_many(erased)
        if not ids and not erased:
            return []
        fresh = list(self.version.find({"_id": {"$in": ids}}).sort("u"))
        self.version.delete_many({"_id": {"$in": ids}})
        for key in {one["r"] for one in [*fresh, *erased]}:
            if key in self._known:
                self.resource.replace_one({"_id": key}, self._known[key], upsert=True)
            else:
                self.resource.delete_one({"_id": key})
        self.guards.delete_many({})
        gone: list[tuple[str, Json | None]] = [(key, None) for key in sorted({one["r"] for one in erased})]
        return gone + [(one["r"], json.loads(one["j"]) if "j" in one else None) for one in fresh]


@dataclass
class Stage:
    """The house and three twins of it: with what is open to any action, to reading, and to searching."""

    house: House
    twins: dict[str, House]
    doorman: Doorman
    chronicle: Chronicle
    resources: list[Document]
    versions: list[Document]

    def admit(self, oracle: Oracle) -> None:
        """Fill the twins with what the oracle lets its caller see."""
        for name, twin in self.twins.items():
            actions = "rsud" if name == "any" else name

            def shown(key: str, number: int, actions: str = actions) -> bool:
                return any(self.chronicle.shown(oracle, key, number, action) for action in actions)

            twin.replace(
                [one for one in self.resources if shown(one["_id"], one["v"])],
                [one for one in self.versions if shown(one["r"], one["v"])],
            )


@asynccontextmanager
async def stage(uri: str, prefix: str, settings: Callable[[str], Settings]) -> AsyncIterator[Stage]:
    """The house with the whole world in it, and empty twins; `settings` makes those of a database."""
    doorman = Doorman()
    async with AsyncExitStack() as stack:
        files = stack.enter_context(MongoClient[Document](uri))
        houses = {}
        for name in ("all", "any", "r", "s"):
            database = f"{prefix}_{name}"
            files[f"{database}_system"]["secrets"].replace_one({"_id": "cursor"}, {"value": _SECRET}, upsert=True)
            server = await stack.enter_async_context(running(settings(database)))
            houses[name] = House(server, files, doorman)
        house = houses.pop("all")
        for bundle in transactions():
            answer = await call(house.open, Ask("world", "POST", "", body=bundle))
            if answer.status != 200:
                raise AssertionError(f"the world is not made: {answer.content.decode()[:2000]}")
        house.remember()
        resources, versions = list(house.resource.find()), list(house.version.find())
        contents: dict[str, list[Json | None]] = {}
        for one in sorted(versions, key=lambda one: one["v"]):
            contents.setdefault(one["r"], []).append(json.loads(one["j"]) if "j" in one else None)
        yield Stage(house, houses, doorman, Chronicle(contents), resources, versions)


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_CURSOR = re.compile(r"_cursor=[^&\"]+")
_NOW = re.compile(r"20[2-9]\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def normal(content: bytes, *, written: bool = False) -> str:
    """An answer without what differs by chance: new ids, cursors, and after a write the time."""
    text = _CURSOR.sub("_cursor=…", _UUID.sub("…", content.decode("utf-8", "replace")))
    return _NOW.sub("now", text) if written else text
