"""fhirclient (JavaScript) in Chromium: an app in the user's browser, launched by itself and by an EHR."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.clients.backend import token
from tests.clients.browser import sign_in
from tests.clients.keys import id_claims, new_key, public
from tests.clients.node import node
from tests.clients.office import Office
from tests.clients.pages import Pages, serving
from tests.clients.world import BEN_NAME, MEASURED, observation

Json = dict[str, Any]
APP = "measurements"
STANDALONE = "launch/patient openid fhirUser offline_access patient/*.rs"
LAUNCHED = "launch openid fhirUser online_access patient/*.rs"


@pytest.fixture(scope="module", autouse=True)
def app(office: Office, pages: Pages) -> None:
    """The app is registered: a public client, its pages on an origin of their own."""
    node()  # which looks for the library as well
    office.register(
        id=APP,
        name="Measurements",
        redirect_uris=(f"{pages.origin}/app.html",),
        launch_uri=f"{pages.origin}/launch.html",
        origins=(pages.origin,),
    )


def launch(page: Page, pages: Pages, app: Json, server: str, **more: str) -> None:
    """Open the app's launch page, as a bookmark or an EHR does, and follow it to the sign-in page."""
    pages.publish("/app.json", app)
    page.goto(f"{pages.origin}/launch.html?{urlencode({'iss': server, **more})}")


def ready(page: Page) -> Json:
    """The token response of the app, once it shows its patient."""
    expect(page.locator("body[data-ready], [role=alert]:not(:empty)")).to_be_attached()
    assert page.get_by_role("alert").inner_text() == ""
    response: Json = page.evaluate("smart.state.tokenResponse")
    return response


def ask(page: Page, request: str | Json) -> Json:
    """Status and body of a request that the app makes with its token."""
    answer: Json = page.evaluate("request => ask(request)", request)
    return answer


def open_for_ann(page: Page, pages: Pages, server: str) -> Json:
    launch(page, pages, {"clientId": APP, "scope": STANDALONE}, server)
    sign_in(page, "ann")
    return ready(page)


def test_standalone_launch(page: Page, pages: Pages, server: str, issuer: str) -> None:
    response = open_for_ann(page, pages, server)
    expect(page.get_by_role("heading")).to_have_text("Ann Archer")
    assert sorted(page.get_by_role("listitem").all_inner_texts()) == MEASURED
    assert response["token_type"].lower() == "bearer"
    assert 0 < response["expires_in"] <= 3600
    assert set(response["scope"].split()) == set(STANDALONE.split())
    assert response["patient"] == "ann"
    claims = id_claims(issuer, response["id_token"], APP)
    assert claims["fhirUser"].endswith("Patient/ann")
    assert page.evaluate("smart.user.read().then(user => user.id)") == "ann"


def test_a_doctor_picks_the_patient(page: Page, pages: Pages, server: str) -> None:
    launch(page, pages, {"clientId": APP, "scope": STANDALONE}, server)
    sign_in(page, "dora", patient=BEN_NAME)
    assert ready(page)["patient"] == "ben"
    expect(page.get_by_role("heading")).to_have_text(BEN_NAME)
    assert page.get_by_role("listitem").count() == 1
    assert page.evaluate("smart.user.fhirUser") == "Practitioner/dora"
    # The doctor may see both, but this app was given one patient.
    assert ask(page, "Patient/ann")["status"] == 404
    assert ask(page, "Observation?patient=ann")["body"].get("entry", []) == []


def test_what_was_not_granted_is_refused(page: Page, pages: Pages, server: str) -> None:
    open_for_ann(page, pages, server)
    assert ask(page, "Patient/ben")["status"] == 404
    assert ask(page, "Observation/ben-1")["status"] == 404
    new = observation("new", "Patient/ann", "Body weight", 60, "kg")
    headers = {"Content-Type": "application/fhir+json"}
    write = {"url": "Observation/new", "method": "PUT", "headers": headers, "body": new}
    assert page.evaluate("r => ask({ ...r, body: JSON.stringify(r.body) })", write)["status"] == 403


def test_refresh(page: Page, pages: Pages, server: str, issuer: str) -> None:
    first = open_for_ann(page, pages, server)
    second = page.evaluate("smart.refresh().then(state => state.tokenResponse)")
    assert second["access_token"] != first["access_token"]
    assert second["refresh_token"] != first["refresh_token"]
    assert second["patient"] == "ann"
    assert ask(page, "Patient/ann")["status"] == 200
    # A page that is opened again, with a token that has run out, gets a new one by itself.
    page.evaluate("smart.state.expiresAt = 0")
    assert ask(page, "Patient/ann")["status"] == 200
    third = page.evaluate("smart.state.tokenResponse")
    assert third["access_token"] not in (first["access_token"], second["access_token"])
    # A refresh token that comes a second time has been stolen: nothing of its family is good any more.
    stolen = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"], "client_id": APP}
    answer = httpx.post(f"{issuer}/auth/token", data=stolen)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert _read(server, third["access_token"]) == 401


