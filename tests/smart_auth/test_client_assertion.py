"""Signed assertions with keys at a jwks_uri; refusals are in cases/smart_token.yaml."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import RSAKey

from fhir_server import json
from fhir_server.config import Settings
from smart_auth import client_assertion
from smart_auth.client_assertion import AssertionRefused
from smart_auth.clients import Client
from smart_auth.fetch import SETTING, Fetched, Fetcher, FetchRefused
from smart_auth.jwks import DEFAULT_AGE, MAX_AGE, PATIENCE, KeySets
from tests.smart_auth.endpoints import EC, PUBLIC, RSA, World, assertion, signed, world
from tests.smart_auth.test_fetch import Site, site

PEM = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
pytestmark = pytest.mark.asyncio(loop_scope="module")
URI = "https://keys.example/jwks"
SERVICE = {"grant_type": "client_credentials", "scope": "system/Patient.rs"}


class Publisher(Fetcher):
    """Somebody's key set, which can change, fail, and tells how often it was asked for."""

    def __init__(self, *keys: Any, max_age: int | None = 60) -> None:
        super().__init__()
        self.keys = [key.as_dict(private=False) for key in keys]
        self.max_age = max_age
        self.failure = ""
        self.times = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def get(self, url: str) -> Fetched:
        self.times += 1
        await self.answers.wait()
        if self.failure:
            raise FetchRefused(self.failure)
        return Fetched(json.encode({"keys": self.keys}), self.max_age)


