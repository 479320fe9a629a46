"""Registered clients: the rules of a registration, secrets, and that their end is their tokens' end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from smart_auth.clients import Client, new_client_id, origins_of, problem, with_origins
from smart_auth.grant import Grant, new_id

KEY = {"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA", "kid": "1"}
APP = Client("app", "App", redirect_uris=("https://app.example/cb",))
SERVICE = Client(
    "service",
    "Service",
    "confidential-asymmetric",
    jwks={"keys": [KEY]},
    grant_types=("client_credentials",),
    scopes="system/*.rs",
)


def new(client: Client = APP, **changed: Any) -> Client:
    return replace(client, id=new_client_id(), **changed)


async def test_a_client_comes_back_as_it_was_registered(parts: Any) -> None:
    for client in (new(origins=("https://app.example",), contacts=("a@b.example",), trusted=True), new(SERVICE)):
        assert await parts.clients.add(client) == client
        assert await parts.clients.get(client.id) == client
        assert client in await parts.clients.list()
    assert await parts.clients.get("nobody") is None


async def test_an_id_is_registered_once(parts: Any) -> None:
    client = await parts.clients.add(new())
    with pytest.raises(ValueError, match="this id"):
        await parts.clients.add(client)


@pytest.mark.parametrize(
    "client",
    [
        replace(APP, id=""),
        replace(APP, id="a b"),
        replace(APP, id="ä"),
        replace(APP, id="a" * 201),
        replace(APP, name=" "),
        replace(APP, kind="secret"),  # type: ignore[arg-type]
        replace(APP, scopes="openid nonsense"),
        replace(APP, redirect_uris=()),
        replace(APP, redirect_uris=("https://app.example/cb", "http://app.example/cb")),
        replace(APP, redirect_uris=("https://a@app.example/cb",)),
        replace(APP, redirect_uris=("https://app.example/cb#x",)),
        replace(APP, grant_types=("implicit",)),
        replace(APP, grant_types=("password",)),
        replace(APP, grant_types=()),
        replace(APP, grant_types=("client_credentials",)),
        replace(APP, kind="confidential-symmetric", grant_types=("client_credentials",)),
        replace(APP, secret_hash=b"x"),
        replace(APP, jwks={"keys": [KEY]}),
        replace(APP, launch_uri="javascript:alert(1)"),
        replace(APP, launch_uri="http://app.example/launch"),
        replace(APP, logo_uri="data:image/png,x"),
        replace(APP, origins=("https://app.example/",)),
        replace(APP, origins=("*",)),
        replace(APP, origins=("null",)),
        replace(SERVICE, jwks=None),
        replace(SERVICE, jwks_uri="https://app.example/jwks"),
        replace(SERVICE, jwks=None, jwks_uri="http://app.example/jwks"),
        replace(SERVICE, jwks={}),
        replace(SERVICE, jwks={"keys": []}),
        replace(SERVICE, jwks={"keys": ["x"]}),
        replace(SERVICE, jwks={"keys": [{**KEY, "d": "AA"}]}),
        replace(SERVICE, jwks={"keys": [{"kty": "oct", "k": "AA", "kid": "1"}]}),
        replace(SERVICE, jwks={"keys": [{"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"}]}),
        replace(SERVICE, secret_hash=b"x"),
    ],
)
async def test_what_breaks_the_rules_is_not_registered(parts: Any, client: Client) -> None:
    assert problem(client)
    with pytest.raises(ValueError, match=r"\."):
        await parts.clients.add(client)


async def test_a_secret_is_told_once_and_only_its_digest_is_kept(parts: Any) -> None:
    client = await parts.clients.add(new(kind="confidential-symmetric"))
    assert not client.check_secret("")
    secret = await parts.clients.new_secret(client.id)
    stored = await parts.clients.get(client.id)
    assert stored.check_secret(secret)
    assert not stored.check_secret(secret[:-1])
    assert not stored.check_secret("\ud800")
    assert secret not in str(await parts.database.system["auth_clients"].find_one({"_id": client.id}))
    another = await parts.clients.new_secret(client.id)
    stored = await parts.clients.get(client.id)
    assert stored.check_secret(another)
    assert not stored.check_secret(secret)


async def test_only_symmetric_clients_have_secrets(parts: Any) -> None:
    client = await parts.clients.add(new())
    with pytest.raises(LookupError):
        await parts.clients.new_secret(client.id)


async def test_a_client_that_is_removed_or_not_active_loses_its_tokens(parts: Any) -> None:
    for end in ("remove", "deactivate"):
        client = await parts.clients.add(new())
        grant = Grant(new_id(), client.id, "nora", scopes="openid")
        issued = await parts.tokens.issue(grant, seconds=60)
        await parts.clients.update(replace(client, name="Another name"))
        assert await parts.tokens.find(issued.access) is not None
        if end == "remove":
            assert await parts.clients.remove(client.id)
            assert not await parts.clients.remove(client.id)
        else:
            await parts.clients.update(replace(client, active=False))
            assert not (await parts.clients.get(client.id)).may_use("authorization_code")
        assert await parts.tokens.find(issued.access) is None


async def test_an_update_keeps_the_rules_and_needs_a_client(parts: Any) -> None:
    client = await parts.clients.add(new())
    with pytest.raises(ValueError, match="redirect"):
        await parts.clients.update(replace(client, redirect_uris=()))
    with pytest.raises(LookupError):
        await parts.clients.update(new())


async def test_point_3_only_exact_origins_of_active_clients(parts: Any) -> None:
    await parts.clients.add(new(origins=("https://one.example", "http://127.0.0.1:3000")))
    await parts.clients.add(new(origins=("https://two.example",), active=False))
    found = await parts.clients.origins()
    assert {"https://one.example", "http://127.0.0.1:3000"} <= found
    assert "https://two.example" not in found


def test_a_browser_app_is_served_where_it_is_sent_back_to() -> None:
    assert origins_of(["https://a.example/x", "https://a.example/y", "app:/cb"]) == ("https://a.example",)
    assert with_origins(APP).origins == ("https://app.example",)
    assert with_origins(SERVICE).origins == ()
