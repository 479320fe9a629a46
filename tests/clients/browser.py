"""A user in front of Chromium: signs in, picks the patient, allows what an app asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, expect, sync_playwright

from scripts.browser import WAYS_OUT
from scripts.browser import chromium as installed
from tests.clients.node import missing
from tests.clients.world import PASSWORDS

expect.set_options(timeout=60_000)  # a busy machine is slow, not wrong


@contextmanager
def chromium(*options: str) -> Iterator[Browser]:
    """The machine's Chromium, or the one that playwright has installed; skips when there is none."""
    path = installed()
    if path is None:
        missing(f"no Chromium: {WAYS_OUT}")
    with sync_playwright() as playwright:
        # Without a sandbox: containers seldom allow one, and only our own pages are opened.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", *options], timeout=120_000)
        try:
            yield browser
        finally:
            browser.close()


def sign_in(page: Page, user: str, *, patient: str | None = None, allow: bool = True) -> None:
    """From the sign-in page to the app: the password, consent (or refusal), and the patient when several are shown."""
    page.get_by_label("User name").fill(user)
    page.get_by_label("Password", exact=True).fill(PASSWORDS[user])
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("button", name="Allow" if allow else "Deny", exact=True).click()
    if patient is not None:
        page.get_by_role("button", name=patient).click()


def arrive(page: Page, address: str) -> str:
    """Wait for the browser to be back in the app; the URL it came with."""
    page.wait_for_url(f"{address}?**")
    return page.url
