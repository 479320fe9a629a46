"""Apps that register themselves: what they get, and what they do not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from fhir_server.config import Settings
from smart_auth.fetch import SETTING
from tests.smart_auth.endpoints import ORIGIN, PUBLIC, REDIRECT, RSA, VERIFIER, World, basic, world

pytestmark = pytest.mark.asyncio(loop_scope="module")
APP = {"client_name": "An app", "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def smart(settings: Settings) -> AsyncIterator[World]:
    chosen = {"port": 8080, "base_url": None, "open": False, "dynamic_registration": True}
    async with world(settings.model_copy(update=chosen)) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def _unlimited(smart: World) -> None:
    await smart.auth.database.system["auth_limit"].delete_many({})


async def register(smart: World, **metadata: Any) -> httpx.Response:
    given = {name: value for name, value in {**APP, **metadata}.items() if value is not None}
    response = await smart.http.post("/auth/register", json=given)
    assert response.headers["cache-control"] == "no-store"
    return response


async def test_13_a_public_app(smart: World) -> None:
    response = await register(smart, scope="openid patient/*.rs", grant_types=["authorization_code", "refresh_token"])
    assert response.status_code == 201
    told = response.json()
    assert told["scope"] == "openid patient/*.rs"
    assert told["redirect_uris"] == [REDIRECT]
    assert told["token_endpoint_auth_method"] == "none"
    assert "client_secret" not in told
    client = await smart.auth.clients.get(told["client_id"])
    assert client is not None
    assert (client.kind, client.active, client.trusted) == ("public", True, False)
    assert client.origins == ("https://app.example",)


async def test_13_an_app_with_a_secret_can_use_it(smart: World) -> None:
    told = (await register(smart, token_endpoint_auth_method=None)).json()
    assert told["token_endpoint_auth_method"] == "client_secret_basic"
    assert told["client_secret_expires_at"] == 0
    code = await smart.code(told["client_id"])
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
    header = basic(told["client_id"], told["client_secret"])
    assert (await smart.post("/auth/token", form, Authorization=header)).status_code == 200


async def test_13_an_app_with_keys(smart: World) -> None:
    response = await register(smart, token_endpoint_auth_method="private_key_jwt", jwks=PUBLIC)
    assert response.status_code == 201
    assert response.json()["jwks"]["keys"][0]["kid"] == "rsa"


async def test_13_look_and_leave(smart: World) -> None:
    told = (await register(smart)).json()
    path = told["registration_client_uri"].removeprefix(ORIGIN)
    own = {"Authorization": f"Bearer {told['registration_access_token']}"}
    seen = (await smart.http.get(path, headers=own)).json()
    assert seen["client_id"] == told["client_id"]
    assert "registration_access_token" not in seen
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp5"}):
        for method in ("GET", "DELETE"):
            refused = await smart.http.request(method, path, headers=headers)
            assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")
    assert (await smart.http.get("/auth/register/app", headers=own)).status_code == 401
    assert (await smart.http.delete(path, headers=own)).status_code == 204
    assert await smart.auth.clients.get(told["client_id"]) is None
    assert (await smart.http.get(path, headers=own)).status_code == 401


METADATA = "invalid_client_metadata"
PRIVATE = {"keys": [RSA.as_dict(private=True)]}
SIGNING: dict[str, Any] = {"token_endpoint_auth_method": "private_key_jwt"}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no redirect URI": ({"redirect_uris": None}, METADATA),
    "a redirect URI that is no list": ({"redirect_uris": REDIRECT}, METADATA),
    "a redirect URI over http": ({"redirect_uris": ["http://app.example/cb"]}, "invalid_redirect_uri"),
    "a redirect URI with a fragment": ({"redirect_uris": [REDIRECT + "#x"]}, "invalid_redirect_uri"),
    "a redirect URI with a user": ({"redirect_uris": ["https://u@app.example/cb"]}, "invalid_redirect_uri"),
    "a redirect URI that is a script": ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
    "too many redirect URIs": ({"redirect_uris": [f"{REDIRECT}/{i}" for i in range(30)]}, METADATA),
    "a secret in the form": ({"token_endpoint_auth_method": "client_secret_post"}, METADATA),
    "a secret that signs": ({"token_endpoint_auth_method": "client_secret_jwt"}, METADATA),
    "a service for itself": ({"grant_types": ["client_credentials"]}, METADATA),
    "an implicit app": ({"grant_types": ["implicit"]}, METADATA),
    "tokens in the URL": ({"response_types": ["token"]}, METADATA),
    "system scopes only": ({"scope": "system/*.cruds"}, METADATA),
    "scopes that are none": ({"scope": "everything"}, METADATA),
    "signing without keys": (SIGNING, METADATA),
    "keys and an address of keys": ({**SIGNING, "jwks": PUBLIC, "jwks_uri": "https://app.example/jwks"}, METADATA),
    "private keys": ({**SIGNING, "jwks": PRIVATE}, METADATA),
    "symmetric keys": ({**SIGNING, "jwks": {"keys": [{"kty": "oct", "kid": "k", "k": "AA"}]}}, METADATA),
    "keys without ids": ({**SIGNING, "jwks": {"keys": [{"kty": "RSA", "n": "AA", "e": "AQAB"}]}}, METADATA),
    "keys that are none": ({**SIGNING, "jwks": {"keys": [1]}}, METADATA),
    "keys of a public app": ({"jwks": PUBLIC}, METADATA),
    "local keys": ({**SIGNING, "jwks_uri": "http://localhost/jwks"}, METADATA),
    "a logo over http": ({"logo_uri": "http://app.example/logo.png"}, METADATA),
    "a logo that is a script": ({"logo_uri": "javascript:alert(1)"}, METADATA),
    "a name that is no text": ({"client_name": ["x"]}, METADATA),
    "a name with a line break": ({"client_name": "a\nb"}, METADATA),
    "a name that is too long": ({"client_name": "x" * 300}, METADATA),
    "contacts that are no texts": ({"contacts": [1]}, METADATA),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_13_refused_metadata(smart: World, case: str) -> None:
    metadata, error = REFUSED[case]
    before = len(await smart.auth.clients.list())
    response = await register(smart, **metadata)
    assert (response.status_code, response.json()["error"]) == (400, error)
    assert len(await smart.auth.clients.list()) == before


async def test_8_a_refused_jwks_uri_names_the_setting(smart: World) -> None:
    for uri in ("http://localhost/jwks", "https://localhost/jwks"):
        assert SETTING in (await register(smart, **SIGNING, jwks_uri=uri)).json()["error_description"]


async def test_13_system_scopes_are_left_out(smart: World) -> None:
    told = (await register(smart, scope="system/*.cruds user/*.rs")).json()
    assert told["scope"] == "user/*.rs"


async def test_13_nobody_registers_as_trusted_or_under_a_name_of_their_choice(smart: World) -> None:
    told = (await register(smart, client_id="app", trusted=True, origins=["https://evil.example"])).json()
    client = await smart.auth.clients.get(told["client_id"])
    assert client is not None
    assert client.id != "app"
    assert not client.trusted
    assert client.origins == ("https://app.example",)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"a": 1, "a": 2}', b"\xff", b'"x"'])
async def test_13_what_is_no_metadata(smart: World, body: bytes) -> None:
    response = await smart.http.post("/auth/register", content=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["error"]) == (400, METADATA)


async def test_13_a_form_is_no_metadata(smart: World) -> None:
    assert (await smart.post("/auth/register", {"client_name": "x"})).status_code == 415


async def test_13_too_many_from_one_address(smart: World) -> None:
    answers = [(await register(smart)).status_code for _ in range(21)]
    assert answers == [201] * 20 + [429]


async def test_13_without_the_setting_there_is_none(settings: Settings) -> None:
    async with world(settings.model_copy(update={"port": 8080, "base_url": None, "open": False})) as made:
        assert (await made.http.post("/auth/register", json=APP)).status_code == 404


async def test_14_no_app_is_at_home_on_this_server(smart: World) -> None:
    response = await register(smart, redirect_uris=[f"{ORIGIN}/auth/authorize"])
    assert response.status_code == 400
    assert response.json()["error"] == "invalid_redirect_uri"
