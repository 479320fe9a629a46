"""Point 7: signing in and out, and what the pages send along."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import parse_qsl

import httpx
import pytest

from fhir_server.config import Settings
from smart_auth import page
from smart_auth.clients import Client
from smart_auth.store import digest, now
from tests.smart_auth.visitor import APP, ORIGIN, PASSWORD, Reader, Visitor, World, query, said, world

COOKIE = page.COOKIE


@pytest.fixture
async def made(settings: Settings) -> AsyncIterator[World]:
    async with world(settings) as found:
        yield found


async def allowed(visitor: Visitor, response: httpx.Response) -> httpx.Response:
    """Through the consent page, everything allowed."""
    consent = await visitor.follow(response)
    assert "asks for access" in consent.text, consent.text
    return await visitor.follow(await visitor.submit(consent, press=("decision", "allow")))


async def test_from_the_app_and_back_with_a_code(made: World) -> None:
    ana = made.visitor()
    page = await ana.sign_in("ana", url=made.authorize_url("openid fhirUser launch/patient patient/Observation.rs"))
    back = await allowed(ana, page)
    assert said(back)["state"] == "the state"
    assert said(back)["iss"] == "http://127.0.0.1:8080"
    tokens = await made.tokens(back)
    assert tokens["patient"] == "ana"
    assert tokens["scope"] == "openid fhirUser launch/patient patient/Observation.rs"


async def test_a_form_of_the_app_is_taken_as_well(made: World) -> None:
    ana = made.visitor()
    url, _, query_ = made.authorize_url("launch/patient patient/Patient.r").partition("?")
    response = await ana.post(url, [(n, v) for n, v in httpx.QueryParams(query_).multi_items()])
    assert response.status_code == 303
    page = await ana.follow(response)
    back = await allowed(ana, await ana.submit(page, {"login": "ana", "password": PASSWORD}))
    assert "code" in said(back)


async def test_who_is_signed_in_already_is_not_asked_again(made: World) -> None:
    ana = made.visitor()
    await ana.sign_in("ana")
    assert "code" in said(await allowed(ana, await ana.get(made.authorize_url("openid"))))


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("ana", "wrong"),
        ("nobody-here", PASSWORD),
        ("former", PASSWORD),
        ("ANA\u0000", PASSWORD),
        ("ana", PASSWORD + " "),
    ],
)
async def test_what_is_wrong_gets_one_answer(made: World, login: str, password: str) -> None:
    visitor = made.visitor()
    response = await visitor.sign_in(login, password)
    if "\0" in login:
        assert response.status_code == 400
        return
    assert response.status_code == 403
    assert "The user name or the password is wrong." in response.text
    assert f'value="{password}"' not in response.text
    assert (await visitor.get("/auth/apps")).status_code == 303


@pytest.mark.parametrize("login", ["ana", "  ANA ", "ana@mail.example", "Ana@Mail.Example"])
async def test_names_and_verified_addresses_sign_in(made: World, login: str) -> None:
    assert (await made.visitor().sign_in(login)).status_code == 303


async def test_missing_entries_are_named_at_their_field(made: World) -> None:
    response = await made.visitor().sign_in("", "")
    reader = Reader(response.text)
    assert response.status_code == 422
    for name in ("login", "password"):
        assert reader.inputs[name]["aria-invalid"] == "true"
        assert reader.inputs[name]["aria-describedby"] == f"{name}-error"
        assert f"{name}-error" in reader.ids


async def test_unknown_names_take_as_long_as_wrong_passwords(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same work is done: counted, not timed."""
    from smart_auth import passwords

    done: list[str] = []
    fits = passwords._fits

    def counted(hash_: str, text: str) -> bool:
        done.append(hash_.rsplit("$", 2)[0])  # with its parameters, without salt and hash
        return fits(hash_, text)

    monkeypatch.setattr(passwords, "_fits", counted)
    for login in ("ana", "nobody-here", "former"):
        await made.visitor().sign_in(login, "wrong password 1")
    assert len(done) == 3
    assert len(set(done)) == 1


async def test_the_session_changes_its_secret_at_sign_in_and_is_kept_by_its_digest(made: World) -> None:
    ana = made.visitor()
    await ana.get("/auth/login")
    before = ana.http.cookies[COOKIE]
    await ana.sign_in("ana")
    after = ana.http.cookies[COOKIE]
    assert before != after
    rows = [row async for row in made.auth.database.system["auth_session"].find()]
    assert [row["key"] for row in rows] == [digest(after)]
    assert after not in str(rows)


