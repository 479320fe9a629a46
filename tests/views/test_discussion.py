"""The discussion of a case: two people side by side, and a connection that is cut while somebody types."""

from __future__ import annotations

import base64
import re

from playwright.sync_api import Locator, Page, Route, expect

from tests.views.conftest import People
from tests.views.people import PHONE, calling, shot, until, violations
from tests.workflows.clinic import DORA, NICK, Clinic, case

KIND = "http://fhir-server.example/ig/CodeSystem/message-kind"
POSTS = "**/fhir/Communication"
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC")
# Notes in `said` what an element says from now on: that somebody types is over seconds later, maybe before one looks.
NOTE = """element => {
  window.said = []
  const note = () => window.said.push(element.textContent)
  new MutationObserver(note).observe(element, { childList: true, characterData: true, subtree: true })
}"""


def opened(clinic: Clinic, *messages: str) -> tuple[str, str]:
    """A case that Dora and Nick work on, with messages of Dora's: its id, and its patient."""
    patient = clinic.patient("talk")
    with calling(clinic, "dora") as http:
        made = http.post("/Encounter", json=case(patient, DORA, NICK, reasonCode=[{"text": "Chest pain"}])).json()
        for text in messages:
            http.post("/Communication", json=message(made["id"], text)).raise_for_status()
    return made["id"], patient


def message(of: str, text: str) -> dict[str, object]:
    return {
        "resourceType": "Communication",
        "status": "completed",
        "category": [{"coding": [{"system": KIND, "code": "discussion"}]}],
        "encounter": {"reference": f"Encounter/{of}"},
        "payload": [{"contentString": text}],
    }


def stored(clinic: Clinic, of: str, text: str) -> int:
    """How often the server has a message with this text."""
    with calling(clinic, "dora") as http:
        found = http.get("/Communication", params={"encounter": f"Encounter/{of}", "_count": "100"}).json()
    said = [one["resource"].get("payload", [{}])[0].get("contentString") for one in found.get("entry", ())]
    return said.count(text)


def talk(of: str) -> str:
    """The address of a case with its discussion open."""
    return f"cases/{of}?tab=discussion"


def bubble(page: Page, text: str) -> Locator:
    return page.get_by_role("region", name="Messages").get_by_role("listitem").filter(has_text=text)


def write(page: Page, text: str) -> None:
    # What comes later moves what is below it: a button that moves between press and release was not clicked.
    expect(page.get_by_role("status", name="Loading", exact=True)).to_have_count(0)
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Send", exact=True).click()


def test_two_people_talk(clinic: Clinic, people: People) -> None:
    """Messages, who is there, typing, receipts, answers, edits and deletion arrive at the other by themselves."""
    of, _ = opened(clinic)
    dora, nick = people("dora"), people("nick", bypass_csp=True)
    hers, his = dora.sign_in(talk(of)), nick.sign_in(talk(of))
    expect(hers.get_by_label("Who is here")).to_have_text("Here now: Nick Test")

    hers.get_by_label("Who is here").evaluate(NOTE)
    his.get_by_label("Message", exact=True).press_sequentially("Troponin is normal.")
    until(hers, "() => said.includes('Nick Test is typing …')")
    his.get_by_label("Message", exact=True).press("Enter")
    expect(bubble(hers, "Troponin is normal.")).to_have_count(1)
    expect(hers.get_by_label("Who is here")).to_have_text("Here now: Nick Test")
    expect(bubble(his, "Troponin is normal.")).to_contain_text("Read by Dora Test")

    hers.get_by_role("button", name="Answer: Troponin is normal.").click()
    write(hers, "Stress test at ten?")
    expect(bubble(his, "Stress test at ten?")).to_contain_text("Nick Test")  # quoted
    expect(bubble(hers, "Stress test at ten?")).to_contain_text("Read by Nick Test")
    shot(his, "discussion")
    assert violations(his) == []

    hers.get_by_role("button", name="More: Stress test at ten?").click()
    hers.get_by_role("menuitem", name="Edit").click()
    hers.get_by_label("Edit the message").fill("Stress test at eleven?")
    hers.get_by_role("button", name="Save").click()
    expect(bubble(his, "Stress test at eleven?")).to_contain_text("edited")

    hers.get_by_role("button", name="More: Stress test at eleven?").click()
    hers.get_by_role("menuitem", name="Delete").click()
    hers.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(bubble(his, "This message was deleted.")).to_have_count(1)
    expect(bubble(his, "Stress test")).to_have_count(0)
    expect(hers.get_by_role("button", name="More: Troponin")).to_have_count(0)  # not hers


