"""Emergencies: raised in two steps, told to everybody at once, answered and ended side by side."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.views.conftest import People
from tests.views.people import calling, shot
from tests.workflows.clinic import Clinic

Json = dict[str, Any]
CATEGORY = "http://fhir-server.example/ig/CodeSystem/flag-category"
KIND = "http://fhir-server.example/ig/CodeSystem/emergency-kind"
PATCH = {"Content-Type": "application/json-patch+json"}


@pytest.fixture
def http(clinic: Clinic) -> Iterator[httpx.Client]:
    """The API as a paramedic who sees all emergencies; those of the test end with it, so that none alarms another."""
    with calling(clinic, "ada") as http:
        yield http
        for flag in found(http, "Flag?category=emergency&status=active"):
            http.patch(f"/Flag/{flag['id']}", json=[step("inactive")], headers=PATCH)


def found(http: httpx.Client, query: str) -> list[Json]:
    return [one["resource"] for one in http.get(f"/{query}").json().get("entry", ())]


def step(status: str) -> Json:
    return {"op": "replace", "path": "/status", "value": status}


def raised(clinic: Clinic, patient: str, kind: str = "stroke") -> str:
    """An emergency that dora raised by the API: its id."""
    flag = {
        "resourceType": "Flag",
        "status": "active",
        "category": [{"coding": [{"system": CATEGORY, "code": "emergency"}]}],
        "code": {"coding": [{"system": KIND, "code": kind}]},
        "subject": {"reference": patient},
    }
    with calling(clinic, "dora") as dora:
        answer = dora.post("/Flag", json=flag)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def named(patient: str) -> str:
    """How a patient of the test is shown."""
    return patient.partition("/")[2].title()


def fill(page: Page, patient: str, words: str = "") -> Locator:
    """Open the dialog by the button of the top line, and say who it is; nothing is sent yet."""
    page.get_by_role("button", name="Emergency", exact=True).click()
    dialog = page.get_by_role("dialog", name="Emergency")
    field = dialog.get_by_role("combobox", name="Patient")
    field.press_sequentially(named(patient).partition("-")[0])
    page.get_by_role("option").filter(has_text=named(patient)).click()
    if words:
        dialog.get_by_label("In your words").fill(words)
    return dialog


def row(page: Page, patient: str) -> Locator:
    return page.get_by_role("list", name="Emergencies").get_by_role("listitem").filter(has_text=named(patient)).first


def test_raised_answered_by_two_and_resolved(clinic: Clinic, people: People, http: httpx.Client) -> None:
    patient = clinic.patient("rosa")
    dora, nick, pete = people("dora"), people("nick"), people("pete")
    raiser, elsewhere, board = dora.sign_in("worklist"), nick.sign_in("team"), pete.sign_in("emergencies")

    dialog = fill(raiser, patient, "Fell, does not answer")
    dialog.get_by_role("combobox", name="What is wrong").click()
    raiser.get_by_role("option", name="Trauma").click()
    shot(raiser, "emergency-raise")
    dialog.get_by_role("button", name="Call for help").dblclick()
    expect(dialog.get_by_text("Help is called")).to_be_visible()

    # Elsewhere in the app it stays until it is seen; on the board it stands by itself.
    alarm = elsewhere.get_by_role("alert").filter(has_text=named(patient))
    expect(alarm).to_contain_text("Trauma")
    expect(elsewhere.get_by_role("link", name=re.compile(r"\d+ active emergenc"))).to_be_visible()
    shot(elsewhere, "emergency-alert")
    expect(row(board, patient)).to_contain_text("Nobody has answered")
    expect(row(board, patient)).to_contain_text("Escalated")
    expect(board.get_by_role("alert")).to_have_count(0)

    dialog.get_by_role("link", name="See who comes").click()
    expect(raiser.get_by_role("heading", name="Trauma")).to_be_visible()
    alarm.get_by_role("link", name="Look").click()
    elsewhere.get_by_role("button", name="I am coming").click()
    told = raiser.get_by_role("list", name="Responders")
    expect(told.get_by_role("listitem").filter(has_text="Nick Test")).to_contain_text("on the way")
    expect(raiser.get_by_text("Somebody is on the way")).to_be_visible()

    row(board, patient).get_by_role("button", name="I am on the scene").click()
    expect(told.get_by_role("listitem").filter(has_text="Pete Test")).to_contain_text("on the scene")
    expect(raiser.get_by_text("Somebody is with the patient")).to_be_visible()
    expect(told.get_by_role("listitem")).to_have_count(2)
    elsewhere.get_by_role("button", name="My part is done").click()
    expect(told.get_by_role("listitem").filter(has_text="Nick Test")).to_contain_text("has finished")
    shot(board, "emergency-board")

    raiser.get_by_role("button", name="Resolve").click()
    raiser.get_by_role("dialog").get_by_role("button", name="It is over").click()
    expect(row(board, patient)).to_contain_text("Resolved")
    expect(row(board, patient).get_by_role("button")).to_have_count(0)
    expect(raiser.get_by_text("Resolved").last).to_be_visible()
    shot(raiser, "emergency-over")
    assert [one["status"] for one in found(http, f"Flag?patient={patient}")] == ["inactive"]


def test_without_a_connection_it_says_so_and_arrives_once(clinic: Clinic, people: People, http: httpx.Client) -> None:
    patient = clinic.patient("otto")
    dan = people("dan")
    page = dan.sign_in("worklist")
    dialog = fill(page, patient)
    dan.cut()
    expect(dialog.get_by_text("No connection: this may not go out")).to_be_visible()
    dialog.get_by_role("button", name="Call for help").click()
    alarm = page.get_by_role("alert").filter(has_text="NOT SENT")
    expect(alarm).to_contain_text("telephone")
    expect(alarm).to_contain_text("tried again")
    shot(page, "emergency-not-sent")
    # It stays in sight when the dialog is closed.
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)
    expect(alarm).to_be_visible()
    assert found(http, f"Flag?patient={patient}") == []
    dan.mend()
    expect(page.get_by_text("Help is called")).to_be_visible()
    assert len(found(http, f"Flag?patient={patient}")) == 1


def test_who_accepts_what_another_resolves_is_told(clinic: Clinic, people: People, http: httpx.Client) -> None:
    patient = clinic.patient("vera")
    flag = raised(clinic, patient)
    dan = people("dan")
    page = dan.sign_in("emergencies")
    held: list[Route] = []
    page.route("**/fhir/Task", lambda route: held.append(route))
    with page.expect_request("**/fhir/Task"):
        row(page, patient).get_by_role("button", name="I am coming").click()
    with calling(clinic, "dora") as dora:
        assert dora.patch(f"/Flag/{flag}", json=[step("inactive")], headers=PATCH).status_code == 200
    expect(row(page, patient)).to_contain_text("Resolved")
    held[0].continue_()
    expect(row(page, patient).get_by_role("alert")).to_contain_text("takes no responder")
    assert found(http, f"Task?focus=Flag/{flag}&owner={dan.reference}") == []


def test_what_was_missed_comes_once_with_the_connection(clinic: Clinic, people: People, http: httpx.Client) -> None:
    before, meanwhile = clinic.patient("ida"), clinic.patient("jon")
    flag = raised(clinic, before)
    pam, pete = people("pam"), people("pete")
    board, elsewhere = pam.sign_in("emergencies"), pete.sign_in("worklist")
    expect(row(board, before)).to_contain_text("Nobody has answered")
    pam.cut()
    pete.cut()
    raised(clinic, meanwhile, "bleeding")
    http.patch(f"/Flag/{flag}", json=[step("inactive")], headers=PATCH)
    pam.mend()
    pete.mend()
    expect(row(board, before)).to_contain_text("Resolved")
    expect(board.get_by_role("listitem", name=re.compile(named(meanwhile)))).to_have_count(1)
    expect(elsewhere.get_by_role("alert").filter(has_text=named(meanwhile))).to_have_count(1)
    elsewhere.get_by_role("alert").filter(has_text=named(meanwhile)).get_by_role("button", name="Seen").click()
    elsewhere.reload()
    expect(elsewhere.get_by_role("link", name=re.compile(r"\d+ active emergenc"))).to_be_visible()
    expect(elsewhere.get_by_role("alert").filter(has_text=named(meanwhile))).to_have_count(0)


def test_the_position_is_asked_for_only_by_its_button_and_stays_here(
    clinic: Clinic, people: People, http: httpx.Client
) -> None:
    patient = clinic.patient("lars")
    here = {"latitude": 52.5163, "longitude": 13.3777, "accuracy": 24}
    dora = people("dora", permissions=["geolocation"], geolocation=here)
    page = dora.sign_in("worklist")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    dialog = fill(page, patient)
    expect(dialog.get_by_text("accurate to")).to_have_count(0)
    dialog.get_by_role("button", name="Use this device’s position").click()
    expect(dialog.get_by_text("52.51630, 13.37770, accurate to 24 m")).to_be_visible()
    dialog.get_by_role("button", name="Call for help").click()
    dialog.get_by_role("link", name="See who comes").click()
    expect(page.get_by_role("region", name=re.compile("Map of the place"))).to_be_visible()
    expect(page.get_by_text("At 52.51630, 13.37770, accurate to 24 m")).to_be_visible()
    dora.context.set_geolocation({"latitude": 52.5208, "longitude": 13.4094})
    page.get_by_role("button", name="How far is it from here?").click()
    expect(page.get_by_text("2.2 km to the west of here")).to_be_visible()
    shot(page, "emergency-place")
    assert all(one.startswith((clinic.issuer, "data:", "blob:")) for one in asked)
