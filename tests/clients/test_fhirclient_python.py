"""fhirclient (Python): an app with a server of its own, with and without a secret."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fhirclient.client import FHIRClient
from fhirclient.models.observation import Observation
from fhirclient.server import FHIRNotFoundException, FHIRPermissionDeniedException, FHIRUnauthorizedException
from playwright.sync_api import Page

from tests.clients.browser import arrive, sign_in
from tests.clients.office import Office
from tests.clients.pages import Pages
from tests.clients.world import BEN_NAME

Json = dict[str, Any]
SCOPE = "openid fhirUser offline_access patient/*.rs"  # the library adds launch or launch/patient


@pytest.fixture(scope="module", params=["public", "confidential-symmetric"])
def app(request: pytest.FixtureRequest, office: Office, pages: Pages, server: str) -> Json:
    """The library's settings for a registered app, one that can keep a secret and one that cannot."""
    return register(request.param, f"chart-{request.param}", office, pages, server)


def register(kind: str, id_: str, office: Office, pages: Pages, server: str) -> Json:
    office.register(id=id_, name="Chart", kind=kind, redirect_uris=(pages.back,))
    chosen = {"app_id": id_, "api_base": server, "redirect_uri": pages.back, "scope": SCOPE}
    if kind == "public":
        return chosen
    return chosen | {"app_secret": office.do(lambda auth: auth.clients.new_secret(id_))}


def enter(smart: FHIRClient, page: Page, pages: Pages, user: str, patient: str | None = None) -> None:
    """Sign the user in, and hand the library the URL that the browser came back with."""
    page.goto(smart.authorize_url)
    sign_in(page, user, patient=patient)
    smart.handle_callback(arrive(page, pages.back))


def weights(smart: FHIRClient, patient: str) -> list[float]:
    found = Observation.where({"patient": patient, "code:text": "body weight"}).perform_resources_iter(smart.server)
    return [one.valueQuantity.value for one in found]


def test_standalone_launch(app: Json, page: Page, pages: Pages) -> None:
    smart = FHIRClient(settings=app)
    assert not smart.ready
    enter(smart, page, pages, "ann")
    assert smart.ready
    assert smart.human_name(smart.patient.name[0]) == "Ann Archer"
    assert weights(smart, "ann") == [61.5]
    assert smart.launch_context["token_type"].lower() == "bearer"
    with pytest.raises(FHIRNotFoundException):
        smart.server.request_json("Patient/ben")
    with pytest.raises(FHIRPermissionDeniedException):
        smart.patient.update()


def test_refresh_and_revocation(app: Json, page: Page, pages: Pages, issuer: str) -> None:
    smart = FHIRClient(settings=app)
    enter(smart, page, pages, "dora", BEN_NAME)
    first = smart.server.auth.access_token, smart.server.auth.refresh_token
    assert smart.reauthorize()
    assert smart.patient_id == "ben"
    second = smart.server.auth.access_token, smart.server.auth.refresh_token
    assert not set(first) & set(second)
    assert weights(smart, "ben") == [82]
    # The app goes on in another process with what it saved.
    later = FHIRClient(state=smart.state)
    assert weights(later, "ben") == [82]

    form = {"token": second[1], "client_id": app["app_id"]}
    secret = (app["app_id"], app["app_secret"]) if "app_secret" in app else None
    assert httpx.post(f"{issuer}/auth/revoke", data=form, auth=secret).status_code == 200
    with pytest.raises(FHIRUnauthorizedException):
        later.server.request_json("Patient/ben")


def test_ehr_launch(app: Json, page: Page, pages: Pages, office: Office) -> None:
    opened = office.launch({"patient": "ann", "encounter": "ann-visit"}, app["app_id"])
    smart = FHIRClient(settings=app | {"launch_token": opened})
    enter(smart, page, pages, "dora")
    assert smart.patient_id == "ann"
    assert smart.launch_context["encounter"] == "ann-visit"


@pytest.mark.parametrize("secret", ["guessed", None])
def test_a_wrong_secret(page: Page, pages: Pages, server: str, office: Office, secret: str | None) -> None:
    app = register("confidential-symmetric", f"chart-{secret}", office, pages, server)
    smart = FHIRClient(settings=app | {"app_secret": secret})
    with pytest.raises(FHIRUnauthorizedException):
        enter(smart, page, pages, "ann")
    assert not smart.ready


def test_nobody_reads_without_a_token(app: Json) -> None:
    smart = FHIRClient(settings=app)
    assert not smart.prepare()
    with pytest.raises(FHIRUnauthorizedException):
        smart.server.request_json("Patient/ann")
