"""A call about a case, between two browsers: pictures flow, silence is seen, and leaving ends it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.clients.browser import chromium
from tests.views.conftest import People
from tests.views.people import calling, shot, until, violations
from tests.workflows.clinic import DORA, NICK, Clinic, case

FLOWS = "video => video.videoWidth > 0 && video.currentTime > 0 && !video.paused"
CALLED = "http://fhir-server.example/ig/CodeSystem/consultation-type|video"


@pytest.fixture(scope="module")
def browser(built: None) -> Iterator[Browser]:
    """With a camera, a microphone and a screen of its own, which every page may use."""
    with chromium(
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        "--auto-select-desktop-capture-source=Entire screen",
    ) as opened:
        yield opened


def opened(clinic: Clinic) -> str:
    """The id of a case that Dora and Nick work on."""
    with calling(clinic, "dora") as http:
        made = http.post("/Encounter", json=case(clinic.patient("call"), DORA, NICK, reasonCode=[{"text": "Fever"}]))
        return str(made.json()["id"])


def calls(clinic: Clinic, of: str) -> list[dict[str, Any]]:
    with calling(clinic, "dora") as http:
        found = http.get("/Encounter", params={"part-of": f"Encounter/{of}", "type": CALLED}).json()
    return [one["resource"] for one in found.get("entry", ())]


def flows(page: Page, name: str) -> None:
    """Wait until the picture of somebody moves."""
    until(
        page,
        f"(label) => {{ const video = document.querySelector(`video[aria-label='${{label}}']`);"
        f" return video !== null && ({FLOWS})(video) }}",
        f"Picture of {name}",
    )


def test_a_call_of_two(clinic: Clinic, people: People) -> None:
    """Begun from the case, joined from there, seen and heard, muted, written in, left, and over with the last one."""
    of = opened(clinic)
    dora, nick = people("dora", bypass_csp=True), people("nick")
    hers, his = dora.sign_in(f"cases/{of}"), nick.sign_in(f"cases/{of}")
    hers.get_by_role("button", name="Call", exact=True).click()
    expect(hers.get_by_text("You are alone here.")).to_be_visible()
    his.get_by_role("button", name="Join the call").click()
    expect(his.get_by_text("With you: Dora Test")).to_be_visible()
    expect(hers.get_by_text("With you: Nick Test")).to_be_visible()
    flows(hers, "Nick Test")
    flows(his, "Dora Test")
    assert len(calls(clinic, of)) == 1
    shot(hers, "call")
    assert violations(hers) == []

    doras = his.get_by_role("figure", name="Dora Test")
    expect(doras.get_by_text("Muted")).to_have_count(0)
    hers.get_by_role("button", name="Mute", exact=True).click()
    expect(doras.get_by_text("Muted")).to_be_visible()
    hers.get_by_role("button", name="Unmute").click()
    expect(doras.get_by_text("Muted")).to_have_count(0)
    hers.get_by_role("button", name="Turn camera off").click()
    expect(doras.get_by_text("Camera off")).to_be_visible()
    hers.get_by_role("button", name="Turn camera on").click()
    expect(doras.get_by_text("Camera off")).to_have_count(0)
    flows(his, "Dora Test")

    his.get_by_label("Message", exact=True).fill("Look at the left ear.")
    his.get_by_label("Message", exact=True).press("Enter")
    expect(hers.get_by_role("region", name="Messages")).to_contain_text("Look at the left ear.")

    his.get_by_role("button", name="Leave").click()
    expect(hers.get_by_text("You are alone here.")).to_be_visible()
    expect(hers.get_by_role("figure", name="Nick Test")).to_have_count(0)
    expect(his.get_by_role("button", name="Join the call")).to_be_visible()  # it goes on
    hers.get_by_role("button", name="Leave").click()
    expect(his.get_by_role("button", name="Call", exact=True)).to_be_visible()
    (over,) = calls(clinic, of)
    assert over["status"] == "finished"
    assert {one["individual"]["reference"] for one in over["participant"]} == {DORA, NICK}
    assert all({"start", "end"} <= one["period"].keys() for one in over["participant"])


def test_a_reload_comes_back_and_the_end_is_for_everybody(clinic: Clinic, people: People) -> None:
    """Who loads the page anew is in again; "End for everybody" puts the other out."""
    of = opened(clinic)
    dora, nick = people("dora"), people("nick")
    hers, his = dora.sign_in(f"cases/{of}"), nick.sign_in("worklist")
    hers.get_by_role("button", name="Call", exact=True).click()
    expect(hers.get_by_text("You are alone here.")).to_be_visible()
    his.get_by_role("link", name="Call goes on").click()  # on every page
    his.get_by_role("button", name="Join with sound only").click()
    nicks = hers.get_by_role("figure", name="Nick Test")
    expect(nicks.get_by_text("Camera off")).to_be_visible()
    flows(his, "Dora Test")
    hers.reload()
    expect(hers.get_by_text("With you: Nick Test")).to_be_visible()
    flows(his, "Dora Test")
    hers.get_by_role("button", name="Share screen").click()
    expect(his.get_by_role("figure", name="Dora Test").get_by_text("Shares the screen")).to_be_visible()
    hers.get_by_role("button", name="Stop sharing").click()
    expect(his.get_by_text("Shares the screen")).to_have_count(0)
    hers.get_by_role("button", name="End for everybody").click()
    hers.get_by_role("dialog").get_by_role("button", name="End the call").click()
    for page in (hers, his):
        expect(page.get_by_text("This call is over")).to_be_visible()
    assert calls(clinic, of)[0]["status"] == "finished"


def test_without_camera_and_permission(clinic: Clinic, people: People) -> None:
    """Nobody is kept out: it says what is missing and what to do, and the call goes on without."""
    of = opened(clinic)
    dora = people("dora")
    no_devices = """
        navigator.mediaDevices.getUserMedia = (wanted) =>
            Promise.reject(new DOMException("", wanted.video ? "NotFoundError" : "NotAllowedError"))
    """
    dora.context.add_init_script(no_devices)
    page = dora.sign_in(f"cases/{of}")
    page.get_by_role("button", name="Call", exact=True).click()
    expect(page.get_by_text("No camera was found.")).to_be_visible()
    expect(page.get_by_text("The browser may not use your microphone.")).to_be_visible()
    expect(page.get_by_text("You are alone here.")).to_be_visible()
    expect(page.get_by_role("button", name="Turn microphone on")).to_be_visible()
    expect(page.get_by_role("figure", name="You").get_by_text("Camera off")).to_be_visible()
    shot(page, "call-without-devices")
    page.get_by_role("button", name="Leave").click()
    expect(page.get_by_role("button", name="Call", exact=True)).to_be_visible()