async def test_a_secret_that_somebody_else_chose_is_worth_nothing(made: World) -> None:
    fixed = "x" * 43
    ana = made.visitor()
    ana.http.cookies.set(COOKIE, fixed)
    await ana.sign_in("ana")
    attacker = made.visitor()
    attacker.http.cookies.set(COOKIE, fixed)
    assert (await attacker.get("/auth/apps")).status_code == 303


@pytest.mark.parametrize("token", ["", "wrong", "é"])
@pytest.mark.parametrize("path", ["/auth/login", "/auth/logout", "/auth/apps/revoke", "/auth/account/password"])
async def test_forms_without_their_token_are_refused(made: World, path: str, token: str) -> None:
    ana = made.visitor()
    await ana.sign_in("ana")
    response = await ana.post(path, [("csrf", token), ("login", "ana"), ("password", PASSWORD)])
    assert response.status_code == 403
    assert (await ana.get("/auth/apps")).status_code == 200


async def test_a_token_of_another_browser_is_refused(made: World) -> None:
    one, other = made.visitor(), made.visitor()
    page = await one.get("/auth/login")
    await other.get("/auth/login")
    assert (await other.submit(page, {"login": "ana", "password": PASSWORD})).status_code == 403


@pytest.mark.parametrize(
    "next_",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "evil",
        "/a\rb",
        "\\\\evil.example",
    ],
)
async def test_nobody_is_sent_elsewhere(made: World, next_: str) -> None:
    ana = made.visitor()
    page = await ana.http.get("/auth/login", params={"next": next_})
    response = await ana.submit(page, {"login": "ana", "password": PASSWORD})
    assert response.headers["location"] == "http://127.0.0.1:8080/auth/apps"


async def test_the_page_that_was_asked_for_comes_after_signing_in(made: World) -> None:
    ana = made.visitor()
    page = await ana.follow(await ana.get("/auth/account?done=sessions"))
    response = await ana.submit(page, {"login": "ana", "password": PASSWORD})
    assert response.headers["location"] == "http://127.0.0.1:8080/auth/account?done=sessions"


@pytest.mark.parametrize(
    "path", ["/auth/login", "/auth/reset", "/auth/authorize?client_id=nobody", "/auth/verify?token=x"]
)
async def test_pages_cannot_be_framed_kept_or_told_of(made: World, path: str) -> None:
    headers = (await made.visitor().get(path)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self'" in policy
    assert "unsafe" not in policy
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"


async def test_the_cookie_is_ours_alone(made: World) -> None:
    cookie = (await made.visitor().get("/auth/login")).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/" in cookie
    assert "secure" not in cookie


async def test_over_https_the_cookie_is_bound_to_the_host(settings: Settings) -> None:
    async with world(settings, base_url="https://ehr.example/fhir") as made:
        headers = (await made.visitor().get("/auth/login")).headers
        assert "max-age=" in headers["strict-transport-security"]
        cookie = headers["set-cookie"]
        assert cookie.startswith(f"__Host-{COOKIE}=")
        assert "Secure" in cookie
        assert "Domain" not in cookie


async def test_behind_a_proxy_that_has_https_the_cookie_is_secure_too(settings: Settings) -> None:
    async with world(settings, base_url=None, trusted_proxies="10.0.0.0/8") as made:
        forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "ehr.example"}
        for address, is_secure in (("10.0.0.1", True), ("203.0.113.9", False)):
            headers = (await made.visitor(address).get("/auth/login", **forwarded)).headers
            for cookie in headers.get_list("set-cookie"):
                assert ("Secure" in cookie) is is_secure
                assert cookie.startswith("__Host-") is is_secure


async def test_no_page_has_a_script_or_style_within(made: World) -> None:
    ana = made.visitor()
    await ana.sign_in("ana")
    for path in ("/auth/apps", "/auth/account", "/auth/logout", "/auth/second-factor/set-up"):
        text = (await ana.get(path)).text
        assert "<style" not in text
        assert " style=" not in text
        assert "onclick" not in text
        assert text.count("<script") == 1


