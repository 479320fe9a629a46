"""Referrals from one side to the other: made out of a case, answered, and seen live by who asked."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Locator, Page, Route, expect

from tests.views.conftest import People
from tests.views.people import calling, shot, wrong
from tests.workflows.clinic import CARDIOLOGY, CLINIC, DORA, Clinic, case
from tests.workflows.referring import request

Json = dict[str, Any]


def refer(clinic: Clinic, patient: str, performer: str = CARDIOLOGY, **more: Any) -> Json:
    """The Task of dora's new referral."""
    with calling(clinic, "dora") as http:
        made = http.post("/ServiceRequest", json=request(patient, performer, **more)).json()
        found: Json = http.get(f"/Task?focus=ServiceRequest/{made['id']}").json()["entry"][0]["resource"]
    return found


def row(page: Page, what: str) -> Locator:
    return page.get_by_role("listitem").filter(has_text=what)


def state(page: Page) -> Locator:
    return page.get_by_role("region", name="How far it is").get_by_role("status").first


def test_out_of_a_case_answered_and_seen_by_who_asked(clinic: Clinic, people: People) -> None:
    patient = clinic.patient("Lena")
    with calling(clinic, "dora") as http:
        made = http.post("/Encounter", json=case(patient, DORA)).json()
    dora, sara = people("dora"), people("sara")
    page = dora.sign_in(f"cases/{made['id']}")
    incoming = sara.sign_in("referrals")

    # what was typed is there again after a reload
    page.get_by_role("button", name="Refer", exact=True).click()
    form = page.get_by_role("dialog", name="New referral")
    form.get_by_role("button", name="Send referral").click()
    expect(form.get_by_text("Choose whom you ask.")).to_be_visible()
    expect(form.get_by_text("Say what you ask for.")).to_be_visible()
    form.get_by_role("combobox", name="To whom").fill("sara")
    page.get_by_role("option", name="Sara Test").click()
    form.get_by_label("What you ask for").fill("Echo of the heart")
    form.get_by_label("Why").fill("A murmur, new since May")
    page.reload()
    page.get_by_role("button", name="Refer", exact=True).click()
    expect(form.get_by_role("combobox", name="To whom")).to_have_value("Sara Test")
    expect(form.get_by_label("Why")).to_have_value("A murmur, new since May")
    form.get_by_label("Urgency").click()
    page.get_by_role("option", name="Urgent").click()
    shot(page, "referral-new")

    # the server's answer is lost on the way: sent again, it is the same referral
    lost: list[int] = []

    def lose(route: Route) -> None:
        lost.append(route.fetch(timeout=60_000).status)
        route.abort()

    page.route("**/fhir/ServiceRequest", lose, times=1)
    form.get_by_role("button", name="Send referral").click()
    expect(form.get_by_role("alert")).to_contain_text("no second referral")
    form.get_by_role("button", name="Send referral").click()
    expect(form).to_be_hidden()
    assert lost == [201]
    with calling(clinic, "dora") as http:
        assert http.get(f"/ServiceRequest?subject={patient}&_total=accurate").json()["total"] == 1

    # the other side has it by itself, opens it and takes it
    expect(row(incoming, "Echo of the heart")).to_have_count(1)
    expect(row(incoming, "Echo of the heart")).to_contain_text("Urgent")
    row(incoming, "Echo of the heart").get_by_role("link").click()
    expect(incoming.get_by_role("region", name="Patient")).to_contain_text("Lena")
    expect(incoming.get_by_text("A murmur, new since May")).to_be_visible()
    incoming.get_by_role("button", name="Accept").click()
    expect(state(incoming)).to_contain_text("Accepted")

    # who asked sees it in the case
    page.get_by_role("tab", name="Referrals").click()
    out = page.get_by_role("region", name="Of this case").get_by_role("listitem")
    expect(out).to_contain_text("Accepted")
    incoming.get_by_role("button", name="Start").click()
    expect(out).to_contain_text("In progress")
    incoming.get_by_role("button", name="Complete…").click()
    incoming.get_by_label("Note").fill("Mitral valve, mild")
    incoming.get_by_role("button", name="Complete", exact=True).click()
    expect(state(incoming)).to_contain_text("Completed")
    expect(incoming.get_by_text("The chart of this patient is closed to you")).to_be_visible()
    expect(out).to_contain_text("Completed")
    out.get_by_role("link").click()
    expect(page.get_by_text("Mitral valve, mild")).to_be_visible()
    told = page.get_by_role("region", name="How far it is")
    for one in ("Requested", "Accepted", "In progress", "Completed"):
        expect(told.get_by_text(one).first).to_be_visible()
    shot(page, "referral")


