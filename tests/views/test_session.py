"""Coming and going: what was not sent is asked about, and nothing is left in the browser or on the server."""

from __future__ import annotations

import time

import httpx
from playwright.sync_api import expect

from tests.views.conftest import People
from tests.views.people import calling, until
from tests.workflows.clinic import SECONDS, Clinic

KEYS = "() => Object.keys(localStorage).filter((key) => /^(draft|follow):/.test(key))"
# What every page follows is not there with the page, but when the server has answered.
FOLLOWS = """() => ["consultation", "emergency", "notification"].every(
  (topic) => Object.keys(localStorage).some((key) => key.startsWith("follow:") && key.endsWith(`:${topic}`)))"""


def following(http: httpx.Client) -> int:
    """How many Subscriptions there are of nick's."""
    answer = http.get("/Subscription", params={"status": "active,requested", "_summary": "count"})
    return int(answer.raise_for_status().json()["total"])


def test_signing_out(clinic: Clinic, people: People) -> None:
    page = people("nick").sign_in("cases/new")
    with calling(clinic, "nick") as http:
        until(page, FOLLOWS)
        followed = len([key for key in page.evaluate(KEYS) if key.startswith("follow:")])
        before = following(http)
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
        deadline = time.monotonic() + SECONDS
        while following(http) != before - followed:  # who leaves does not wait long for the answers
            assert time.monotonic() < deadline


def test_nothing_typed_is_nothing_to_ask_about(people: People) -> None:
    page = people("nick").sign_in("cases/new")
    page.get_by_label("Reason").fill("Dizzy")
    page.get_by_label("Reason").fill("")
    page.get_by_role("button", name="account of Nick Test").click()
    page.get_by_role("menuitem", name="Sign out").click()
    page.wait_for_url("**/auth/**")