def test_a_message_is_read_when_it_was_seen(clinic: Clinic, people: People) -> None:
    """Not before it was in view: the first page and those above it wait, and the line says where the new begins."""
    of, _ = opened(clinic, *(f"Note {number}" for number in range(1, 36)))
    nick = people("nick")
    page = nick.sign_in("worklist")
    with calling(clinic, "nick") as http:
        everything = {"encounter": f"Encounter/{of}", "category": f"{KIND}|receipt", "_count": "100"}
        receipts = lambda: http.get("/Communication", params=everything).json().get("entry", [])  # noqa: E731
        assert receipts() == []
        with page.expect_response(lambda one: one.request.method == "POST" and one.url.endswith("/fhir")):
            nick.open(talk(of))
        expect(page.get_by_text("New", exact=True)).to_be_visible()
        assert 0 < len(receipts()) < 30
    page.get_by_role("button", name="Newest").click()
    expect(bubble(page, "Note 35")).to_be_in_viewport()
    page.get_by_role("region", name="Messages").evaluate("element => element.scrollTo(0, 0)")
    page.get_by_role("button", name="Show earlier messages").click()
    expect(bubble(page, "Note 1").first).to_be_attached()
    expect(page.get_by_role("button", name="Show earlier messages")).to_have_count(0)
    expect(page.get_by_text("Today", exact=True)).to_have_count(1)


def test_the_patient_sees_what_is_meant_for_them(clinic: Clinic, people: People) -> None:
    """The team's own by default; the switch, and its sign, open a message, and a file goes with it."""
    of, patient = opened(clinic)
    dora = people("dora", viewport=PHONE, color_scheme="dark", bypass_csp=True)
    page = dora.sign_in(talk(of))
    write(page, "He must not know yet.")
    expect(bubble(page, "He must not know yet.")).to_contain_text("Sent")
    page.locator("label").filter(has_text="To the patient").click()
    expect(page.get_by_text("The patient will see this message")).to_be_visible()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add files").click()
    chooser.value.set_files({"name": "heart.png", "mimeType": "image/png", "buffer": PIXEL})
    expect(page.get_by_role("list", name="Files of the message")).to_contain_text("heart.png")
    page.get_by_label("Message", exact=True).fill("Your heart is fine.")
    assert violations(page) == []
    shot(page, "discussion-patient-phone-dark")
    page.get_by_role("button", name="Send to the patient").click()
    expect(bubble(page, "Your heart is fine.")).to_contain_text("The patient sees this")
    expect(bubble(page, "Your heart is fine.").get_by_alt_text("heart.png")).to_be_visible()
    expect(page.get_by_placeholder("Write to the team")).to_be_visible()  # the next one is the team's again
    with calling(clinic, "dora") as http:
        found = http.get("/Communication", params={"encounter": f"Encounter/{of}", "_sort": "sent"}).json()["entry"]
    own, open_ = (one["resource"] for one in found)
    assert own["meta"]["security"][0]["code"] == "team-discussion"
    assert "security" not in open_["meta"]
    assert {"reference": patient} in open_["recipient"]