async def test_every_entry_has_its_label(made: World) -> None:
    ana, root = made.visitor(), made.visitor()
    await ana.sign_in("ana")
    await root.sign_in("root")
    pages = [await made.visitor().get(path) for path in ("/auth/login", "/auth/reset")]
    pages += [await ana.get(path) for path in ("/auth/account", "/auth/second-factor/set-up")]
    pages += [await ana.follow(await ana.get(made.authorize_url("openid patient/Observation.cruds offline_access")))]
    pages += [await root.get("/auth/invitations")]
    for response in pages:
        reader = Reader(response.text)
        assert reader.inputs.keys() <= reader.labels, response.url
        described = {one for given in reader.inputs.values() for one in given.get("aria-describedby", "").split()}
        assert described <= reader.ids


async def test_what_is_typed_is_escaped(made: World) -> None:
    response = await made.visitor().sign_in('"><script>alert(1)</script>', "x")
    assert "<script>alert" not in response.text


# ---- the app's wishes --------------------------------------------------------------------------------


async def test_prompt_none_shows_no_page(made: World) -> None:
    ana = made.visitor()
    assert (
        said(await ana.follow(await ana.get(made.authorize_url("openid", prompt="none"))))["error"] == "login_required"
    )
    await ana.sign_in("ana")
    silent = made.authorize_url("openid", prompt="none")
    assert said(await ana.follow(await ana.get(silent)))["error"] == "consent_required"
    trusted = made.authorize_url("openid", client="trusted", prompt="none")
    assert "code" in said(await ana.follow(await ana.get(trusted)))


async def test_prompt_none_does_not_choose_a_patient(made: World) -> None:
    diaz = made.visitor()
    await diaz.sign_in("diaz")
    url = made.authorize_url("launch/patient patient/Observation.rs", client="trusted", prompt="none")
    assert said(await diaz.follow(await diaz.get(url)))["error"] == "interaction_required"


@pytest.mark.parametrize("wish", [{"prompt": "login"}, {"prompt": "select_account"}, {"max_age": "0"}])
async def test_an_app_can_ask_for_a_fresh_sign_in(made: World, wish: dict[str, str]) -> None:
    ana = made.visitor()
    await ana.sign_in("ana")
    row = {"$set": {"signed_in": now() - timedelta(minutes=5)}}
    await made.auth.database.system["auth_session"].update_many({}, row)
    response = await ana.get(made.authorize_url("openid", client="trusted", **wish))
    page = await ana.follow(response)
    assert "Sign in" in page.text
    if "max_age" not in wish:
        back = await ana.follow(await ana.submit(page, {"login": "ana", "password": PASSWORD}))
        assert "code" in said(back)


async def test_a_login_hint_is_filled_in(made: World) -> None:
    page = await (ana := made.visitor()).follow(await ana.get(made.authorize_url("openid", login_hint="ana")))
    assert Reader(page.text).inputs["login"]["value"] == "ana"


async def test_what_cannot_be_trusted_gets_a_page_and_no_redirect(made: World) -> None:
    for url in (
        made.authorize_url("openid", client="nobody"),
        made.authorize_url("openid").replace("app.example", "evil.example"),
        "/auth/authorize",
    ):
        response = await made.visitor().get(url)
        assert response.status_code == 400
        assert "location" not in response.headers


async def test_what_the_app_got_wrong_goes_back_to_it(made: World) -> None:
    response = await made.visitor().get(made.authorize_url("openid", code_challenge_method="plain"))
    assert said(response)["error"] == "invalid_request"
    assert said(response)["state"] == "the state"


async def test_a_request_is_answered_once(made: World) -> None:
    ana = made.visitor()
    start = await ana.get(made.authorize_url("openid"))
    id_ = query(start)["request"]
    page = await ana.follow(start)
    await allowed(ana, await ana.submit(page, {"login": "ana", "password": PASSWORD}))
    again = await ana.get(f"/auth/continue?request={id_}")
    assert again.status_code == 400
    assert "location" not in again.headers


async def test_parallel_answers_to_one_request_give_one_code(made: World) -> None:
    ana = made.visitor()
    await ana.sign_in("ana")
    start = await ana.get(made.authorize_url("openid", client="trusted"))
    answers = await asyncio.gather(*(ana.get(start.headers["location"]) for _ in range(8)))
    assert sum(one.headers.get("location", "").startswith(APP) for one in answers) == 1


