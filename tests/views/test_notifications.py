"""Notifications: the bell counts right in every tab, and each opens what it is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.views.conftest import People
from tests.views.people import calling, shot, violations
from tests.workflows.clinic import NICK, PETE, Clinic, case

Json = dict[str, Any]
CATEGORY = "http://terminology.hl7.org/CodeSystem/communication-category"


def notice(id_: str, whom: str, text: str, second: int = 0, **more: Any) -> Json:
    """A notification, to be put by the server itself: as new as any other, however many there are."""
    return {
        "resourceType": "Communication",
        "id": id_,
        "status": "in-progress",
        "category": [{"coding": [{"system": CATEGORY, "code": "notification"}]}],
        "recipient": [{"reference": whom}],
        "sent": (datetime.now(UTC) + timedelta(seconds=second)).isoformat(timespec="milliseconds"),
        "payload": [{"contentString": text}],
        **more,
    }


def bell(page: Page, unread: int) -> Locator:
    """The bell that says so many."""
    name = f"Notifications, {unread} unread" if unread else "Notifications"
    return page.get_by_role("banner").get_by_role("button", name=name, exact=True)


def read_everything(clinic: Clinic, name: str) -> None:
    with calling(clinic, name) as http:
        http.post("/Communication/$mark-read", content=b"").raise_for_status()


def test_the_count_is_right_in_two_tabs(clinic: Clinic, people: People) -> None:
    read_everything(clinic, "nick")
    with calling(clinic, "nick") as http:
        about = http.post("/Encounter", json=case(clinic.patient("Nele"))).json()
    nick = people("nick", bypass_csp=True)
    first = nick.sign_in("worklist")
    expect(bell(first, 0)).to_be_visible()
    second = nick.context.new_page()
    second.goto(f"{clinic.issuer}/app/notifications")
    expect(bell(second, 0)).to_be_visible()

    case_ = {"about": [{"reference": f"Encounter/{about['id']}"}]}
    clinic.put(notice("nick-a", NICK, "The first thing", 1, **case_), notice("nick-b", NICK, "The second thing", 2))
    clinic.put(notice("nick-c", NICK, "The third thing", 3), notice("nick-d", NICK, "The fourth thing", 4))
    expect(bell(first, 4)).to_be_visible()
    expect(bell(second, 4)).to_be_visible()

    # one is read by itself, one by opening what it is about
    bell(first, 4).click()
    latest = first.get_by_role("list", name="Latest")
    expect(latest.get_by_role("listitem").filter(has_text="thing")).to_have_count(4)
    assert violations(first) == []
    shot(first, "notifications-latest")
    latest.get_by_role("button", name="Mark as read: The second thing").click()
    expect(bell(second, 3)).to_be_visible()
    latest.get_by_role("link", name="The first thing").click()
    first.wait_for_url(f"**/app/cases/{about['id']}")
    expect(bell(first, 2)).to_be_visible()
    expect(bell(second, 2)).to_be_visible()

    # what is removed can be undone; when it cannot any more, the server knows
    third = second.get_by_role("listitem").filter(has_text="The third thing")
    third.get_by_role("button", name="Remove: The third thing").click()
    expect(third.get_by_role("button", name="Undo")).to_be_focused()
    expect(bell(second, 1)).to_be_visible()
    third.get_by_role("button", name="Undo").click()
    expect(bell(second, 2)).to_be_visible()
    third.get_by_role("button", name="Remove: The third thing").click()
    second.mouse.move(0, 0)
    bell(second, 1).focus()
    expect(third).to_have_count(0)
    expect(bell(first, 1)).to_be_visible()
    expect(bell(second, 1)).to_be_visible()
    with calling(clinic, "nick") as http:
        assert http.get("/Communication/nick-c").json()["status"] == "entered-in-error"
        assert http.get("/Communication/nick-d").json()["status"] == "in-progress"

    second.get_by_role("main").get_by_role("button", name="Mark all as read").click()
    expect(bell(first, 0)).to_be_visible()
    expect(bell(second, 0)).to_be_visible()
    expect(second.get_by_role("main").get_by_role("button", name="Mark all as read")).to_be_disabled()


def test_pages_of_them_and_nothing_twice_after_a_cut(clinic: Clinic, people: People) -> None:
    read_everything(clinic, "pete")
    clinic.put(*(notice(f"pete-{number}", PETE, f"Number {number}.", number) for number in range(30)))
    pete = people("pete", bypass_csp=True, color_scheme="dark")
    page = pete.sign_in("notifications")
    items = page.get_by_role("list", name="Notifications").get_by_role("listitem").filter(has_text="Number")
    expect(items).to_have_count(25)
    expect(items.first).to_contain_text("Number 29.")
    page.get_by_role("button", name="Show more").click()
    expect(items).to_have_count(30)
    assert violations(page) == []
    shot(page, "notifications")
    expect(bell(page, 30)).to_be_visible()
    pete.cut()
    clinic.put(*(notice(f"pete-{number}", PETE, f"Number {number}.", number) for number in (30, 31)))
    pete.mend()
    expect(bell(page, 32)).to_be_visible()
    expect(items).to_have_count(32)
    clinic.put(notice("pete-32", PETE, "Number 32.", 32))
    expect(items).to_have_count(33)
    expect(items.first).to_contain_text("Number 32.")
    assert len(set(items.all_inner_texts())) == 33
