"""Coming and going: what was not sent is asked about, and nothing is left in the browser or on the server."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.views.conftest import People
from tests.views.people import calling
from tests.workflows.clinic import Clinic

KEYS = "() => Object.keys(localStorage).filter((key) => /^(draft|follow):/.test(key))"


def test_signing_out(clinic: Clinic, people: People) -> None:
    nick = people("nick")
    page = nick.sign_in("cases/new")
    with calling(clinic, "nick") as http:
        active = {"status": "active,requested", "_summary": "count"}
        before = http.get("/Subscription", params=active).json()["total"]
        assert before > 0
        followed = len([key for key in page.evaluate(KEYS) if key.startswith("follow:")])
        assert followed > 0
        page.get_by_label("Reason").fill("Dizzy")
        page.get_by_role("button", name="account of Nick Test").click()
        page.get_by_role("menuitem", name="Sign out").click()
        dialog = page.get_by_role("dialog", name="Sign out?")
        dialog.get_by_role("button", name="Back").click()
        expect(dialog).to_have_count(0)
        expect(page.get_by_label("Reason")).to_have_value("Dizzy")
        page.get_by_role("button", name="account of Nick Test").click()
        page.get_by_role("menuitem", name="Sign out").click()
        dialog.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/auth/**")
        assert page.evaluate(KEYS) == []
        assert http.get("/Subscription", params=active).json()["total"] == before - followed


def test_nothing_typed_is_nothing_to_ask_about(people: People) -> None:
    page = people("nick").sign_in("cases/new")
    page.get_by_label("Reason").fill("Dizzy")
    page.get_by_label("Reason").fill("")
    page.get_by_role("button", name="account of Nick Test").click()
    page.get_by_role("menuitem", name="Sign out").click()
    page.wait_for_url("**/auth/**")
