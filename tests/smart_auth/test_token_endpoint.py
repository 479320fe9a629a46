"""The token, introspection and revocation endpoints: what they refuse (cases/smart_token.yaml), and what they grant."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import yaml
from joserfc import jwt
from joserfc.jwk import KeySet

from fhir_server.config import Settings
from smart_auth.codes import challenge_of
from smart_auth.store import now
from tests.smart_auth.endpoints import (
    BASE,
    CONTEXT,
    ORIGIN,
    PAGE,
    REDIRECT,
    VERIFIER,
    World,
    assertion,
    signed,
    world,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
CASES = Path(__file__).parent.parent / "cases"
PATHS = {"introspect": "/auth/introspect", "revoke": "/auth/revoke"}
SERVICE = {"grant_type": "client_credentials", "scope": "system/Patient.rs"}


def load(name: str) -> list[Any]:
    found = yaml.safe_load((CASES / name).read_text())
    return [pytest.param(case, id=f"{case['point']}-{case['case']}") for case in found]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def smart(settings: Settings) -> AsyncIterator[World]:
    chosen = {"port": 8080, "base_url": None, "open": False}
    async with world(settings.model_copy(update=chosen)) as made:
        yield made


async def start_of(smart: World, case: dict[str, Any]) -> dict[str, Any]:
    """The form of the good request that a case begins with."""
    client = case.get("client", "app")
    user = {"user": case["user"]} if "user" in case else {}
    if case["start"] == "code":
        code = await smart.code(client, **user)
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
        return {**form, "client_id": client}
    tokens = await smart.tokens(client, **user)
    if case["start"] == "refresh":
        return {"grant_type": "refresh_token", "refresh_token": tokens.refresh, "client_id": client}
    if case["start"] == "service":
        return dict(SERVICE)
    return {"token": tokens.access, **({"client_id": client} if case["start"] == "revoke" else {})}


async def filled(smart: World, value: Any) -> Any:
    """The value of a case with what it stands for: {access}, {refresh}, {challenge}, {70000} characters."""
    if isinstance(value, dict):
        return {name: await filled(smart, one) for name, one in value.items()}
    if isinstance(value, str) and "{" in value:
        tokens = await smart.tokens()
        names = {"{access}": tokens.access, "{refresh}": tokens.refresh, "{challenge}": challenge_of(VERIFIER)}
        names |= {"{fields}": "&".join(f"f{i}=1" for i in range(200))}
        names |= {f"{{{count}}}": "x" * count for count in (20_000, 70_000)}
        for name, text in names.items():
            value = value.replace(name, text)
    return smart.secret if value == "*" else value


async def send(smart: World, case: dict[str, Any]) -> httpx.Response:
    """The request of a case."""
    form, headers = await start_of(smart, case), await filled(smart, case.get("headers", {}))
    made = case.get("assertion", {} if case["start"] == "service" else None)
    if made is not None:
        made = await filled(smart, made)
        given = {"client": made.get("client", "service"), "key": made.get("key", "rsa"), "header": made.get("header")}
        form |= signed(assertion(**given, **made.get("claims", {})))
    credentials = case.get("basic", ["confidential", "*"] if case["start"] == "introspect" else None)
    if credentials:
        headers["Authorization"] = smart.basic(credentials[0], await filled(smart, credentials[1]))
    form |= await filled(smart, case.get("form", {}))
    form = {name: value for name, value in form.items() if value is not None}
    path = PATHS.get(case["start"], "/auth/token")
    if "body" in case:
        type_ = {"Content-Type": "application/x-www-form-urlencoded"}
        return await smart.http.post(path, content=await filled(smart, case["body"]), headers=type_)
    if case.get("query"):
        type_ = {"Content-Type": "application/x-www-form-urlencoded"}
        return await smart.http.post(path, params=form, content=b"", headers=type_)
    return await smart.post(path, form, **headers)


def check(response: httpx.Response, case: dict[str, Any]) -> None:
    """Hold an answer against a case."""
    assert response.status_code == case["status"], response.text
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["pragma"] == "no-cache"
    challenge = response.headers.get("www-authenticate", "")
    assert challenge.startswith(case.get("challenge", "")), challenge
    if "error" in case:
        content = response.json()
        assert set(content) <= {"error", "error_description"}
        assert content["error"] == case["error"], content
        assert case.get("says", "") in content.get("error_description", ""), content


@pytest.mark.parametrize("case", load("smart_token.yaml"))
async def test_case(smart: World, case: dict[str, Any]) -> None:
    check(await send(smart, case), case)


@pytest.mark.parametrize("case", load("smart_token_broken.yaml"))
async def test_the_runner_can_fail(smart: World, case: dict[str, Any]) -> None:
    response = await send(smart, case)
    with pytest.raises(AssertionError):
        check(response, case)


async def test_the_negative_cases_are_counted() -> None:
    refused = Counter(case.values[0]["point"] for case in load("smart_token.yaml") if case.values[0]["status"] >= 400)
    assert sum(refused.values()) >= 120
    assert all(refused[point] >= 5 for point in (5, 6, 10, 11, 12, 13)), refused


# ---- 10: the token response --------------------------------------------------------------------------------------


async def redeem(smart: World, code: str, client: str = "app") -> httpx.Response:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
    return await smart.post("/auth/token", {**form, "client_id": client})


async def test_10_response_has_tokens_scope_and_context(smart: World) -> None:
    told = (await redeem(smart, await smart.code())).json()
    assert told["token_type"] == "Bearer"
    assert 0 < told["expires_in"] <= 3600
    assert (
        told["scope"] == "openid fhirUser launch/patient patient/Observation.rs patient/Condition.read offline_access"
    )
    assert {name: told[name] for name in CONTEXT} == CONTEXT
    live = await smart.auth.tokens.find(told["access_token"])
    assert live is not None
    assert live.grant.user == "nora"
    assert set(told) == {*CONTEXT, "access_token", "token_type", "expires_in", "scope", "refresh_token", "id_token"}


async def test_10_context_cannot_replace_the_tokens(smart: World) -> None:
    names = ("access_token", "token_type", "scope", "refresh_token", "id_token", "active", "error")
    context = {"patient": "p1", **dict.fromkeys(names, "x")}
    told = (await redeem(smart, await smart.code(context=context, scopes="patient/*.rs"))).json()
    assert "x" not in told.values()
    assert set(told) == {"patient", "access_token", "token_type", "expires_in", "scope"}


async def session(smart: World) -> str:
    """The id of a browser session in which the user has signed in."""
    found = await smart.auth.sessions.find(await smart.auth.sessions.start("nora"))
    assert found is not None
    return found.id


@pytest.mark.parametrize(
    ("scopes", "refreshes"),
    [("user/*.rs", False), ("user/*.rs offline_access", True), ("user/*.rs online_access", True)],
)
async def test_10_refresh_token_only_with_its_scope(smart: World, scopes: str, refreshes: bool) -> None:
    told = (await redeem(smart, await smart.code(scopes=scopes, session=await session(smart)))).json()
    assert ("refresh_token" in told) is refreshes
    assert "id_token" not in told


async def test_10_no_refresh_token_for_a_client_that_may_not_use_it(smart: World) -> None:
    told = (await redeem(smart, await smart.code("no-refresh"), "no-refresh")).json()
    assert "refresh_token" not in told


async def identity(smart: World, **given: Any) -> dict[str, Any]:
    told = (await redeem(smart, await smart.code(**given))).json()
    keys = KeySet.import_key_set((await smart.http.get("/auth/jwks")).json())
    token = jwt.decode(told["id_token"], keys, algorithms=["RS256"])
    assert token.header["alg"] == "RS256"
    return dict(token.claims)


async def test_10_id_token_says_who_the_user_is(smart: World) -> None:
    signed_in = now()
    claims = await identity(smart, nonce="n-1", signed_in=signed_in)
    moment = int(now().timestamp())
    assert claims["iss"] == ORIGIN
    assert claims["aud"] == "app"
    assert claims["nonce"] == "n-1"
    assert claims["auth_time"] == int(signed_in.timestamp())
    assert claims["fhirUser"] == claims["profile"] == f"{BASE}/Practitioner/1"
    assert moment - 60 < claims["iat"] <= moment < claims["exp"] <= moment + 3600
    assert "nora" not in claims["sub"]
    assert claims["sub"] == (await identity(smart))["sub"]


async def test_10_id_token_names_the_user_only_as_far_as_scopes_go(smart: World) -> None:
    claims = await identity(smart, scopes="openid user/*.rs")
    assert set(claims) == {"iss", "aud", "iat", "exp", "sub"}
    assert "profile" in await identity(smart, scopes="openid profile user/*.rs")
    told = (await redeem(smart, await smart.code(scopes="fhirUser user/*.rs"))).json()
    assert "id_token" not in told


async def test_10_userinfo(smart: World) -> None:
    tokens = await smart.tokens()
    headers = {"Authorization": f"Bearer {tokens.access}"}
    claims = await identity(smart)
    for method in ("GET", "POST"):
        response = await smart.http.request(method, "/auth/userinfo", headers=headers)
        assert response.json() == {name: claims[name] for name in ("sub", "fhirUser", "profile")}


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp5"}])
async def test_10_userinfo_without_a_token(smart: World, header: dict[str, str]) -> None:
    response = await smart.http.get("/auth/userinfo", headers=header)
    assert response.status_code == 401
    assert response.json()["error"] == "invalid_token"
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_10_userinfo_needs_openid(smart: World) -> None:
    tokens = await smart.tokens(scopes="user/*.rs")
    response = await smart.http.get("/auth/userinfo", headers={"Authorization": f"Bearer {tokens.access}"})
    assert (response.status_code, response.json()["error"]) == (403, "insufficient_scope")


# ---- 6, 11, 12: once, also in parallel ---------------------------------------------------------------------------


async def test_6_parallel_redemptions_of_a_code_give_one_token(smart: World) -> None:
    code = await smart.code()
    answers = await asyncio.gather(*(redeem(smart, code) for _ in range(8)))
    assert sorted(one.status_code for one in answers) == [200] + [400] * 7


async def test_6_reuse_of_a_code_revokes_what_it_gave(smart: World) -> None:
    code = await smart.code()
    told = (await redeem(smart, code)).json()
    assert (await redeem(smart, code)).json()["error"] == "invalid_grant"
    assert await smart.auth.tokens.find(told["access_token"]) is None
    assert await smart.auth.tokens.find_refresh(told["refresh_token"]) is None


async def test_11_parallel_replays_of_an_assertion_give_one_token(smart: World) -> None:
    form = {**SERVICE, **signed(assertion())}
    answers = await asyncio.gather(*(smart.post("/auth/token", form) for _ in range(8)))
    assert sorted(one.status_code for one in answers) == [200] + [401] * 7
    assert "used before" in (await smart.post("/auth/token", form)).json()["error_description"]


async def test_11_a_jti_counts_for_its_client_only(smart: World) -> None:
    one = await smart.post("/auth/token", {**SERVICE, **signed(assertion(jti="same"))})
    other = await smart.post("/auth/introspect", {"token": "x", **signed(assertion("unscoped", jti="same"))})
    assert (one.status_code, other.status_code) == (200, 200)


async def test_11_a_refused_assertion_does_not_use_up_its_jti(smart: World) -> None:
    refused = await smart.post("/auth/token", {**SERVICE, **signed(assertion(key="foreign", jti="kept"))})
    granted = await smart.post("/auth/token", {**SERVICE, **signed(assertion(jti="kept"))})
    assert (refused.status_code, granted.status_code) == (401, 200)


async def test_12_reuse_of_a_refresh_token_ends_its_family(smart: World) -> None:
    old = await smart.tokens()
    form = {"grant_type": "refresh_token", "refresh_token": old.refresh, "client_id": "app"}
    new = (await smart.post("/auth/token", form)).json()
    assert new["refresh_token"] != old.refresh
    assert {name: new[name] for name in CONTEXT} == CONTEXT
    again = await smart.post("/auth/token", form)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    for token in (old.access, new["access_token"]):
        assert await smart.auth.tokens.find(token) is None
    assert await smart.auth.tokens.find_refresh(new["refresh_token"]) is None


async def test_12_scope_shrinks_and_can_come_back(smart: World) -> None:
    old = await smart.tokens()
    form = {"grant_type": "refresh_token", "refresh_token": old.refresh, "client_id": "app"}
    less = (await smart.post("/auth/token", {**form, "scope": "patient/Observation.r"})).json()
    assert less["scope"] == "patient/Observation.r"
    all_ = (await smart.post("/auth/token", {**form, "refresh_token": less["refresh_token"]})).json()
    assert all_["scope"] == old.grant.scopes


async def test_12_online_access_ends_with_its_session(smart: World) -> None:
    given = {"scopes": "user/*.rs online_access", "session": await session(smart)}
    told = (await redeem(smart, await smart.code(**given))).json()
    form = {"grant_type": "refresh_token", "refresh_token": told["refresh_token"], "client_id": "app"}
    again = (await smart.post("/auth/token", form)).json()
    await smart.auth.tokens.end_session(given["session"])
    ended = await smart.post("/auth/token", {**form, "refresh_token": again["refresh_token"]})
    assert ended.json()["error"] == "invalid_grant"


@pytest.mark.parametrize("field", ["expires", "ends"])
async def test_12_online_access_lasts_no_longer_than_an_idle_or_an_old_session(smart: World, field: str) -> None:
    given = {"scopes": "user/*.rs online_access", "session": await session(smart)}
    told = (await redeem(smart, await smart.code(**given))).json()
    soon = now() + timedelta(seconds=-1 if field == "expires" else 600)
    rows = smart.auth.database.system["auth_session"]
    await rows.update_one({"_id": given["session"]}, {"$set": {field: soon}})
    form = {"grant_type": "refresh_token", "refresh_token": told["refresh_token"], "client_id": "app"}
    again = (await smart.post("/auth/token", form)).json()
    if field == "expires":
        assert again["error"] == "invalid_grant"
        assert await smart.auth.tokens.find(told["access_token"]) is None
    else:
        assert again["expires_in"] <= 600
        live = await smart.auth.tokens.find_refresh(again["refresh_token"])
        assert live is not None
        # What is left is counted first, and begins when the token is made: seconds later on a machine that stalls.
        assert live.expires <= soon + timedelta(minutes=1)


async def test_12_offline_access_outlives_its_session(smart: World) -> None:
    given = {"scopes": "user/*.rs offline_access", "session": "browser-2"}
    told = (await redeem(smart, await smart.code(**given))).json()
    await smart.auth.tokens.end_session("browser-2")
    form = {"grant_type": "refresh_token", "refresh_token": told["refresh_token"], "client_id": "app"}
    assert (await smart.post("/auth/token", form)).status_code == 200


# ---- 13: backend services ----------------------------------------------------------------------------------------


async def test_13_a_service_gets_what_is_registered_for_minutes(smart: World) -> None:
    form = {**SERVICE, "scope": "system/Patient.rs system/Observation.r system/Medication.rs"}
    told = (await smart.post("/auth/token", {**form, **signed(assertion())})).json()
    assert told["scope"] == "system/Patient.rs system/Observation.r"
    assert 0 < told["expires_in"] <= 300
    assert set(told) == {"access_token", "token_type", "expires_in", "scope"}
    live = await smart.auth.tokens.find(told["access_token"])
    assert live is not None
    assert (live.grant.client, live.grant.user, live.grant.fhir_user) == ("service", "", "Device/1")


# ---- 3: CORS -----------------------------------------------------------------------------------------------------

ENDPOINTS = ("/auth/token", "/auth/introspect", "/auth/revoke", "/auth/userinfo")


@pytest.mark.parametrize("path", ENDPOINTS)
async def test_3_registered_pages_may_call(smart: World, path: str) -> None:
    headers = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    response = await smart.http.options(path, headers=headers)
    assert response.headers["access-control-allow-origin"] == PAGE
    assert "POST" in response.headers["access-control-allow-methods"]
    assert "Authorization" in response.headers["access-control-allow-headers"]
    answered = await smart.post(path, {}, Origin=PAGE)
    assert answered.headers["access-control-allow-origin"] == PAGE
    assert "Origin" in answered.headers["vary"]
    assert "access-control-allow-credentials" not in answered.headers


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.evil.example",
        "https://app.example:444",
        "http://app.example",
        "null",
        "https://APP.example",
    ],
)
async def test_3_other_pages_may_not(smart: World, path: str, origin: str) -> None:
    preflight = await smart.http.options(path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
    answered = await smart.post(path, {}, Origin=origin)
    for response in (preflight, answered):
        assert "access-control-allow-origin" not in response.headers
        assert "Origin" in response.headers["vary"]


async def test_10_nothing_of_the_request_is_in_a_refusal(smart: World) -> None:
    form = {"grant_type": "sesame-grant", "code": "sesame", "client_id": "app", "client_assertion": "sesame"}
    for path in ENDPOINTS[:3]:
        response = await smart.post(path, {**form, "token": "sesame"}, Authorization="Basic sesame")
        assert "sesame" not in response.text
        assert "sesame" not in str(response.headers)
