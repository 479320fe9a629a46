"""The pages of signing in, in a real Chromium: by mouse, by keyboard, on a phone, in the dark, without scripts."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

import httpx
import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Clinic
from tests.smart_auth.visitor import PASSWORD, VERIFIER

SCOPE = "openid fhirUser launch/patient patient/Observation.rs patient/MedicationRequest.cruds offline_access"


def sign_in(page: Page, login: str, password: str = PASSWORD) -> None:
    page.get_by_label("User name or e-mail address").fill(login)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


def back_at_the_app(page: Page, clinic: Clinic) -> dict[str, str]:
    """What the app was told, once the browser is there."""
    page.wait_for_url(f"{clinic.app}?*")
    expect(page.get_by_role("heading", name="The app")).to_be_visible()
    return dict(parse_qsl(urlsplit(page.url).query))


def tokens(clinic: Clinic, code: str) -> httpx.Response:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": clinic.app}
    return httpx.post(f"{clinic.root}/auth/token", data={**form, "client_id": "app", "code_verifier": VERIFIER})


@pytest.fixture
def phone(chromium: Browser) -> Iterator[Page]:
    """A small screen, in the dark, without scripts."""
    context = chromium.new_context(
        viewport={"width": 375, "height": 740}, color_scheme="dark", java_script_enabled=False, has_touch=True
    )
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


def test_a_patient_lets_an_app_in_and_out_again(page: Page, clinic: Clinic) -> None:
    page.goto(clinic.authorize_url(SCOPE))
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(page, "ana", "not the password")
    expect(page.get_by_role("alert")).to_have_text("The user name or the password is wrong.")
    sign_in(page, "ana")
    expect(page.get_by_role("heading", name="Growth Chart asks for access")).to_be_visible()
    group = page.get_by_role("group", name="Medicines")
    group.get_by_label("Add, change and delete your prescriptions").uncheck()
    page.get_by_text("Only some kinds").click()
    kinds = page.get_by_role("group", name="Kinds: See your test results and measurements")
    for box in kinds.get_by_role("checkbox").all():
        box.uncheck()
    kinds.get_by_label("Laboratory results").check()
    page.get_by_role("button", name="Allow").click()
    said = back_at_the_app(page, clinic)
    assert said["state"] == "the state"
    found = tokens(clinic, said["code"]).json()
    assert found["patient"] == "ana"
    assert "patient/MedicationRequest.rs" in found["scope"].split()
    assert [one for one in found["scope"].split() if "Observation" in one] == [
        "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
    ]

    headers = {"Authorization": f"Bearer {found['access_token']}"}
    assert httpx.get(f"{clinic.base}/Observation", headers=headers).status_code == 200
    page.goto(f"{clinic.root}/auth/apps")
    page.get_by_role("button", name="End access of Growth Chart").click()
    expect(page.get_by_role("status")).to_have_text("The app has no access any more.")
    assert httpx.get(f"{clinic.base}/Observation", headers=headers).status_code == 401


def test_saying_no(page: Page, clinic: Clinic) -> None:
    page.goto(clinic.authorize_url(SCOPE))
    sign_in(page, "ana")
    page.get_by_role("button", name="Deny").click()
    assert back_at_the_app(page, clinic)["error"] == "access_denied"


def test_with_the_keyboard_alone(page: Page, clinic: Clinic) -> None:
    page.goto(clinic.authorize_url("launch/patient launch/encounter patient/Observation.rs"))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    tab_to(page, "login")
    page.keyboard.type("diaz")
    tab_to(page, "password")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Growth Chart asks for access")).to_be_visible()
    tab_to_name(page, "Allow")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Choose a patient")).to_be_visible()
    tab_to(page, "name")
    page.keyboard.type("rivera ana")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("1 patient")
    tab_to_name(page, "Ana Rivera")
    page.keyboard.press("Space")
    expect(page.get_by_role("heading", name="Choose a visit")).to_be_visible()
    tab_to_name(page, "Check-up e2")
    page.keyboard.press("Enter")
    found = tokens(clinic, back_at_the_app(page, clinic)["code"]).json()
    assert (found["patient"], found["encounter"]) == ("ana", "e2")


def tab_to(page: Page, id_: str) -> None:
    """Press Tab until the element with this id has the focus, which must be visible."""
    _tab(page, lambda: page.evaluate("document.activeElement.id") == id_)


def tab_to_name(page: Page, name: str) -> None:
    _tab(page, lambda: str(page.evaluate("document.activeElement.textContent")).strip().startswith(name))


def _tab(page: Page, is_there: object) -> None:
    assert callable(is_there)
    for _ in range(60):
        if is_there():
            width = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
            assert float(str(width).removesuffix("px")) >= 2
            return
        page.keyboard.press("Tab")
    pytest.fail("the keyboard does not get there")


def test_a_second_factor_from_the_start_to_a_recovery_code(page: Page, clinic: Clinic) -> None:
    page.goto(f"{clinic.root}/auth/account")
    sign_in(page, "rosa")
    page.get_by_role("link", name="Set it up").click()
    image = page.get_by_role("img", name=re.compile("QR code"))
    expect(image).not_to_have_js_property("naturalWidth", 0)  # once it is decoded
    secret = page.locator("code").inner_text().replace(" ", "")
    page.get_by_label("Code").fill("000000")
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_label("Code")).to_be_focused()
    expect(page.get_by_label("Code")).to_have_accessible_description(re.compile("does not fit"))
    page.get_by_label("Code").fill(pyotp.TOTP(secret).now())
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_role("listitem")).to_have_count(10)
    codes = page.get_by_role("listitem").all_inner_texts()
    page.get_by_role("link", name="I have kept them").click()

    page.goto(f"{clinic.root}/auth/logout")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    page.goto(clinic.authorize_url("openid", client="trusted"))
    sign_in(page, "rosa")
    page.get_by_label("Code").fill(pyotp.TOTP(secret).at(int(time.time()) + 30))
    page.get_by_role("button", name="Continue").click()
    assert "code" in back_at_the_app(page, clinic)

    page.context.clear_cookies()
    page.goto(f"{clinic.root}/auth/apps")
    sign_in(page, "rosa")
    page.get_by_label("Code").fill(codes[3])
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Your apps")).to_be_visible()


def test_on_a_phone_in_the_dark_without_scripts(phone: Page, clinic: Clinic) -> None:
    phone.goto(clinic.authorize_url(SCOPE))
    sign_in(phone, "ana")
    expect(phone.get_by_role("heading", name="Growth Chart asks for access")).to_be_visible()
    box = phone.locator("html").bounding_box()
    assert box is not None
    assert box["width"] <= 375
    phone.get_by_role("button", name="Allow").click()
    assert "code" in back_at_the_app(phone, clinic)


@pytest.mark.parametrize(
    "path", ["/auth/login", "/auth/reset", "/auth/apps", "/auth/account", "/auth/second-factor/set-up"]
)
def test_nothing_is_wider_than_a_phone(page: Page, clinic: Clinic, path: str) -> None:
    page.set_viewport_size({"width": 375, "height": 740})
    if path not in ("/auth/login", "/auth/reset"):
        page.goto(f"{clinic.root}/auth/login")
        sign_in(page, "ana")
        page.wait_for_url("**/auth/apps")
    page.goto(f"{clinic.root}{path}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(page: Page, clinic: Clinic, scheme: str) -> None:
    """Contrast of at least 4.5 to 1 between text and what is behind it: WCAG 2.2, 1.4.3."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    page.goto(clinic.authorize_url(SCOPE))
    sign_in(page, "ana", "not the password")
    expect(page.get_by_role("alert")).to_be_visible()
    assert page.evaluate(_FAINT) == []
    sign_in(page, "ana")
    expect(page.get_by_role("button", name="Allow")).to_be_visible()
    assert page.evaluate(_FAINT) == []


