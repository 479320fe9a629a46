"""What apps can read before they do anything else: absolute, open to every page, and true."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette

from fhir_server.config import Settings
from smart_auth import discovery
from smart_auth.routes import routes
from tests.smart_auth.endpoints import ORIGIN, World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")
SMART = "/.well-known/smart-configuration"
OPENID = "/.well-known/openid-configuration"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def smart(settings: Settings) -> AsyncIterator[World]:
    chosen = {"port": 8080, "base_url": None, "open": False, "dynamic_registration": True}
    async with world(settings.model_copy(update=chosen)) as made:
        yield made


async def document(smart: World, path: str = SMART) -> dict[str, Any]:
    return dict((await smart.http.get(path)).json())


@pytest.mark.parametrize("path", [*discovery.SMART, *discovery.OPENID, "/auth/jwks"])
@pytest.mark.parametrize("accept", ["application/json", "application/fhir+xml", "text/html", "*/*"])
async def test_1_2_3_json_for_everybody(smart: World, path: str, accept: str) -> None:
    headers = {"Accept": accept, "Origin": "https://anywhere.example", "Authorization": "Bearer nothing"}
    response = await smart.http.get(path, headers=headers)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["access-control-allow-origin"] == "*"
    preflight = await smart.http.options(path, headers={**headers, "Access-Control-Request-Method": "GET"})
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert (await smart.http.head(path)).status_code == 200


async def test_1_smart_configuration(smart: World) -> None:
    found = await document(smart)
    assert found["issuer"] == ORIGIN
    for name, path in (
        ("authorization_endpoint", "/auth/authorize"),
        ("token_endpoint", "/auth/token"),
        ("introspection_endpoint", "/auth/introspect"),
        ("revocation_endpoint", "/auth/revoke"),
        ("registration_endpoint", "/auth/register"),
        ("management_endpoint", "/auth/apps"),
        ("jwks_uri", "/auth/jwks"),
    ):
        assert found[name] == ORIGIN + path
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert set(found["grant_types_supported"]) == {"authorization_code", "refresh_token", "client_credentials"}
    assert set(found["token_endpoint_auth_methods_supported"]) == {"private_key_jwt", "client_secret_basic", "none"}
    assert set(found["token_endpoint_auth_signing_alg_values_supported"]) == {"RS384", "ES384"}
    assert {"openid", "fhirUser", "launch", "launch/patient", "offline_access"} <= set(found["scopes_supported"])
    assert found["response_types_supported"] == ["code"]


async def test_1_capabilities_are_those_that_are_there(smart: World) -> None:
    found = (await document(smart))["capabilities"]
    assert len(found) == len(set(found)) == 19
    assert "smart-app-state" not in found


async def test_1_every_endpoint_is_there(smart: World) -> None:
    """No endpoint that is advertised answers with 404."""
    app = Starlette(routes=routes(smart.auth).routes)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as http:
        for found in (await document(smart), await document(smart, OPENID)):
            for name, url in found.items():
                if name.endswith(("_endpoint", "_uri")):
                    assert (await http.options(url)).status_code in (204, 405), name
        assert (await http.options("/auth/elsewhere")).status_code == 404


async def test_1_registration_only_where_it_is_allowed(smart: World) -> None:
    settings = smart.auth.settings.model_copy(update={"dynamic_registration": False})
    assert "registration_endpoint" not in discovery.smart_configuration(settings, f"{ORIGIN}/fhir")


async def test_2_openid_configuration(smart: World) -> None:
    found = await document(smart, OPENID)
    assert found["issuer"] == ORIGIN
    assert found["id_token_signing_alg_values_supported"] == ["RS256"]
    assert found["subject_types_supported"] == ["public"]
    assert found["userinfo_endpoint"] == f"{ORIGIN}/auth/userinfo"
    own = {name: value for name, value in found.items() if name in await document(smart)}
    assert own.items() <= (await document(smart)).items()


async def test_2_public_keys_without_private_members_and_old_ones_stay(smart: World) -> None:
    before = (await document(smart, "/auth/jwks"))["keys"]
    kid = await smart.auth.keys.rotate()
    after = (await document(smart, "/auth/jwks"))["keys"]
    assert {key["kid"] for key in after} == {kid} | {key["kid"] for key in before}
    for key in after:
        assert set(key) <= {"kty", "kid", "use", "alg", "n", "e", "key_ops"}
        assert (key["kty"], key["use"], key["alg"]) == ("RSA", "sig", "RS256")


async def test_1_the_configured_base_url_wins_over_the_host(settings: Settings) -> None:
    chosen = {"base_url": "https://ehr.example/r4/fhir", "open": False}
    async with world(settings.model_copy(update=chosen)) as made:
        found = (await made.http.get(SMART, headers={"Host": "evil.example"})).json()
    assert found["issuer"] == "https://ehr.example/r4"
    assert found["token_endpoint"] == "https://ehr.example/r4/auth/token"


async def test_1_a_host_that_is_none(smart: World) -> None:
    response = await smart.http.get(SMART, headers={"Host": "a b"})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


async def test_8_open_mode_advertises_nothing(settings: Settings) -> None:
    async with world(settings.model_copy(update={"port": 8080, "open": True})) as made:
        for path in (*discovery.SMART, *discovery.OPENID):
            assert (await made.http.get(path)).status_code == 404
        assert not routes(made.auth).routes