def test_revocation(page: Page, pages: Pages, server: str, issuer: str) -> None:
    """The app signs its user out by revoking the refresh token, from its own page."""
    response = open_for_ann(page, pages, server)
    body = "new URLSearchParams({ token, client_id: id })"
    revoke = f"([url, token, id]) => fetch(url, {{ method: 'POST', body: {body} }}).then(answer => answer.status)"
    assert page.evaluate(revoke, [f"{issuer}/auth/revoke", response["refresh_token"], APP]) == 200
    assert _read(server, response["access_token"]) == 401
    expired = ask(page, "Patient/ann")
    assert (expired["status"], "expired" in expired["message"]) == (401, True)
    again = {"grant_type": "refresh_token", "refresh_token": response["refresh_token"], "client_id": APP}
    assert httpx.post(f"{issuer}/auth/token", data=again).json()["error"] == "invalid_grant"


def test_ehr_launch(page: Page, pages: Pages, server: str, office: Office) -> None:
    context = {
        "patient": "ann",
        "encounter": "ann-visit",
        "need_patient_banner": False,
        "intent": "review",
        "fhirContext": [{"reference": "Observation/ann-1"}],
    }
    opened = office.launch(context, APP)
    launch(page, pages, {"clientId": APP, "scope": LAUNCHED}, server, launch=opened)
    sign_in(page, "dora")
    response = ready(page)
    assert {name: response[name] for name in context} == context
    expect(page.get_by_role("heading")).to_have_text("Ann Archer")
    assert page.evaluate("smart.encounter.read().then(visit => visit.id)") == "ann-visit"
    assert page.evaluate("smart.refresh().then(state => state.tokenResponse.encounter)") == "ann-visit"
    # The same launch opens nothing a second time.
    launch(page, pages, {"clientId": APP, "scope": LAUNCHED}, server, launch=opened)
    expect(page.get_by_role("alert")).to_contain_text("invalid_request")


def test_launch_by_an_outside_ehr(page: Page, pages: Pages, server: str, issuer: str, office: Office) -> None:
    """Another system, a backend service here, asks for the launch and opens the app for a doctor."""
    key = new_key("ES384")
    office.register(
        id="ehr",
        name="Another EHR",
        kind="confidential-asymmetric",
        jwks=public(key),
        grant_types=("client_credentials",),
        scopes="system/*.rs",
    )
    asked = {"client": APP, "user": "Practitioner/dora", "patient": "Patient/ben", "intent": "order"}
    parameters = [{"name": name, "valueString": value} for name, value in asked.items()]
    answer = httpx.post(
        f"{server}/$launch-context",
        json={"resourceType": "Parameters", "parameter": parameters},
        headers={
            "Authorization": f"Bearer {token(issuer, 'ehr', key, 'system/*.rs')}",
            "Content-Type": "application/fhir+json",
        },
    )
    assert answer.status_code == 200, answer.text
    pages.publish("/app.json", {"clientId": APP, "scope": LAUNCHED})
    page.goto(next(one["valueUrl"] for one in answer.json()["parameter"] if one["name"] == "url"))
    sign_in(page, "dora")
    response = ready(page)
    assert (response["patient"], response["intent"]) == ("ben", "order")


def test_the_user_says_no(page: Page, pages: Pages, server: str) -> None:
    launch(page, pages, {"clientId": APP, "scope": STANDALONE}, server)
    sign_in(page, "ann", allow=False)
    page.wait_for_url(f"{pages.origin}/app.html?**")
    expect(page.get_by_role("alert")).to_contain_text("access_denied")


def test_an_app_with_a_key(page: Page, pages: Pages, server: str, office: Office, private_key: Json) -> None:
    """private_key_jwt from the browser."""
    id_ = f"measurements-{private_key['alg'].lower()}"
    office.register(
        id=id_,
        name="Measurements with a key",
        kind="confidential-asymmetric",
        jwks=public(private_key),
        redirect_uris=(f"{pages.origin}/app.html",),
        origins=(pages.origin,),
    )
    launch(page, pages, {"clientId": id_, "scope": STANDALONE, "clientPrivateJwk": private_key}, server)
    sign_in(page, "ann")
    assert ready(page)["patient"] == "ann"


def test_pages_of_another_origin_get_nothing(page: Page, server: str, office: Office) -> None:
    """The browser itself keeps tokens from pages whose origin is not registered, though users may return there."""
    with serving() as elsewhere:
        office.register(id="elsewhere", name="Elsewhere", redirect_uris=(f"{elsewhere.origin}/app.html",))
        launch(page, elsewhere, {"clientId": "elsewhere", "scope": STANDALONE}, server)
        sign_in(page, "ann")
        expect(page.get_by_role("alert")).to_contain_text("request failed")


def _read(server: str, token: str) -> int:
    return httpx.get(f"{server}/Patient/ann", headers={"Authorization": f"Bearer {token}"}).status_code