_FAINT = """() => {
  const channels = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
  const part = (value) => value <= 10.31475 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const [r, g, b, a = 1] = channels(getComputedStyle(one).backgroundColor);
      if (a === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const element of document.querySelectorAll("main *, header *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility()) continue;
    const [a, b] = [light(channels(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) faint.push(element.textContent.trim());
  }
  return faint;
}"""


def test_the_password_can_be_shown(page: Page, clinic: Clinic) -> None:
    page.goto(f"{clinic.root}/auth/login")
    entry = page.get_by_label("Password", exact=True)
    entry.fill("visible words")
    button = page.get_by_role("button", name="Show password")
    expect(button).to_have_attribute("aria-pressed", "false")
    button.click()
    expect(entry).to_have_attribute("type", "text")
    expect(button).to_have_attribute("aria-pressed", "true")
    button.click()
    expect(entry).to_have_attribute("type", "password")


def test_missing_entries_are_told_at_their_field(page: Page, clinic: Clinic) -> None:
    page.goto(f"{clinic.root}/auth/login")
    page.get_by_role("button", name="Sign in").click()
    entry = page.get_by_label("User name or e-mail address")
    expect(entry).to_have_attribute("aria-invalid", "true")
    expect(entry).to_have_accessible_description("Enter your user name or e-mail address.")
    expect(entry).to_be_focused()


def test_the_page_cannot_be_framed(chromium: Browser, clinic: Clinic) -> None:
    page = chromium.new_page()
    page.set_default_timeout(60_000)
    page.goto(clinic.app)
    frame = "url => { const f = document.createElement('iframe'); f.src = url; document.body.append(f); }"
    with page.expect_console_message(lambda message: "frame-ancestors 'none'" in message.text):
        page.evaluate(frame, f"{clinic.root}/auth/login")
    assert not page.frame_locator("iframe").get_by_label("Password", exact=True).count()
    page.close()


def test_an_administrator_invites(page: Page, clinic: Clinic) -> None:
    page.goto(f"{clinic.root}/auth/invitations")
    sign_in(page, "root")
    page.get_by_label("E-mail address").fill("noor@clinic.example")
    page.get_by_label("Their record").fill("Practitioner/noor")
    page.get_by_role("button", name="Send the invitation").click()
    expect(page.get_by_text("Choose at least one role.")).to_be_visible()
    page.get_by_label("Nurse").check()
    page.get_by_role("button", name="Send the invitation").click()
    expect(page.get_by_role("status")).to_contain_text("noor@clinic.example")
