"""The case: opened, assigned, diagnosed, planned, documented and finished; by keyboard alone, and live for others."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from playwright.sync_api import FilePayload, Locator, Page, Route, expect

from tests.views.conftest import People
from tests.views.people import PASSWORD, PHONE, arrived, calling, shot, wrong
from tests.workflows.clinic import DAN, DORA, NICK, Clinic, case

Json = dict[str, Any]
DOT = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC")
PICTURE: FilePayload = {"name": "wound.png", "mimeType": "image/png", "buffer": DOT}


def tab_to(page: Page, wanted: Locator) -> None:
    """Walk to a control by the Tab key, as somebody without a mouse."""
    expect(wanted).to_be_visible()
    for _ in range(80):
        if wanted.evaluate("one => one === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never reaches {wanted}")


def press(page: Page, name: str) -> None:
    """Reach a button by Tab, and press it by Enter."""
    tab_to(page, page.get_by_role("button", name=name, exact=True))
    page.keyboard.press("Enter")


def typed(page: Page, field: Locator, text: str) -> None:
    tab_to(page, field)
    page.keyboard.type(text)


def box(page: Page, name: str) -> Locator:
    return page.get_by_role("textbox", name=name, exact=True)


def region(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name)


@contextmanager
def opened(clinic: Clinic, patient: str, *who: str, status: str = "triaged") -> Iterator[tuple[Json, httpx.Client]]:
    """A case on which these work, and the API as the first of them."""
    with calling(clinic, who[0].partition("/")[2]) as http:
        body = case(patient, *who) | {"status": status, "reasonCode": [{"text": "Chest pain"}]}
        yield http.post("/Encounter", json=body).raise_for_status().json(), http


def test_the_whole_case_by_keyboard(clinic: Clinic, people: People) -> None:
    clinic.patient("kira")
    dora = people("dora")
    page = dora.page = dora.context.new_page()
    page.goto(f"{clinic.issuer}/app/worklist")
    typed(page, box(page, "User name or e-mail address"), "dora")
    typed(page, page.get_by_label("Password", exact=True), PASSWORD)
    page.keyboard.press("Enter")
    arrived(page)

    tab_to(page, page.get_by_role("link", name="New case"))
    page.keyboard.press("Enter")
    typed(page, page.get_by_role("combobox", name="Patient"), "kir")
    expect(page.get_by_role("option", name="Kira")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Reason")).to_be_focused()
    page.keyboard.type("Chest pain since the morning")
    typed(page, box(page, "Symptom 1"), "Chest pain")
    typed(page, box(page, "In the patient's words"), "Pressing")
    press(page, "Open case")

    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("Chest pain since the morning")
    expect(page.get_by_text(re.compile(r"CASE-\d{4}-\d{5}"))).to_be_visible()
    expect(region(page, "Symptoms")).to_contain_text("Chest pain — Pressing")

    press(page, "Assign somebody")
    page.keyboard.type("nick")
    expect(page.get_by_role("option", name="Nick Test")).to_be_visible()
    page.keyboard.press("Enter")
    press(page, "Assign Nick Test")
    expect(region(page, "Team")).to_contain_text("Nick Test")

    press(page, "Start work")
    expect(page.get_by_text("In progress", exact=True)).to_be_visible()
    expect(heading).to_be_focused()  # the button of the step is gone
    press(page, "Add diagnosis")
    page.keyboard.type("Stable angina")
    page.keyboard.press("Enter")
    expect(region(page, "Diagnosis").get_by_role("listitem")).to_contain_text("Stable angina")
    expect(region(page, "Diagnosis")).to_contain_text("Provisional")

    press(page, "Write plan")
    page.keyboard.type("Rest, aspirin, stress test")
    page.keyboard.press("Enter")
    expect(region(page, "Plan").get_by_role("article")).to_contain_text("Rest, aspirin, stress test")

    tab_to(page, page.get_by_role("button", name="Add documents"))
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(PICTURE)
    expect(page.get_by_role("button", name="Open wound.png").locator("img")).to_be_visible()
    shot(page, "case")

    press(page, "Finish")
    dialog = page.get_by_role("dialog", name="Finish this case?")
    press(page, "Finish case")
    expect(dialog).to_be_hidden()
    expect(page.get_by_text("Finished", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Finish")).to_have_count(0)


def test_others_see_it_happen(clinic: Clinic, people: People) -> None:
    with opened(clinic, clinic.patient("lena"), DORA, NICK) as (made, _http):
        dora, nick = people("dora"), people("nick", viewport=PHONE)
        page = dora.sign_in(f"cases/{made['id']}")
        other = nick.sign_in(f"cases/{made['id']}")
        expect(page.get_by_text("Also here: Nick Test")).to_be_visible()
        expect(region(page, "Team").get_by_role("listitem").filter(has_text="Nick Test")).to_contain_text("Online")

        page.get_by_role("button", name="Priority: Urgent").click()
        page.get_by_role("menuitem", name="Emergency").click()
        expect(other.get_by_role("button", name="Priority: Emergency")).to_be_visible()
        page.get_by_role("button", name="Start work").click()
        expect(other.get_by_text("In progress", exact=True)).to_be_visible()

        other.get_by_role("tab", name="Documents").click()
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Add documents").click()
        chooser.value.set_files(PICTURE)
        expect(other.get_by_role("button", name="Open wound.png")).to_be_visible()
        shot(other, "case-phone")
        other.get_by_role("button", name="Open wound.png").click()
        expect(other.get_by_role("dialog").get_by_alt_text("wound.png")).to_be_visible()
        with other.expect_download() as got:
            other.get_by_role("button", name="Download").click()
        assert got.value.path().read_bytes() == DOT


def test_nothing_is_opened_twice_or_lost(clinic: Clinic, people: People) -> None:
    """The answer to the first try is lost, the page is loaded anew, and sent again: one case."""
    patient = clinic.patient("olaf")
    dora = people("dora")
    page = dora.sign_in(f"cases/new?patient={patient.partition('/')[2]}")
    page.get_by_label("Reason").fill("Dizzy")

    def lose(route: Route) -> None:
        if route.request.method == "POST":
            route.fetch(timeout=60_000)
            route.abort("internetdisconnected")
        else:
            route.continue_()

    page.route(f"{clinic.base}", lose)
    page.get_by_role("button", name="Open case").click()
    expect(page.get_by_role("alert")).to_contain_text("There is no connection")
    page.unroute(f"{clinic.base}")
    page.reload()
    arrived(page)
    expect(page.get_by_label("Reason")).to_have_value("Dizzy")
    page.get_by_role("button", name="Open case").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dizzy")
    with calling(clinic, "dora") as http:
        assert http.get("/Encounter", params={"patient": patient, "_summary": "count"}).json()["total"] == 1
    dora.open(f"cases/new?patient={patient.partition('/')[2]}")
    expect(page.get_by_label("Reason")).to_have_value("")


def test_nobody_writes_over_a_plan_unseen(clinic: Clinic, people: People) -> None:
    with opened(clinic, clinic.patient("petra"), DORA, DAN) as (made, http):
        of = {"subject": made["subject"], "encounter": {"reference": f"Encounter/{made['id']}"}}
        body = {"resourceType": "CarePlan", "status": "active", "intent": "plan", "title": "Rest", **of}
        plan = http.post("/CarePlan", json=body).raise_for_status().json()
        page = people("dora").sign_in(f"cases/{made['id']}")
        region(page, "Plan").get_by_role("button", name="Edit plan").click()
        page.get_by_label("Plan in one line").fill("Rest and aspirin")
        http.put(f"/CarePlan/{plan['id']}", json=plan | {"title": "Operate"}).raise_for_status()
        page.get_by_role("button", name="Save plan").click()
        expect(region(page, "Plan").get_by_role("alert")).to_contain_text("Somebody else has changed this meanwhile")
        expect(region(page, "Plan")).to_contain_text("Operate")
        expect(page.get_by_label("Plan in one line")).to_have_value("Rest and aspirin")
        page.get_by_role("button", name="Save mine instead").click()
        expect(page.get_by_role("article", name="Rest and aspirin")).to_be_visible()
        expect(page.get_by_label("Plan in one line")).to_have_count(0)


def test_cancelling_needs_a_reason(clinic: Clinic, people: People) -> None:
    with opened(clinic, clinic.patient("rosa"), DORA) as (made, http):
        page = people("dora").sign_in(f"cases/{made['id']}")
        page.get_by_role("button", name="Cancel case").click()
        dialog = page.get_by_role("dialog", name="Cancel this case?")
        dialog.get_by_role("button", name="Cancel case").click()
        expect(dialog).to_contain_text("Say why.")
        dialog.get_by_label("Reason").fill("Entered twice")
        dialog.get_by_role("button", name="Cancel case").click()
        expect(page.get_by_role("alert", name="Cancelled")).to_contain_text("Entered twice")
        stored = http.get(f"/Encounter/{made['id']}").json()
        assert stored["extension"][0]["valueCodeableConcept"] == {"text": "Entered twice"}


def test_a_free_case_is_joined_and_one_of_others_is_not(clinic: Clinic, people: People) -> None:
    patient = clinic.patient("sven")
    with opened(clinic, patient, DORA) as (taken, http):
        body = case(patient) | {"status": "planned", "reasonCode": [{"text": "Waits"}]}
        body.pop("participant", None)
        free = http.post("/Encounter", json=body).raise_for_status().json()
        dan = people("dan")
        page = dan.sign_in(f"cases/{free['id']}")
        page.get_by_role("button", name="Join the case").click()
        expect(region(page, "Team")).to_contain_text("Dan Test (you)")
        expect(page.get_by_text("Assigned", exact=True)).to_be_visible()
        dan.open(f"cases/{taken['id']}")
        expect(region(page, "Team")).to_contain_text("You do not work on this case.")
        expect(page.get_by_role("button", name="Start work")).to_have_count(0)


def test_files_that_do_not_arrive_are_sent_again(clinic: Clinic, people: People) -> None:
    with opened(clinic, clinic.patient("toni"), DORA) as (made, http):
        page = people("dora").sign_in(f"cases/{made['id']}")
        page.route("**/fhir/Binary", lambda route: route.abort("internetdisconnected"))
        drop(page, region(page, "Documents"))
        expect(region(page, "Documents")).to_contain_text("Not sent. There is no connection")
        page.unroute("**/fhir/Binary")
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("button", name="Open note.txt")).to_be_visible()
        query = {"encounter": f"Encounter/{made['id']}", "_summary": "count"}
        assert http.get("/DocumentReference", params=query).json()["total"] == 1


def drop(page: Page, onto: Locator) -> None:
    """Drag a text file from the desktop and let it go."""
    make = "const data = new DataTransfer(); data.items.add(new File(['Hello'], 'note.txt', {type: 'text/plain'}))"
    files = page.evaluate_handle(f"() => {{ {make}; return data }}")
    for event in ("dragenter", "dragover", "drop"):
        onto.dispatch_event(event, {"dataTransfer": files})


def test_everybody_can_use_it(clinic: Clinic, people: People) -> None:
    with opened(clinic, clinic.patient("uma"), DORA, NICK, status="in-progress") as (made, _http):
        page = people("dora", bypass_csp=True).sign_in(f"cases/{made['id']}")
        expect(region(page, "Diagnosis")).to_contain_text("No diagnosis yet.")
        page.get_by_role("button", name="Add diagnosis").click()
        assert wrong(page) == {}
