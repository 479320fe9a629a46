"""What a token is good for, told to whoever may ask; refusals are in cases/smart_token.yaml."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from fhir_server.config import Settings
from tests.smart_auth.endpoints import BASE, CONTEXT, ORIGIN, SCOPES, World, assertion, signed, world

pytestmark = pytest.mark.asyncio(loop_scope="module")
INACTIVE = {"active": False}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def smart(settings: Settings) -> AsyncIterator[World]:
    async with world(settings.model_copy(update={"port": 8080, "base_url": None, "open": False})) as made:
        yield made


async def ask(smart: World, token: Any, **headers: str) -> Any:
    given = headers or {"Authorization": smart.basic()}
    response = await smart.post("/auth/introspect", {"token": token}, **given)
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    return response.json()


async def test_13_an_active_token(smart: World) -> None:
    tokens = await smart.tokens()
    told = await ask(smart, tokens.access)
    assert told["active"] is True
    assert told["scope"] == SCOPES
    assert told["client_id"] == "app"
    assert told["token_type"] == "Bearer"
    assert 0 < told["exp"] - told["iat"] <= 3600
    assert (told["iss"], told["aud"]) == (ORIGIN, BASE)
    assert told["fhirUser"] == f"{BASE}/Practitioner/1"
    assert {name: told[name] for name in CONTEXT} == CONTEXT
    headers = {"Authorization": f"Bearer {tokens.access}"}
    assert told["sub"] == (await smart.http.get("/auth/userinfo", headers=headers)).json()["sub"]
    assert "nora" not in str(told)


async def test_13_without_identity_scopes_no_identity(smart: World) -> None:
    told = await ask(smart, (await smart.tokens(scopes="patient/*.rs")).access)
    assert "fhirUser" not in told
    assert "profile" not in told


async def test_13_the_context_cannot_say_that_a_token_is_active(smart: World) -> None:
    tokens = await smart.tokens(context={"active": False, "scope": "system/*.cruds", "patient": "p1"})
    told = await ask(smart, tokens.access)
    assert told["active"] is True
    assert told["scope"] == SCOPES


async def test_13_a_service_and_its_token(smart: World) -> None:
    form = {"grant_type": "client_credentials", "scope": "system/Patient.rs", **signed(assertion())}
    token = (await smart.post("/auth/token", form)).json()["access_token"]
    told = (await smart.post("/auth/introspect", {"token": token, **signed(assertion())})).json()
    assert (told["active"], told["client_id"], told["sub"]) == (True, "service", "service")
    assert "patient" not in told


async def test_13_a_bearer_may_ask(smart: World) -> None:
    tokens = await smart.tokens()
    assert (await ask(smart, tokens.access, Authorization=f"Bearer {tokens.access}"))["active"] is True


async def test_13_a_refresh_token_is_told_to_its_own_client(smart: World) -> None:
    own = await smart.tokens("confidential")
    foreign = await smart.tokens("app")
    told = await ask(smart, own.refresh)
    assert told["active"] is True
    assert "token_type" not in told
    assert await ask(smart, foreign.refresh) == INACTIVE


@pytest.mark.parametrize("token", ["nothing", "x" * 43, "é", "\x01", "x" * 5000, "a.b.c"])
async def test_13_what_is_no_token(smart: World, token: str) -> None:
    assert await ask(smart, token) == INACTIVE


@pytest.mark.parametrize(
    "how", ["expired", "revoked", "family revoked", "client revoked", "user revoked", "turned off"]
)
async def test_13_inactive_tells_nothing_else(smart: World, how: str) -> None:
    user = "former" if how == "turned off" else "nora"
    tokens = await smart.tokens("other", seconds=0 if how == "expired" else 3600, user=user)
    held = smart.auth.tokens
    if how == "revoked":
        await held.revoke_token(tokens.access, "other")
    elif how == "family revoked":
        await held.revoke(tokens.grant.id)
    elif how == "client revoked":
        await held.revoke_client("other")
    elif how == "user revoked":
        await held.revoke_user("nora")
    assert await ask(smart, tokens.access) == INACTIVE


async def test_13_a_used_refresh_token_is_inactive(smart: World) -> None:
    tokens = await smart.tokens("confidential")
    form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh}
    await smart.post("/auth/token", form, Authorization=smart.basic())
    assert await ask(smart, tokens.refresh) == INACTIVE