def test_nothing_is_lost_with_the_connection(clinic: Clinic, people: People) -> None:
    """Cut in the middle of typing: what was sent waits and arrives once and in order, also over a reload."""
    of, _ = opened(clinic)
    dora, nick = people("dora"), people("nick")
    hers, his = dora.sign_in(talk(of)), nick.sign_in(talk(of))
    box = hers.get_by_label("Message", exact=True)
    box.press_sequentially("First, he")
    dora.cut()
    box.press_sequentially(" sleeps.")
    box.press("Enter")
    write(hers, "Second, he wakes.")
    for text in ("First, he sleeps.", "Second, he wakes."):
        expect(bubble(hers, text)).to_contain_text("sent once there is a connection")
    expect(hers.get_by_text("2 waiting")).to_be_visible()
    box.press_sequentially("Third, he")
    shot(hers, "discussion-offline")
    write(his, "Meanwhile.")
    expect(bubble(his, "Meanwhile.")).to_contain_text("Sent")

    dora.mend()
    expect(bubble(his, "First, he sleeps.")).to_have_count(1)
    expect(bubble(his, "Second, he wakes.")).to_have_count(1)
    expect(bubble(hers, "Meanwhile.")).to_have_count(1)
    for text in ("First, he sleeps.", "Second, he wakes."):
        expect(bubble(hers, text)).to_contain_text("Read by Nick Test")
        assert stored(clinic, of, text) == 1
    expect(his.get_by_role("region", name="Messages")).to_contain_text(re.compile(r"First, he.*Second, he", re.DOTALL))
    expect(hers.get_by_text("waiting")).to_have_count(0)
    expect(box).to_have_value("Third, he")


def test_a_reload_keeps_draft_and_outbox(clinic: Clinic, people: People) -> None:
    """The server cannot be reached, the tab is loaded anew: what waits and what is being written are still there."""
    of, _ = opened(clinic)
    dora = people("dora")
    page = dora.sign_in(talk(of))
    page.route(POSTS, lambda route: route.abort() if route.request.method == "POST" else route.continue_())
    write(page, "This one waits.")
    expect(bubble(page, "This one waits.")).to_contain_text("Waiting")
    page.get_by_label("Message", exact=True).fill("And this one is not done")
    dora.open(talk(of))
    expect(bubble(page, "This one waits.")).to_contain_text("Waiting")
    expect(page.get_by_label("Message", exact=True)).to_have_value("And this one is not done")
    assert stored(clinic, of, "This one waits.") == 0
    with page.expect_response(lambda one: one.request.method == "POST" and one.url.endswith("/fhir/Communication")):
        page.unroute(POSTS)
        dora.open("worklist")  # it is sent from any page
    expect(page.get_by_text("1 waiting")).to_have_count(0)
    assert stored(clinic, of, "This one waits.") == 1


def test_an_answer_that_was_lost_makes_no_second_message(clinic: Clinic, people: People) -> None:
    """The server has it, the browser does not know: trying again finds the one that was made."""
    of, _ = opened(clinic)
    page = people("dora").sign_in(talk(of))
    lost: list[int] = []

    def lose(route: Route) -> None:
        if route.request.method == "POST" and not lost:
            lost.append(route.fetch(timeout=60_000).status)
            route.abort()
        else:
            route.continue_()

    page.route(POSTS, lose)
    write(page, "Only once.")
    expect(bubble(page, "Only once.")).to_contain_text("Sent")
    expect(bubble(page, "Only once.")).to_have_count(1)
    assert lost == [201]
    assert stored(clinic, of, "Only once.") == 1


def test_what_the_server_refuses_is_told(clinic: Clinic, people: People) -> None:
    """Why, in its words; retried or discarded, and what follows waits behind it."""
    of, _ = opened(clinic)
    page = people("dora").sign_in(talk(of))
    refusal = '{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"x","diagnostics":"Not today."}]}'
    page.route(
        POSTS,
        lambda route: (
            route.fulfill(status=422, content_type="application/fhir+json", body=refusal)
            if route.request.method == "POST"
            else route.continue_()
        ),
    )
    write(page, "A first one.")
    expect(bubble(page, "A first one.")).to_contain_text("Not sent: Not today.")
    write(page, "A second one.")
    expect(bubble(page, "A second one.")).to_contain_text("Waiting for the one above")
    page.unroute(POSTS)
    bubble(page, "A second one.").get_by_role("button", name="Discard").click()
    expect(bubble(page, "A second one.")).to_have_count(0)
    bubble(page, "A first one.").get_by_role("button", name="Try again").click()
    expect(bubble(page, "A first one.")).to_contain_text("Sent")
    assert (stored(clinic, of, "A first one."), stored(clinic, of, "A second one.")) == (1, 0)
