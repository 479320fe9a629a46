"""`python -m scripts.browser`: have a Chromium for the tests, from the system's packages or from playwright.

Quick when there is one. Where none can be had it says so, and the tests that need it say it again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PLACES = ("chromium", "/usr/bin/chromium", "chromium-browser", "google-chrome")
# Fonts, because a page without any is boxes: the pictures of the tests are looked at.
PACKAGES = ("chromium", "fonts-liberation")
WAYS_OUT = "install one, or run `.venv/bin/playwright install --with-deps chromium`"


def chromium() -> str | None:
    """The Chromium that the tests open: the machine's, or the one that playwright has installed; None without."""
    found = next(filter(None, map(shutil.which, PLACES)), None)
    if found is not None:
        return found
    from playwright.sync_api import sync_playwright  # only here: it starts a process

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


def install() -> str | None:
    """Install one; None when neither way succeeds, whose last words are then told."""
    for ways in (_by_packages(), _by_playwright()):
        for words in ways:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if done.returncode:
                print(done.stdout.decode(errors="replace")[-2000:], file=sys.stderr)
                break
        if (found := chromium()) is not None:
            return found
    return None


def _by_packages() -> list[list[str]]:
    """On Debian; Ubuntu's package of this name only stands for a snap, which containers cannot run."""
    apt = shutil.which("apt-get")
    release = Path("/etc/os-release")
    if apt is None or os.geteuid() != 0 or not release.exists() or "ID=ubuntu" in release.read_text():
        return []
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive", apt, "-qq"]
    return [[*quiet, "update"], [*quiet, "install", "--yes", "--no-install-recommends", *PACKAGES]]


def _by_playwright() -> list[list[str]]:
    words = [sys.executable, "-m", "playwright", "install", "chromium"]
    return [[*words, "--with-deps"] if os.geteuid() == 0 else words]


def main() -> None:
    if chromium() is not None:
        return
    print("Installing Chromium for the tests", flush=True)
    if install() is None:
        print(
            f"Note: no Chromium could be installed, so the tests in a browser will be skipped: {WAYS_OUT}.", flush=True
        )


if __name__ == "__main__":
    main()
