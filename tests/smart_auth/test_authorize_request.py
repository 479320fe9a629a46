"""What an app may ask of the authorization endpoint: each rule broken alone, and what is believed first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smart_auth.authorize_request import AuthorizeRequest, NoRedirect, Redirect, answer, parse
from smart_auth.clients import Client, Clients

BASE = "http://127.0.0.1:8080/fhir"
HOME = "https://app.example/cb"
CLIENTS = [
    Client("app", "App", redirect_uris=(HOME, "app.example:/cb")),
    Client("narrow", "Narrow", redirect_uris=(HOME,), scopes="openid patient/*.rs",
           grant_types=("authorization_code",)),
    Client("ended", "Ended", redirect_uris=(HOME,), active=False),
    Client("service", "Service", "confidential-asymmetric", jwks={"keys": [{"kty": "EC", "kid": "1"}]},
           grant_types=("client_credentials",), redirect_uris=(HOME,)),
]  # fmt: skip
GOOD = {
    "response_type": "code",
    "client_id": "app",
    "redirect_uri": HOME,
    "scope": "openid fhirUser launch/patient patient/Observation.rs offline_access",
    "state": "st+ate /?&=é\u2603",
    "aud": BASE,
    "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    "code_challenge_method": "S256",
}


class Asking:
    """Asks as an app does that is one of these clients."""

    def __init__(self, clients: Clients) -> None:
        self.clients = clients

    async def __call__(
        self, given: dict[str, str | None], *more: tuple[str, str], base: str = BASE
    ) -> AuthorizeRequest:
        pairs = [(name, value) for name, value in {**GOOD, **given}.items() if value is not None]
        return await parse([*pairs, *more], self.clients, base)


@pytest.fixture
async def ask(parts: Any) -> Asking:
    for client in CLIENTS:
        if await parts.clients.get(client.id) is None:
            await parts.clients.add(client)
    return Asking(parts.clients)


async def test_a_request_in_order_is_read(ask: Asking) -> None:
    found = await ask({"nonce": "n", "prompt": "login consent", "max_age": "60", "login_hint": "nora"})
    assert found == AuthorizeRequest(
        client=CLIENTS[0],
        redirect_uri=HOME,
        state=GOOD["state"],
        code_challenge=GOOD["code_challenge"],
        scopes=("openid", "fhirUser", "launch/patient", "patient/Observation.rs", "offline_access"),
        nonce="n",
        prompt=("login", "consent"),
        max_age=60,
        login_hint="nora",
    )


@pytest.mark.parametrize(("aud", "base"), [(BASE + "/", BASE), (BASE, BASE + "/")])
async def test_point_4_a_trailing_slash_of_aud_is_fine(ask: Asking, aud: str, base: str) -> None:
    assert await ask({"aud": aud}, base=base)


# ---- whoever cannot be trusted is not answered -------------------------------------------------------

UNTRUSTED: list[dict[str, str | None]] = [
    {"client_id": None},
    {"client_id": ""},
    {"client_id": "nobody"},
    {"client_id": "APP"},
    {"client_id": "ended"},
    {"client_id": "$ne"},
    {"client_id": "\ud800"},
    {"client_id": "a\0"},
    {"redirect_uri": None},
    {"redirect_uri": ""},
    {"redirect_uri": "https://evil.example/cb"},
    {"redirect_uri": "https://app.example/cb/more"},
    {"redirect_uri": "https://app.example/c"},
    {"redirect_uri": "https://app.example/cb?x=1"},
    {"redirect_uri": "https://app.example/cb#x"},
    {"redirect_uri": "https://user@app.example/cb"},
    {"redirect_uri": "https://app.example@evil.example/cb"},
    {"redirect_uri": "https://app.example/cb\n"},
    {"redirect_uri": "javascript:alert(1)"},
]
BROKEN: list[tuple[str, dict[str, str | None]]] = [
    ("invalid_request", {"response_type": None}),
    ("unsupported_response_type", {"response_type": "token"}),
    ("unsupported_response_type", {"response_type": "code id_token"}),
    ("invalid_request", {"response_mode": "fragment"}),
    ("invalid_request", {"response_mode": "form_post"}),
    ("invalid_request", {"aud": None}),
    ("invalid_request", {"aud": ""}),
    ("invalid_request", {"aud": "https://other.example/fhir"}),
    ("invalid_request", {"aud": BASE + "//"}),
    ("invalid_request", {"aud": BASE + "/Patient"}),
    ("invalid_request", {"aud": "http://127.0.0.1:8080"}),
    ("invalid_request", {"code_challenge": None}),
    ("invalid_request", {"code_challenge": ""}),
    ("invalid_request", {"code_challenge": "short"}),
    ("invalid_request", {"code_challenge": GOOD["code_challenge"] + "="}),
    ("invalid_request", {"code_challenge": GOOD["code_challenge"][:-1] + "+"}),
    ("invalid_request", {"code_challenge": GOOD["code_challenge"] + "a"}),
    ("invalid_request", {"code_challenge_method": None}),
    ("invalid_request", {"code_challenge_method": ""}),
    ("invalid_request", {"code_challenge_method": "plain"}),
    ("invalid_request", {"code_challenge_method": "s256"}),
    ("invalid_request", {"code_challenge": None, "code_challenge_method": None}),
    ("invalid_scope", {"scope": None}),
    ("invalid_scope", {"scope": " "}),
    ("invalid_scope", {"scope": "nonsense"}),
    ("invalid_scope", {"scope": "system/*.rs"}),
    ("invalid_scope", {"scope": "patient/Observation.sr"}),
    ("invalid_scope", {"scope": 'openid "x"'}),
    ("invalid_scope", {"scope": "openid\tfhirUser"}),
    ("invalid_scope", {"scope": " ".join(f"a{n}" for n in range(201))}),
    ("invalid_scope", {"scope": "user/*.rs", "client_id": "narrow"}),
    ("invalid_request", {"scope": "launch patient/*.rs"}),
    ("invalid_request", {"scope": "launch patient/*.rs", "launch": ""}),
    ("request_not_supported", {"request": "e30."}),
    ("request_uri_not_supported", {"request_uri": "https://app.example/request"}),
    ("invalid_request", {"prompt": "none login"}),
    ("invalid_request", {"prompt": "dance"}),
    ("invalid_request", {"max_age": "soon"}),
    ("invalid_request", {"max_age": "-1"}),
    ("invalid_request", {"max_age": "٣"}),
    ("invalid_request", {"nonce": "n" * 4001}),
    ("unauthorized_client", {"client_id": "service"}),
]


@pytest.mark.parametrize("wrong", UNTRUSTED)
async def test_point_4_an_unknown_client_or_address_gets_no_redirect(ask: Asking, wrong: dict[str, str | None]) -> None:
    with pytest.raises(NoRedirect) as caught:
        await ask(wrong)
    assert not any(value and value in str(caught.value) for value in wrong.values())


@pytest.mark.parametrize("wrong", UNTRUSTED)
@pytest.mark.parametrize("also", [wrong for _, wrong in BROKEN[::5] if "client_id" not in wrong])
async def test_point_4_also_when_something_else_is_wrong_too(
    ask: Asking, wrong: dict[str, str | None], also: dict[str, str | None]
) -> None:
    with pytest.raises(NoRedirect):
        await ask({**also, **wrong})


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
async def test_point_4_two_clients_or_addresses_are_none(ask: Asking, name: str) -> None:
    for value in (GOOD[name], "https://evil.example/cb"):
        with pytest.raises(NoRedirect):
            await ask({}, (name, value))


# ---- everything else the app is told -----------------------------------------------------------------


@pytest.mark.parametrize(("error", "wrong"), BROKEN)
async def test_points_4_and_5_other_errors_go_back_with_the_state(
    ask: Asking, error: str, wrong: dict[str, str | None]
) -> None:
    with pytest.raises(Redirect) as caught:
        await ask(wrong)
    refusal = caught.value
    assert (refusal.error, refusal.redirect_uri, refusal.state) == (error, HOME, GOOD["state"])
    assert refusal.description.endswith(".")


@pytest.mark.parametrize("name", [name for name in GOOD if name not in ("client_id", "redirect_uri")])
async def test_a_parameter_given_twice_is_refused(ask: Asking, name: str) -> None:
    with pytest.raises(Redirect) as caught:
        await ask({}, (name, GOOD[name]))
    assert caught.value.error == "invalid_request"
    assert caught.value.state == (None if name == "state" else GOOD["state"])


@given(state=st.text(st.characters(blacklist_categories=["Cs"]), max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_point_4_the_state_comes_back_exactly(ask: Asking, state: str) -> None:
    request = await ask({"state": state})
    refusal = request.refuse("access_denied")
    url = answer(refusal.redirect_uri, "http://127.0.0.1:8080", error=refusal.error, state=refusal.state)
    told = parse_qs(urlsplit(url).query, keep_blank_values=True)
    assert told == {"error": ["access_denied"], "state": [state], "iss": ["http://127.0.0.1:8080"]}
    assert url.startswith(HOME + "?")


async def test_without_a_state_none_is_told(ask: Asking) -> None:
    request = await ask({"state": None})
    assert "state" not in answer(request.redirect_uri, "https://i.example", code="c", state=request.state)


# ---- scopes ------------------------------------------------------------------------------------------


async def test_scopes_that_are_unknown_or_not_for_users_are_left_out(ask: Asking) -> None:
    request = await ask({"scope": "openid nonsense system/*.rs openid patient/*.read launch/encounter"})
    assert request.scopes == ("openid", "patient/*.read", "launch/encounter")


async def test_a_client_is_held_to_what_it_is_registered_for(ask: Asking) -> None:
    scope = "openid fhirUser patient/Observation.rs patient/Observation.cruds offline_access"
    request = await ask({"client_id": "narrow", "scope": scope})
    assert request.scopes == ("openid", "patient/Observation.rs")


async def test_a_client_without_refresh_gets_no_scope_for_it(ask: Asking) -> None:
    await ask.clients.add(replace(CLIENTS[0], id="brief", grant_types=("authorization_code",)))
    request = await ask({"client_id": "brief"})
    assert "offline_access" not in request.scopes


async def test_point_8_launch_is_read_with_its_scope_only(ask: Asking) -> None:
    assert (await ask({"scope": "launch patient/*.rs", "launch": "xyz"})).launch == "xyz"
    assert (await ask({"launch": "xyz"})).launch == ""
