"""Signing in through outside providers: a stand-in for OpenID Connect, and one for GitHub, on loopback."""

from __future__ import annotations

import asyncio
import base64
import hmac
import secrets
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest
import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse

from fhir_server import json
from fhir_server.config import Settings
from fhir_server.rest.router import Router
from smart_auth import providers
from smart_auth.codes import challenge_of
from smart_auth.providers import providers_of
from tests.smart_auth.visitor import PASSWORD, Reader, Visitor, World, said, world

KEY = RSAKey.generate_key(2048, {"kid": "one"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "one"})
CLIENT, SECRET = "fhir", "s3cret/+ %"


@dataclass
class Provider:
    """A stand-in: everybody who comes is `subject`; the tests bend its answers."""

    subject: str = "idp-ana"
    issuer: str = ""
    claims: dict[str, Any] = field(default_factory=dict)  # in place of the good ones; None leaves one out
    header: dict[str, Any] = field(default_factory=lambda: {"alg": "RS256", "kid": "one"})
    key: Any = field(default_factory=lambda: KEY)
    published: Any = field(default_factory=lambda: KEY)
    calls_itself: str = ""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def app(self) -> Starlette:
        router = Router()

        @router.get("/.well-known/openid-configuration")
        async def discovery(_: Request) -> JSONResponse:
            names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            urls = {name: f"{self.issuer}/{name}" for name in names}
            return JSONResponse({"issuer": self.calls_itself or self.issuer} | urls)

        @router.get("/jwks_uri")
        async def keys(_: Request) -> JSONResponse:
            return JSONResponse({"keys": [self.published.as_dict(private=False)]})

        @router.post("/token_endpoint")
        async def token(request: Request) -> JSONResponse:
            return self.token(dict(parse_qsl((await request.body()).decode())), request.headers)

        @router.get("/user")
        async def user(request: Request) -> JSONResponse:
            good = request.headers.get("authorization") == "Bearer the-access-token"
            return JSONResponse({"id": 4711, "login": "ana", "email": "ana@mail.example"} if good else {})

        return Starlette(routes=router.routes)

    def token(self, form: dict[str, str], headers: Any) -> JSONResponse:
        asked = self.codes.pop(form.get("code", ""), None)
        self.requests.append(headers.get("authorization", ""))
        if asked is None or challenge_of(form.get("code_verifier", "")) != asked["code_challenge"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        good = {"iss": self.issuer, "aud": CLIENT, "sub": self.subject, "iat": now, "exp": now + 300}
        claims = {
            **good,
            "nonce": asked.get("nonce"),
            "email": "diaz@mail.example",
            "email_verified": True,
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        id_token = "" if "id_token" in self.claims else self.sign(claims)
        return JSONResponse({"access_token": "the-access-token", "token_type": "bearer", "id_token": id_token})

    def sign(self, claims: dict[str, Any]) -> str:
        if self.header["alg"] == "RS256":
            return jwt.encode(self.header, claims, self.key)
        text = ".".join(
            base64.urlsafe_b64encode(json.encode(part)).decode().rstrip("=") for part in (self.header, claims)
        )
        mac = hmac.digest(KEY.as_pem(private=False), text.encode(), "sha256") if self.header["alg"] == "HS256" else b""
        return f"{text}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"

    def sign_in(self, response: httpx.Response) -> str:
        """What the browser does there: it comes back to this address."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(response.headers["location"]).query).items()}
        code = secrets.token_urlsafe()
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?code={code}&state={asked['state']}"


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    found = Provider()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found.issuer = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(found.app(), log_level="warning", lifespan="off"))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        yield found
        server.should_exit = True
        await task


def configured(provider: Provider, **changes: Any) -> str:
    openid = {"name": "hospital", "title": "The hospital", "issuer": provider.issuer}
    github = {"name": "github", "kind": "github", "authorization_endpoint": f"{provider.issuer}/authorization_endpoint"}
    github |= {"token_endpoint": f"{provider.issuer}/token_endpoint", "userinfo_endpoint": f"{provider.issuer}/user"}
    common = {"client_id": CLIENT, "client_secret": SECRET}
    return json.encode([{**openid, **common, **changes}, {**github, **common}]).decode()


@pytest.fixture
async def made(settings: Settings, provider: Provider) -> AsyncIterator[World]:
    providers.client_of.cache_clear()
    async with world(settings, openid_providers=configured(provider)) as found:
        yield found


async def linked(made: World, provider: Provider, login: str = "ana") -> Visitor:
    """Somebody who is signed in by password and has linked their account there."""
    visitor = made.visitor()
    await visitor.sign_in(login)
    account = await visitor.get("/auth/account")
    number = next(n for n, form in enumerate(Reader(account.text).forms) if form.action.endswith("/hospital/link"))
    done = await visitor.get(provider.sign_in(await visitor.submit(account, number=number)))
    assert done.headers["location"].endswith("/auth/account?done=linked"), done.text
    return visitor


async def arrived(made: World, provider: Provider, visitor: Visitor | None = None) -> httpx.Response:
    """What comes of signing in there."""
    visitor = visitor or made.visitor()
    return await visitor.get(provider.sign_in(await visitor.get("/auth/outside/hospital")))


async def test_a_linked_account_signs_in_and_the_app_gets_its_code(made: World, provider: Provider) -> None:
    await linked(made, provider)
    ana = made.visitor()
    page = await ana.follow(await ana.get(made.authorize_url("openid", client="trusted")))
    link = next(one for one in Reader(page.text).links if "/auth/outside/hospital" in one)
    assert "Sign in with The hospital" in page.text
    start = await ana.get(link)
    asked = dict(parse_qsl(urlsplit(start.headers["location"]).query))
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["nonce"]) == len(asked["state"]) == 43
    answer = await ana.follow(await ana.get(provider.sign_in(start)))
    assert "code" in said(answer)
    assert provider.requests[-1].startswith("Basic ")


async def test_an_account_that_is_not_linked_is_not_taken_by_its_address(made: World, provider: Provider) -> None:
    response = await arrived(made, provider)  # it says diaz@mail.example, verified
    assert response.status_code == 403
    assert "Not linked yet" in response.text


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"aud": "somebody-else"},
        {"aud": [CLIENT, "other"]},
        {"aud": [CLIENT, "other"], "azp": "other"},
        {"azp": "other"},
        {"exp": 1},
        {"exp": None},
        {"exp": "soon"},
        {"iat": 4_000_000_000},
        {"iat": None},
        {"nonce": "another"},
        {"nonce": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"id_token": None},
    ],
)
async def test_what_the_token_must_say(made: World, provider: Provider, claims: dict[str, Any]) -> None:
    await linked(made, provider)
    provider.claims = claims
    visitor = made.visitor()
    response = await arrived(made, provider, visitor)
    assert response.status_code == 502
    assert (await visitor.get("/auth/apps")).status_code == 303


@pytest.mark.parametrize("how", ["foreign key", "hmac with the public key", "none"])
async def test_who_must_have_signed_it(made: World, provider: Provider, how: str) -> None:
    await linked(made, provider)
    if how == "foreign key":
        provider.key = OTHER_KEY
    elif how == "hmac with the public key":
        provider.header = {"alg": "HS256", "kid": "one"}
    else:
        provider.header = {"alg": "none"}
    assert (await arrived(made, provider)).status_code == 502


async def test_new_keys_of_the_provider_are_fetched(made: World, provider: Provider) -> None:
    await linked(made, provider)
    fresh = RSAKey.generate_key(2048, {"kid": "two"})
    provider.key, provider.published, provider.header = fresh, fresh, {"alg": "RS256", "kid": "two"}
    assert (await arrived(made, provider)).status_code == 303


async def test_a_provider_that_calls_itself_otherwise_is_not_used(made: World, provider: Provider) -> None:
    provider.calls_itself = "https://evil.example"
    assert (await made.visitor().get("/auth/outside/hospital")).status_code == 502


async def test_a_state_counts_once_and_in_its_browser_and_for_its_provider(made: World, provider: Provider) -> None:
    await linked(made, provider)
    ana = made.visitor()
    back = provider.sign_in(await ana.get("/auth/outside/hospital"))
    assert (await made.visitor().get(back)).status_code == 502  # somebody else's browser, and it is used up
    back = provider.sign_in(await ana.get("/auth/outside/hospital"))
    assert (await ana.get(back.replace("/hospital/", "/github/"))).status_code == 502
    back = provider.sign_in(await ana.get("/auth/outside/hospital"))
    assert (await ana.get(back + "&iss=https://evil.example")).status_code == 502
    back = provider.sign_in(await ana.get("/auth/outside/hospital"))
    assert (await ana.get(back)).status_code == 303
    assert (await ana.get(back)).status_code == 502


@pytest.mark.parametrize("query", ["", "?error=access_denied&state=x", "?code=x", "?code=x&state=" + "y" * 43])
async def test_what_was_not_begun_here_is_refused(made: World, query: str) -> None:
    assert (await made.visitor().get(f"/auth/outside/hospital/callback{query}")).status_code == 502


async def test_a_link_of_somebody_else_stays(made: World, provider: Provider) -> None:
    await linked(made, provider)
    diaz = made.visitor()
    await diaz.sign_in("diaz")
    account = await diaz.get("/auth/account")
    number = next(n for n, form in enumerate(Reader(account.text).forms) if form.action.endswith("/hospital/link"))
    response = await diaz.get(provider.sign_in(await diaz.submit(account, number=number)))
    assert response.status_code == 409
    assert not (await made.auth.users.get("diaz")).identities  # type: ignore[union-attr]


async def test_linking_ends_when_one_signs_out_meanwhile(made: World, provider: Provider) -> None:
    ana = made.visitor()
    await ana.sign_in("ana")
    account = await ana.get("/auth/account")
    number = next(n for n, form in enumerate(Reader(account.text).forms) if form.action.endswith("/hospital/link"))
    back = provider.sign_in(await ana.submit(account, number=number))
    await made.auth.sessions.end_all("ana")
    assert (await ana.get(back)).status_code == 502
    assert not (await made.auth.users.get("ana")).identities  # type: ignore[union-attr]


async def test_linking_needs_its_form(made: World) -> None:
    ana = made.visitor()
    await ana.sign_in("ana")
    assert (await ana.post("/auth/outside/hospital/link", [])).status_code == 403
    assert (await made.visitor().post("/auth/outside/hospital/link", [])).status_code == 403


async def test_unlinking(made: World, provider: Provider) -> None:
    ana = await linked(made, provider)
    account = await ana.get("/auth/account")
    number = next(n for n, form in enumerate(Reader(account.text).forms) if form.action.endswith("/unlink"))
    await ana.submit(account, number=number)
    assert (await arrived(made, provider)).status_code == 403


async def test_someone_shut_out_here_does_not_get_in_there(made: World, provider: Provider) -> None:
    await linked(made, provider)
    await made.auth.users.set_active("ana", False)
    assert (await arrived(made, provider)).status_code == 403


@pytest.mark.parametrize("trusted", [False, True])
async def test_the_second_factor_is_ours_unless_the_providers_counts(
    settings: Settings, provider: Provider, trusted: bool
) -> None:
    providers.client_of.cache_clear()
    text = configured(provider, second_factor=trusted)
    async with world(settings, openid_providers=text) as made:
        await linked(made, provider)
        await made.auth.users.set_second_factor("ana", made.auth.keys.seal(b"JBSWY3DPEHPK3PXP"), 0, ())
        answer = await arrived(made, provider)
        assert ("/auth/second-factor" in answer.headers["location"]) is not trusted


async def test_github_is_known_by_its_number(made: World, provider: Provider) -> None:
    ana = made.visitor()
    await ana.sign_in("ana")
    account = await ana.get("/auth/account")
    number = next(n for n, form in enumerate(Reader(account.text).forms) if form.action.endswith("/github/link"))
    assert (await ana.get(provider.sign_in(await ana.submit(account, number=number)))).status_code == 303
    assert (await made.auth.users.get("ana")).identities == ("https://github.com 4711",)  # type: ignore[union-attr]
    other = made.visitor()
    back = provider.sign_in(await other.get("/auth/outside/github?next=/auth/account"))
    assert (await other.get(back)).headers["location"].endswith("/auth/account")


async def test_a_provider_that_does_not_answer_is_told_in_words(settings: Settings) -> None:
    gone = Provider(issuer="http://127.0.0.1:1")
    async with world(settings, openid_providers=configured(gone)) as made:
        response = await made.visitor().get("/auth/outside/hospital")
        assert response.status_code == 502
        assert "does not answer" in response.text
        ana = made.visitor()
        await ana.sign_in("ana", PASSWORD)
        assert (await ana.get("/auth/account")).status_code == 200


async def test_other_names_are_no_providers(made: World) -> None:
    assert (await made.visitor().get("/auth/outside/nobody")).status_code == 404


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"name": "x"}',
        '[{"name": "x"}]',
        '[{"name": "x", "client_id": "c"}]',
        '[{"name": "x/y", "client_id": "c", "issuer": "https://x.example"}]',
        '[{"name": "x", "client_id": "c", "issuer": "http://x.example"}]',
        '[{"name": "x", "client_id": "c", "issuer": "https://x.example", "kind": "saml"}]',
    ],
)
def test_a_wrong_configuration_says_so(text: str) -> None:
    with pytest.raises(RuntimeError):
        providers_of(Settings(openid_providers=text))