def test_two_of_a_house_answer_at_once(clinic: Clinic, people: People) -> None:
    task = refer(clinic, clinic.patient("Otto"), CLINIC)
    sara, saul = people("sara"), people("saul")
    late, first = sara.sign_in(f"referrals/{task['id']}"), saul.sign_in(f"referrals/{task['id']}")
    expect(late.get_by_text("The chart of this patient opens to the one who accepts.")).to_be_visible()
    late.get_by_role("button", name="Reject…").click()
    late.get_by_label("Reason").fill("On leave")
    first.get_by_role("button", name="Accept").click()
    expect(first.get_by_role("region", name="Patient")).to_contain_text("Otto")
    late.get_by_role("button", name="Reject", exact=True).click()
    refused = late.get_by_role("alert", name="This was not done")
    expect(refused).to_contain_text("The referral is accepted: Saul Test has answered it.")
    expect(state(late)).to_contain_text("Accepted")
    expect(state(late)).to_contain_text("by Saul Test")
    expect(late.get_by_role("button", name="Reject…")).to_have_count(0)
    shot(late, "referral-second")


def test_rejected_with_a_reason_and_cancelled(clinic: Clinic, people: People) -> None:
    rejected, cancelled = (refer(clinic, clinic.patient("Mia"), code={"text": text}) for text in ("No one", "Too late"))
    dora, sara = people("dora"), people("sara")
    asked, page = dora.sign_in(f"referrals/{rejected['id']}"), sara.sign_in(f"referrals/{rejected['id']}")
    page.get_by_role("button", name="Reject…").click()
    page.get_by_role("button", name="Reject", exact=True).click()
    expect(page.get_by_text("Say why.")).to_be_visible()
    page.get_by_label("Reason").fill("On leave until Monday")
    page.get_by_role("button", name="Reject", exact=True).click()
    expect(state(asked)).to_contain_text("Rejected")
    expect(asked.get_by_text("On leave until Monday")).to_be_visible()

    sara.open(f"referrals/{cancelled['id']}")
    expect(page.get_by_role("region", name="Patient")).to_contain_text("Mia")
    dora.open(f"referrals/{cancelled['id']}")
    asked.get_by_role("button", name="Cancel referral…").click()
    asked.get_by_role("button", name="Cancel the referral").click()
    expect(state(asked)).to_contain_text("Cancelled")
    expect(state(page)).to_contain_text("Cancelled")
    expect(page.get_by_text("The chart of this patient is closed to you")).to_be_visible()


def test_what_was_missed_comes_once(clinic: Clinic, people: People) -> None:
    patient = clinic.patient("Ida")
    before = refer(clinic, patient, code={"text": "Before the cut"})
    sara = people("sara")
    page = sara.sign_in("referrals?way=me")
    expect(row(page, "Before the cut")).to_contain_text("Requested")
    sara.cut()
    refer(clinic, patient, code={"text": "During the cut"})
    with calling(clinic, "sara") as http:
        body = {"resourceType": "Parameters", "parameter": [{"name": "action", "valueCode": "accept"}]}
        assert http.post(f"/Task/{before['id']}/$respond", json=body).status_code == 200
    expect(row(page, "During the cut")).to_have_count(0)
    sara.mend()
    expect(row(page, "During the cut")).to_have_count(1)
    expect(row(page, "Before the cut")).to_contain_text("Accepted")
    refer(clinic, patient, code={"text": "After the cut"})
    expect(row(page, "After the cut")).to_have_count(1)
    for what in ("Before the cut", "During the cut"):
        expect(row(page, what)).to_have_count(1)


def test_the_pages_are_for_everybody(clinic: Clinic, people: People) -> None:
    task = refer(clinic, clinic.patient("Eva"), priority="stat")
    sara = people("sara", bypass_csp=True)
    page = sara.sign_in("referrals")
    expect(page.get_by_role("listitem").first).to_be_visible()
    assert wrong(page, "referrals") == {}
    sara.open(f"referrals/{task['id']}")
    expect(state(page)).to_contain_text(re.compile("Requested"))
    page.get_by_role("button", name="Reject…").click()
    expect(page.get_by_label("Reason")).to_be_focused()
    assert wrong(page, "referral") == {}