async def test_requests_end(made: World) -> None:
    ana = made.visitor()
    await ana.sign_in("ana")
    start = await ana.get(made.authorize_url("openid", client="trusted"))
    await made.auth.database.system["auth_request"].update_many({}, {"$set": {"expires": now() - timedelta(seconds=1)}})
    assert (await ana.get(start.headers["location"])).status_code == 400


async def test_somebody_else_cannot_go_on_where_one_has_agreed(made: World) -> None:
    diaz, ana = made.visitor(), made.visitor()
    await diaz.sign_in("diaz")
    start = await diaz.get(made.authorize_url("launch/patient patient/Observation.rs"))
    await diaz.submit(await diaz.follow(start), press=("decision", "allow"))
    await ana.sign_in("ana")
    id_ = query(start)["request"]
    assert (await ana.get(f"/auth/patient?request={id_}")).status_code == 400
    assert (await ana.get(f"/auth/continue?request={id_}")).status_code == 400
    assert await made.auth.requests.find(id_) is not None


async def test_somebody_else_in_the_same_browser_cannot_either(made: World) -> None:
    diaz = made.visitor()
    await diaz.sign_in("diaz")
    start = await diaz.get(made.authorize_url("launch/patient patient/Observation.rs"))
    consent = await diaz.follow(start)
    await diaz.submit(consent, press=("decision", "allow"))
    await diaz.submit(await diaz.get("/auth/logout"))
    await diaz.sign_in("ana")
    id_ = query(start)["request"]
    csrf = dict(Reader((await diaz.get("/auth/logout")).text).forms[0].fields)["csrf"]
    for path in ("continue", "consent", "patient"):
        assert (await diaz.get(f"/auth/{path}?request={id_}")).status_code == 400
    fields = [("csrf", csrf), ("request", id_), ("decision", "deny")]
    for path in ("consent", "patient", "encounter"):
        assert (await diaz.post(f"/auth/{path}", fields)).status_code == 400
    assert await made.auth.requests.find(id_) is not None


async def test_a_request_is_its_browsers_before_anybody_has_signed_in(made: World) -> None:
    owner, thief = made.visitor(), made.visitor()
    start = await owner.get(made.authorize_url("openid"))
    page = await owner.follow(start)
    await thief.sign_in("ana")
    id_ = query(start)["request"]
    for path in ("continue", "consent", "login"):
        assert (await thief.get(f"/auth/{path}?request={id_}")).status_code == 400
    asked = await owner.follow(await owner.submit(page, {"login": "diaz", "password": PASSWORD}))
    assert said(await owner.follow(await owner.submit(asked, press=("decision", "allow"))))["code"]


async def test_another_sites_form_leaves_the_cookies_of_the_browser(made: World) -> None:
    url = made.authorize_url("openid")
    response = await made.visitor().post("/auth/authorize", parse_qsl(url.partition("?")[2]))
    assert response.status_code == 303
    assert "set-cookie" not in response.headers


# ---- apps that registered themselves (RFC 9700, 4.11.2) ----------------------------------------------


async def test_an_app_that_registered_itself_is_no_open_redirect(made: World) -> None:
    if await made.auth.clients.get("stranger") is None:
        await made.auth.clients.add(Client("stranger", "S", redirect_uris=(APP,), registration_hash=b"x" * 32))
    for wrong in ({"response_type": "token"}, {"aud": "https://other.example/fhir"}, {"prompt": "none"}):
        url = made.authorize_url("openid", client="stranger", **wrong)
        visitor = made.visitor()
        answer = await visitor.follow(await visitor.get(url))
        assert answer.status_code == 400
        assert "location" not in answer.headers
        known = await visitor.follow(await visitor.get(url.replace("=stranger", "=app")))
        assert said(known)["state"] == "the state"
    ana = made.visitor()
    await ana.sign_in("ana")
    assert said(await ana.get(made.authorize_url("openid", client="stranger", aud="https://o.example")))["error"]


async def test_nobody_is_answered_at_this_very_server(made: World) -> None:
    uri = f"{ORIGIN}/auth/logout"
    if await made.auth.clients.get("selfish") is None:
        await made.auth.clients.add(Client("selfish", "S", redirect_uris=(uri,)))
    answer = await made.visitor().get(made.authorize_url("openid", client="selfish", redirect_uri=uri))
    assert answer.status_code == 400


# ---- EHR launch (point 8) ----------------------------------------------------------------------------