class Time:
    """A clock that only tests move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


# ---- key sets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("max_age", "kept"), [(60, 60.0), (None, DEFAULT_AGE), (10**9, MAX_AGE), (0, 0.0)], ids=["60", "none", "long", "0"]
)
async def test_11_a_set_is_kept_as_long_as_it_says(max_age: int | None, kept: float) -> None:
    publisher, time = Publisher(RSA, max_age=max_age), Time()
    sets = KeySets(publisher, time)
    await sets.find(URI, "rsa")
    time.now += max(kept - 0.1, 0.0)
    await sets.find(URI, "rsa")
    assert publisher.times == (1 if kept else 2)
    time.now += 1
    await sets.find(URI, "rsa")
    assert publisher.times == (2 if kept else 3)


async def test_11_an_unknown_kid_is_looked_for_once() -> None:
    publisher, time = Publisher(RSA), Time()
    sets = KeySets(publisher, time)
    assert await sets.find(URI, "rsa")
    publisher.keys.append(EC.as_dict(private=False))
    assert await sets.find(URI, "ec")
    assert publisher.times == 2
    for _ in range(5):
        assert await sets.find(URI, "never") == []
    assert publisher.times == 2
    time.now += PATIENCE
    assert await sets.find(URI, "never") == []
    assert publisher.times == 3


async def test_11_callers_share_a_fetch_also_of_what_is_not_kept() -> None:
    publisher = Publisher(RSA, max_age=0)
    publisher.answers.clear()
    sets = KeySets(publisher)
    asking = [asyncio.create_task(sets.find(URI, "rsa")) for _ in range(20)]
    await asyncio.sleep(0)
    publisher.answers.set()
    assert all(await asyncio.gather(*asking))
    assert publisher.times == 1


async def test_11_a_failure_is_not_repeated_at_once_and_ends() -> None:
    publisher, time = Publisher(RSA), Time()
    publisher.failure = "not today."
    sets = KeySets(publisher, time)
    for _ in range(5):
        with pytest.raises(FetchRefused, match="not today"):
            await sets.find(URI, "rsa")
    assert publisher.times == 1
    publisher.failure = ""
    time.now += PATIENCE
    assert await sets.find(URI, "rsa")


async def test_11_a_failure_does_not_end_what_is_still_good() -> None:
    publisher, time = Publisher(RSA), Time()
    sets = KeySets(publisher, time)
    await sets.find(URI, "rsa")
    publisher.failure = "not today."
    assert await sets.find(URI, "other") == []
    assert await sets.find(URI, "rsa")
    time.now += 61
    with pytest.raises(FetchRefused):
        await sets.find(URI, "rsa")


async def test_11_a_withdrawn_key_is_gone_when_the_set_is_read_anew() -> None:
    publisher, time = Publisher(RSA, EC), Time()
    sets = KeySets(publisher, time)
    assert await sets.find(URI, "ec")
    publisher.keys.pop()
    time.now += 61
    assert await sets.find(URI, "ec") == []


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": [1]}', b'{"keys": [], "keys": []}', b"\xff"]
)
async def test_11_what_is_no_key_set(body: bytes) -> None:
    class Odd(Publisher):
        async def get(self, url: str) -> Fetched:
            return Fetched(body, None)

    with pytest.raises(FetchRefused, match="Key Set"):
        await KeySets(Odd()).find(URI, "rsa")


# ---- through the endpoint ----------------------------------------------------------------------------------------


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def smart(settings: Settings) -> AsyncIterator[World]:
    chosen = {"port": 8080, "base_url": None, "open": False, "allow_local_endpoints": True}
    async with world(settings.model_copy(update=chosen)) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def published() -> AsyncIterator[Site]:
    body = json.encode(PUBLIC)
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nCache-Control: max-age=60\r\nConnection: close\r\n\r\n"
    async with site(head.encode() + body) as there:
        yield there


async def remote(smart: World, id_: str, uri: str) -> str:
    scopes = "system/Patient.rs"
    client = Client(
        id_,
        "Service",
        "confidential-asymmetric",
        jwks_uri=uri,
        scopes=scopes,
        grant_types=("client_credentials",),
    )
    await smart.auth.clients.add(client)
    return id_


async def test_11_keys_at_a_jwks_uri(smart: World, published: Site) -> None:
    uri = f"http://localhost:{published.port}/jwks"
    client = await remote(smart, "remote", uri)
    for key in ("rsa", "ec"):
        answered = await smart.post("/auth/token", {**SERVICE, **signed(assertion(client, key))})
        assert answered.status_code == 200, answered.text
    assert len(published.asked) == 1
    wrong = await smart.post("/auth/token", {**SERVICE, **signed(assertion(client, "foreign"))})
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
    named = await smart.post("/auth/token", {**SERVICE, **signed(assertion(client, header={"jku": uri}))})
    assert named.status_code == 200
    asked = len(published.asked)
    other = f"http://localhost:{published.port}/other"
    foreign = await smart.post("/auth/token", {**SERVICE, **signed(assertion(client, header={"jku": other}))})
    assert "jku" in foreign.json()["error_description"]
    assert len(published.asked) == asked


async def test_8_11_a_refused_jwks_uri_names_the_setting(smart: World, settings: Settings) -> None:
    client = await remote(smart, "local", "http://localhost:9/jwks")
    async with world(settings.model_copy(update={"port": 8080, "base_url": None, "open": False})) as strict:
        answered = await strict.post("/auth/token", {**SERVICE, **signed(assertion(client))})
    assert answered.status_code == 401
    assert SETTING in answered.json()["error_description"]


async def test_11_inline_keys_need_no_jku(smart: World) -> None:
    text = assertion(header={"jku": ""})
    answered = await smart.post("/auth/token", {**SERVICE, **signed(text)})
    assert "jku" in answered.json()["error_description"]


@pytest.mark.parametrize(
    "key",
    [
        {"use": "enc"},
        {"alg": "RS256"},
        {"n": "AQAB"},
        {"e": None},
        {"kty": "EC"},
        {"n": "!"},
    ],
)
async def test_11_keys_that_are_not_for_this(smart: World, key: dict[str, Any]) -> None:
    """A registered key for something else, or one that is broken, signs nothing, and is no failure of ours."""
    changed = {name: value for name, value in {**RSA.as_dict(private=False), **key}.items() if value is not None}
    client = await smart.auth.clients.get("service")
    assert client is not None
    read = client_assertion.read(assertion())
    with pytest.raises(AssertionRefused):
        await client_assertion.check_signature(read, {"keys": [changed]}, "", KeySets(Fetcher()))


@pytest.mark.filterwarnings("ignore:Key size")
async def test_11_short_keys_are_not_enough() -> None:
    short = RSAKey.import_key(rsa.generate_private_key(65537, 1024).private_bytes(*PEM))
    text = assertion(signer=short)
    with pytest.raises(AssertionRefused, match="signature"):
        await client_assertion.check_signature(
            client_assertion.read(text),
            {"keys": [{**short.as_dict(private=False), "kid": "rsa"}]},
            "",
            KeySets(Fetcher()),
        )
