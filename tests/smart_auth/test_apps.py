"""Your apps: what they may do, and the end of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from fhir_server.config import Settings
from tests.smart_auth.visitor import Json, Reader, Visitor, World, world

SCOPE = "openid launch/patient patient/Observation.rs patient/Condition.cruds offline_access"


@pytest.fixture
async def made(settings: Settings) -> AsyncIterator[World]:
    async with world(settings) as found:
        yield found


async def connected(made: World, login: str = "ana") -> tuple[Visitor, Json]:
    """Somebody who has allowed an app, and its tokens."""
    visitor = made.visitor()
    answer = await visitor.follow(await visitor.sign_in(login, url=made.authorize_url(SCOPE, client="trusted")))
    return visitor, await made.tokens(answer, client="trusted")


def text_of(page: httpx.Response) -> str:
    return " ".join(Reader(page.text).text.split())


async def test_the_list_says_what_since_when_and_how_long(made: World) -> None:
    ana, _ = await connected(made)
    text = text_of(await ana.get("/auth/apps"))
    for words in (
        "House app",
        "See your test results and measurements",
        "Add, change and delete your diagnoses and health problems",
        "last here",
        "keeps its access when you are away",
    ):
        assert words in text, words


async def test_a_proxy_sees_whose_record_it_is(made: World) -> None:
    rosa, _ = await connected(made, "rosa")
    assert "It uses the record of Leo Rivera" in text_of(await rosa.get("/auth/apps"))


async def test_an_app_that_has_not_fetched_its_token_has_not_been_here(made: World) -> None:
    ana = made.visitor()
    await ana.follow(await ana.sign_in("ana", url=made.authorize_url(SCOPE, client="trusted")))
    assert "not here yet" in text_of(await ana.get("/auth/apps"))


async def test_ending_access_ends_every_token_on_the_next_request(made: World) -> None:
    ana, first = await connected(made)
    _, second = await connected(made)
    assert (await made.auth.authenticator.authenticate(f"Bearer {first['access_token']}".encode(), {})).patient
    done = await ana.submit(await ana.get("/auth/apps"))
    assert "no access any more" in text_of(await ana.follow(done))
    for tokens in (first, second):
        assert await made.auth.tokens.find(tokens["access_token"]) is None
        assert made.auth.authenticator.cached(f"Bearer {tokens['access_token']}".encode()) is None
        form = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"]), ("client_id", "trusted")]
        assert (await made.visitor().post("/auth/token", form)).status_code == 400
    assert "No app has access" in text_of(await ana.get("/auth/apps"))


async def test_only_ones_own_apps_are_ended(made: World) -> None:
    ana, _ = await connected(made)
    _, theirs = await connected(made, "rosa")
    await ana.submit(await ana.get("/auth/apps"))
    assert await made.auth.tokens.find(theirs["access_token"]) is not None


async def test_only_ones_own_apps_are_listed(made: World) -> None:
    await connected(made)
    leo = made.visitor()
    await leo.sign_in("diaz")
    assert "House app" not in (await leo.get("/auth/apps")).text


async def test_the_list_needs_a_sign_in(made: World) -> None:
    response = await made.visitor().get("/auth/apps")
    assert response.headers["location"].endswith("/auth/login?next=%2Fauth%2Fapps")


async def test_an_app_that_is_no_longer_registered_is_listed_and_ended_by_its_id(made: World) -> None:
    ana, tokens = await connected(made)
    client = await made.auth.clients.get("trusted")
    assert client is not None
    await made.auth.database.system["auth_clients"].delete_one({"_id": "trusted"})
    try:
        page = await ana.get("/auth/apps")
        assert "trusted" in text_of(page)
        await ana.submit(page)
        assert await made.auth.tokens.find(tokens["access_token"]) is None
    finally:
        await made.auth.clients.add(client)