async def test_a_launch_brings_its_context(made: World) -> None:
    context = {"patient": "leo", "encounter": "e9", "need_patient_banner": False, "intent": "order", "tenant": "north"}
    launch = await made.auth.launches.mint(context, "app", "Practitioner/diaz")
    diaz = made.visitor()
    url = made.authorize_url("launch openid patient/Observation.rs", launch=launch)
    page = await diaz.follow(await diaz.sign_in("diaz", url=url))
    assert "Leo Rivera" in page.text
    back = await diaz.follow(await diaz.submit(page, press=("decision", "allow")))
    tokens = await made.tokens(back)
    assert {name: tokens[name] for name in context} == context


@pytest.mark.parametrize("why", ["unknown", "used", "other user", "other client"])
async def test_a_launch_that_is_not_good_is_refused(made: World, why: str) -> None:
    client, user = ("other", "") if why == "other client" else ("app", "Practitioner/diaz")
    launch = await made.auth.launches.mint({"patient": "leo"}, client, user)
    if why == "used":
        await made.auth.launches.take(launch, "app", "Practitioner/diaz")
    if why == "unknown":
        launch = "x" * 43
    who = made.visitor()
    url = made.authorize_url("launch openid patient/Observation.rs", launch=launch)
    answer = await who.follow(await who.sign_in("ana" if why == "other user" else "diaz", url=url))
    assert said(answer)["error"] == "invalid_request"
    assert "code" not in said(answer)


# ---- sessions ----------------------------------------------------------------------------------------


async def test_signing_out_ends_the_session_and_online_access_and_leaves_offline_access(made: World) -> None:
    """Point 12."""
    ana = made.visitor()
    await ana.sign_in("ana")
    found = {}
    for scope in ("online_access", "offline_access"):
        back = await allowed(ana, await ana.get(made.authorize_url(f"launch/patient patient/Patient.r {scope}")))
        found[scope] = await made.tokens(back)
    cookie = ana.http.cookies[COOKIE]
    response = await ana.submit(await ana.get("/auth/logout"))
    assert response.status_code == 200
    ana.http.cookies.set(COOKIE, cookie)
    assert (await ana.get("/auth/apps")).status_code == 303
    assert await made.auth.tokens.find(found["online_access"]["access_token"]) is None
    assert await made.auth.tokens.find(found["offline_access"]["access_token"]) is not None
    for scope, status in (("online_access", 400), ("offline_access", 200)):
        form = [("grant_type", "refresh_token"), ("refresh_token", found[scope]["refresh_token"]), ("client_id", "app")]
        assert (await made.visitor().post("/auth/token", form)).status_code == status


@pytest.mark.parametrize("changes", [{"session_idle_minutes": 30}, {"session_hours": 1}])
async def test_sessions_end_by_idleness_and_by_age(settings: Settings, changes: dict[str, int]) -> None:
    async with world(settings, **changes) as made:
        ana = made.visitor()
        await ana.sign_in("ana")
        rows = made.auth.database.system["auth_session"]
        row = await rows.find_one()
        assert row is not None
        hours = changes.get("session_hours", 12)
        assert row["ends"] - row["signed_in"] == timedelta(hours=hours)
        assert row["expires"] - row["signed_in"] == timedelta(minutes=changes.get("session_idle_minutes", 60))
        soon = {"seen": now() - timedelta(minutes=20), "ends": now() + timedelta(minutes=9)}
        await rows.update_many({}, {"$set": soon})
        assert (await ana.get("/auth/apps")).status_code == 200
        row = await rows.find_one()
        assert row is not None
        assert row["expires"] == row["ends"]  # used again, and still no longer than its age allows
        await rows.update_many({}, {"$set": {"expires": now() - timedelta(seconds=1)}})
        assert (await ana.get("/auth/apps")).status_code == 303


async def test_who_was_shut_out_is_out_at_once(made: World) -> None:
    ana = made.visitor()
    await ana.sign_in("ana")
    await made.auth.users.set_active("ana", False)
    assert (await ana.get("/auth/apps")).status_code == 303


async def test_signing_out_everywhere_else(made: World) -> None:
    here, there = made.visitor(), made.visitor()
    await here.sign_in("ana")
    await there.sign_in("ana")
    await here.submit(await here.get("/auth/account"), number=0)
    assert (await here.get("/auth/apps")).status_code == 200
    assert (await there.get("/auth/apps")).status_code == 303
