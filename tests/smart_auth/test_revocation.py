"""Tokens given back; refusals are in cases/smart_token.yaml."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from fhir_server.config import Settings
from tests.smart_auth.endpoints import World, assertion, signed, world

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def smart(settings: Settings) -> AsyncIterator[World]:
    async with world(settings.model_copy(update={"port": 8080, "base_url": None, "open": False})) as made:
        yield made


async def revoke(smart: World, form: dict[str, Any], **headers: str) -> None:
    response = await smart.post("/auth/revoke", form, **headers)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["cache-control"] == "no-store"


async def userinfo(smart: World, token: str) -> int:
    return (await smart.http.get("/auth/userinfo", headers={"Authorization": f"Bearer {token}"})).status_code


async def test_13_a_revoked_token_ends_with_the_next_request(smart: World) -> None:
    tokens = await smart.tokens()
    assert await userinfo(smart, tokens.access) == 200
    await revoke(smart, {"token": tokens.access, "client_id": "app"})
    assert await userinfo(smart, tokens.access) == 401
    assert await smart.auth.tokens.find_refresh(str(tokens.refresh)) is not None


@pytest.mark.parametrize("hint", ["refresh_token", "access_token", "nonsense", ""])
async def test_13_a_refresh_token_takes_its_family_along(smart: World, hint: str) -> None:
    tokens = await smart.tokens()
    await revoke(smart, {"token": tokens.refresh, "client_id": "app", "token_type_hint": hint})
    assert await userinfo(smart, tokens.access) == 401
    assert await smart.auth.tokens.find_refresh(str(tokens.refresh)) is None


async def test_13_anothers_token_stays(smart: World) -> None:
    tokens = await smart.tokens()
    for token in (tokens.access, tokens.refresh):
        await revoke(smart, {"token": token, "client_id": "other"})
        await revoke(smart, {"token": token}, Authorization=smart.basic())
        await revoke(smart, {"token": token, **signed(assertion())})
    assert await userinfo(smart, tokens.access) == 200


async def test_13_every_kind_of_client_may(smart: World) -> None:
    secret = await smart.tokens("confidential")
    await revoke(smart, {"token": secret.access}, Authorization=smart.basic())
    signing = await smart.tokens("signing")
    await revoke(smart, {"token": signing.access, **signed(assertion("signing"))})
    for tokens in (secret, signing):
        assert await userinfo(smart, tokens.access) == 401


async def test_13_twice_is_as_good_as_once(smart: World) -> None:
    tokens = await smart.tokens()
    for _ in range(2):
        await revoke(smart, {"token": tokens.access, "client_id": "app"})
