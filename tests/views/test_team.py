"""The team: who works here, who of them is there, and who is on duty."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from tests.views.conftest import People
from tests.views.people import shot
from tests.workflows.clinic import NICK, Clinic, role


def member(page: Page, name: str) -> Locator:
    return page.get_by_role("list", name="Team").get_by_role("listitem", name=name)


def test_somebody_with_two_windows_is_there_until_the_last_is_closed(clinic: Clinic, people: People) -> None:
    dora, sara = people("dora"), people("sara")
    page = dora.sign_in("team")
    expect(member(page, "Sara Test")).to_be_visible()
    expect(member(page, "Sara Test")).not_to_contain_text("Online")
    first = sara.sign_in("team")
    expect(member(page, "Sara Test")).to_contain_text("Online")
    second = sara.tab("team")
    expect(page.get_by_text("2 of the staff online")).to_be_visible()
    shot(page, "team")
    first.close()
    # Who comes later is told of later than that a window has gone.
    nick = people("nick").sign_in("team")
    expect(page.get_by_text("3 of the staff online")).to_be_visible()
    expect(member(page, "Sara Test")).to_contain_text("Online")
    nick.close()
    expect(page.get_by_text("2 of the staff online")).to_be_visible()
    page.get_by_text("Online", exact=True).first.click()
    expect(member(page, "Sara Test")).to_be_visible()
    second.close()
    expect(page.get_by_text("1 of the staff online")).to_be_visible()
    expect(member(page, "Sara Test")).to_have_count(0)
    expect(member(page, "Dora Test")).to_be_visible()  # online, though without a role


def test_who_is_on_duty_and_found_by_name(clinic: Clinic, people: People) -> None:
    all_day = [{"daysOfWeek": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "allDay": True}]
    clinic.put(role("nick-team", NICK, specialty=[{"text": "Emergency nursing"}], availableTime=all_day))
    try:
        page = people("dora").sign_in("team")
        page.get_by_text("On duty", exact=True).first.click()
        expect(member(page, "Nick Test")).to_contain_text("Emergency nursing")
        expect(member(page, "Nick Test")).to_contain_text("On duty")
        expect(member(page, "Sara Test")).to_have_count(0)
        page.get_by_text("Everybody", exact=True).click()
        page.get_by_role("searchbox", name="Name").fill("sau")
        expect(member(page, "Saul Test")).to_be_visible()
        expect(member(page, "Nick Test")).to_have_count(0)
        page.reload()
        expect(member(page, "Saul Test")).to_be_visible()
        expect(page.get_by_role("searchbox", name="Name")).to_have_value("sau")
    finally:
        clinic.put(role("nick-team", NICK, active=False))
