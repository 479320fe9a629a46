"""A record is shared with somebody, who hears of it and opens it, until the share is ended."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from tests.views.conftest import People
from tests.views.people import calling, shot, violations
from tests.workflows.clinic import Clinic

Json = dict[str, Any]


def record(clinic: Clinic, title: str) -> Json:
    """A document of dora's."""
    body = {
        "resourceType": "DocumentReference",
        "status": "current",
        "date": "2026-03-01T09:30:00Z",
        "type": {"coding": [{"system": "http://loinc.org", "code": "11524-6", "display": "EKG study"}]},
        "subject": {"reference": clinic.patient("Rosa")},
        "content": [{"attachment": {"contentType": "text/plain", "data": "c2ludXMgcmh5dGht", "title": title}}],
    }
    with calling(clinic, "dora") as http:
        made: Json = http.post("/DocumentReference", json=body).json()
    return made


def test_shared_opened_and_ended(clinic: Clinic, people: People) -> None:
    made = record(clinic, "Rosa’s ECG")
    dora, saul = people("dora", bypass_csp=True), people("saul")
    page = dora.sign_in(f"records/{made['id']}")
    other = saul.sign_in("referrals")
    listed = saul.tab("records")
    mine = listed.get_by_role("list", name="Shared with me").get_by_role("listitem").filter(has_text="Rosa’s ECG")
    expect(mine).to_have_count(0)
    page.get_by_role("button", name="Share Rosa’s ECG").click()
    dialog = page.get_by_role("dialog", name="Share “Rosa’s ECG”")
    expect(dialog.get_by_text("With nobody")).to_be_visible()
    dialog.get_by_role("combobox", name="With whom").fill("saul")
    page.get_by_role("option", name="Saul Test").first.click()
    dialog.get_by_role("radio", name="Full").check()
    dialog.get_by_label("Until").fill("2099-12-31")
    dialog.get_by_role("button", name="Share", exact=True).click()
    entry = dialog.get_by_role("list", name="Shared with").get_by_role("listitem")
    expect(entry).to_contain_text("Saul Test")
    expect(entry).to_contain_text("Full, until 31 Dec 2099")
    assert violations(page) == []
    shot(page, "record-share")

    expect(mine).to_contain_text("by Dora Test, until 31 Dec 2099")
    expect(mine).to_contain_text("Full")
    shot(listed, "records")

    # told by the bell, who was given it opens and saves it
    other.get_by_role("button", name="Notifications").click()
    other.get_by_role("link", name="A record was shared with you: full access.").first.click()
    expect(other.get_by_role("heading", level=1)).to_have_text("Rosa’s ECG")
    other.get_by_role("button", name="Open Rosa’s ECG").click()
    expect(other.get_by_text("sinus rhythm")).to_be_visible()
    with other.expect_download() as download:
        other.get_by_role("button", name="Download").click()
    assert download.value.path().read_bytes() == b"sinus rhythm"

    # ended, it is open no more
    entry.get_by_role("button", name="End").click()
    page.get_by_role("button", name="End the share").click()
    expect(dialog.get_by_text("With nobody")).to_be_visible()
    expect(mine).to_have_count(0)
    saul.open(f"records/{made['id']}")
    expect(other.get_by_text("This record is not open to you")).to_be_visible()


def test_who_may_not_share_is_told_why(clinic: Clinic, people: People) -> None:
    made = record(clinic, "Not yours")
    dan = people("dan")
    page = dan.sign_in(f"records/{made['id']}")
    page.get_by_role("button", name="Share Not yours").click()
    dialog = page.get_by_role("dialog", name="Share “Not yours”")
    dialog.get_by_role("combobox", name="With whom").fill("sara")
    page.get_by_role("option", name="Sara Test").first.click()
    dialog.get_by_role("button", name="Share", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("Only its owner")
    expect(dialog.get_by_role("combobox", name="With whom")).to_have_value("Sara Test")
