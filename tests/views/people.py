"""People in front of browsers of their own: real sign-in, and an eye on what the browser complains about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

import web_views
from tests.workflows.clinic import ROLES, SECONDS, Clinic

Json = dict[str, Any]
PASSWORD = "a quiet walk by the river"
AXE = Path(web_views.__file__).parent / "app" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Colours of what is fading in are nobody's to judge; what turns for ever (a loader) is not waited for.
STILL = (
    "() => Promise.allSettled(document.getAnimations().filter((one) => one.effect?.getComputedTiming().endTime < 5000)"
    ".map((one) => one.finished))"
)
SHOTS = Path("build") / "screenshots"  # kept for a person to look at
# Until the page has noticed, and has been painted anew.
PAINTED = """async (scheme) => {
  const frame = () => new Promise(requestAnimationFrame)
  while (document.documentElement.dataset.mantineColorScheme !== scheme) await frame()
  await frame()
  await frame()
}"""
PHONE, DESK = ViewportSize(width=375, height=740), ViewportSize(width=1440, height=900)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# What the browser says of an answer that is no success, or of none while a test has cut the connection.
EXPECTED = re.compile(r"responded with a status of 4|ERR_INTERNET_DISCONNECTED|ERR_FAILED|WebSocket connection")


@dataclass
class Person:
    """Somebody of the clinic ("dora") in a browser of their own.

    `page` is the tab they signed in with, at `address`; `open` takes another page of the app, `tab` another tab.
    """

    name: str
    clinic: Clinic
    context: BrowserContext
    page: Page = field(init=False)
    complaints: list[str] = field(default_factory=list)

    @property
    def reference(self) -> str:
        return next(one for one in ROLES if one.partition("/")[2] == self.name)

    def sign_in(self, path: str = "worklist") -> Page:
        """To a page of the app by the sign-in page, as anybody comes in."""
        self.page = self._new_page()
        self.page.goto(f"{self.clinic.issuer}/app/{path}")
        self.page.get_by_label("User name or e-mail address").fill(self.name)
        self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        arrived(self.page)
        return self.page

    def tab(self, path: str = "worklist") -> Page:
        """Another tab: signed in already."""
        page = self._new_page()
        page.goto(f"{self.clinic.issuer}/app/{path}")
        arrived(page)
        return page

    def open(self, path: str) -> Page:
        """Load another page of the app in the same tab."""
        self.page.goto(f"{self.clinic.issuer}/app/{path}")
        arrived(self.page)
        return self.page

    def cut(self) -> None:
        """The connection is lost: no request and no socket comes through, until `mend`."""
        self.context.set_offline(True)
        expect(self.page.get_by_text("No connection").first).to_be_visible()

    def mend(self) -> None:
        self.context.set_offline(False)
        expect(self.page.get_by_text("Connected", exact=True)).to_be_attached()

    def _new_page(self) -> Page:
        page = self.context.new_page()
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page


def arrived(page: Page) -> None:
    """Wait until the app shows a page, and its live connection is there."""
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_text("Connected", exact=True)).to_be_attached()


def until(page: Page, holds: str, given: Any = None) -> None:
    """Wait until a function of JavaScript says so.

    `wait_for_function` asks the first time only: then it evaluates text in the page, which the app's policy forbids.
    """
    looking = f"""async (given) => {{
      const holds = {holds}
      const end = performance.now() + {SECONDS * 1000}
      while (!holds(given) && performance.now() < end) await new Promise((done) => setTimeout(done, 50))
      return holds(given)
    }}"""
    assert page.evaluate(looking, given), f"It never came to {holds}"


@contextmanager
def person(clinic: Clinic, browser: Browser, name: str, **options: Any) -> Iterator[Person]:
    """Somebody, before they sign in; at the end anything the browser complained of fails the test."""
    usual = {"viewport": DESK, "locale": "en-GB", "timezone_id": "Europe/Berlin", "reduced_motion": "reduce"}
    context = browser.new_context(**usual | options)
    context.set_default_timeout(60_000)
    found = Person(name, clinic, context)
    try:
        yield found
    finally:
        context.close()
    wrong = [one for one in found.complaints if not EXPECTED.search(one)]
    if wrong:
        pytest.fail(f"The browser complained: {wrong}", pytrace=False)


def shot(page: Page, name: str) -> None:
    """Keep a picture of the whole page in build/screenshots."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def wrong(page: Page, kept: str = "") -> dict[str, list[str]]:
    """What axe finds and what is wider than the screen, by look: light and dark, on a desk and on a phone.

    With a name, a picture of each is kept ("cases-new-dark-phone.png"). Needs a context with bypass_csp.
    """
    found: dict[str, list[str]] = {}
    for (size_name, size), scheme in product((("desk", DESK), ("phone", PHONE)), SCHEMES):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        page.evaluate(PAINTED, scheme)
        look = f"{scheme}-{size_name}"
        found[look] = violations(page)
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            found[look].append("It is wider than the screen.")
        if kept:
            shot(page, f"{kept}-{look}")
    return {look: faults for look, faults in found.items() if faults}


def violations(page: Page) -> list[str]:
    """What axe finds wrong with the page as it is shown: rule, element, reason. Needs a context with bypass_csp.

    Over an open dialog only the rules of WCAG: landmarks within one, which the library makes, are a matter of taste.
    """
    page.evaluate(STILL)
    rules = [one for one in RULES if one.startswith("wcag")] if page.get_by_role("dialog").count() else RULES
    run = "(await axe.run(document, { runOnly: rules })).violations"
    asked = f"async ([code, rules]) => {{ new Function(code)(); return {run} }}"
    found: list[Json] = page.evaluate(asked, [AXE.read_text("utf-8"), rules])
    return [f"{one['id']}: {_told(node)}" for one in found for node in one["nodes"]]


def _told(node: Json) -> str:
    return f"{node['html'][:200]} — {node.get('failureSummary', '')}"


@contextmanager
def calling(clinic: Clinic, name: str) -> Iterator[httpx.Client]:
    """The API as somebody, for what a test starts from: `http.post("/Encounter", json=…)`."""
    headers = {"Authorization": f"Bearer {clinic.token(name)}", "Content-Type": "application/fhir+json"}
    with httpx.Client(base_url=clinic.base, headers=headers, timeout=SECONDS) as http:
        yield http
