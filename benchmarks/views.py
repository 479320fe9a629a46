"""`python -m benchmarks.views`: what the views cost a browser, on a slow line and with much to show.

Chromium on a slow 4G line (1.6 Mbit/s, 150 ms), as it is and with a phone's processor (4 times slower): what is loaded
until the worklist stands, and how long it takes, with an empty cache and with a filled one. Then, without brakes, a
worklist of many cases and a chart of many observations: how long until they stand, and the frames while scrolling.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from shutil import which
from time import perf_counter
from typing import Any

import httpx
from playwright.sync_api import BrowserContext, CDPSession, Page, sync_playwright

from benchmarks.server import Started, serving
from fhir_server.cli._accounts import with_accounts
from fhir_server.config import Settings
from smart_auth.users import User

Json = dict[str, Any]
LOGIN, PASSWORD, ME = "bench", "a quiet walk by the river", "Practitioner/bench"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
PRIORITY = "http://terminology.hl7.org/CodeSystem/v3-ActPriority"
ROWS = "main section > ul > li"
SLOW_4G = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 0.75e6 / 8}
FRAMES = """
() => new Promise((resolve) => {
  const gaps = []
  let before = performance.now()
  const step = (now) => {
    gaps.push(now - before)
    before = now
    window.scrollBy(0, 60)
    if (gaps.length < 180) requestAnimationFrame(step)
    else resolve(gaps.slice(2))
  }
  requestAnimationFrame(step)
})
"""


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="python -m benchmarks.views", description="Measure the views in Chromium.")
    found.add_argument("--cases", type=int, default=1000)
    found.add_argument("--observations", type=int, default=5000)
    return found


def fill(server: Started, cases: int, observations: int) -> None:
    """The one who looks, their cases, and a patient who was measured often."""
    name, _, token = server.headers[0].partition(": ")
    with httpx.Client(base_url=server.base, headers={name: token}, timeout=60) as http:
        _store(http, [{"resourceType": "Practitioner", "id": "bench", "active": True, "name": [{"text": "Dr. Bench"}]}])
        _store(http, [_patient(number) for number in range(50)])
        _store(http, [_case(number) for number in range(cases)])
        _store(http, [_observation(number) for number in range(observations)])

    async def account(auth: Any, running: Any) -> None:
        await auth.users.add(User(LOGIN, fhir_user=ME, roles=("doctor",)), PASSWORD)

    with_accounts(Settings(data_dir=server.data_dir, mongodb_uri=None), account)


def _store(http: httpx.Client, resources: list[Json]) -> None:
    for begin in range(0, len(resources), 250):
        entry = [
            {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
            for one in resources[begin : begin + 250]
        ]
        http.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entry}).raise_for_status()


def _patient(number: int) -> Json:
    born = f"19{40 + number}-05-17"
    return {"resourceType": "Patient", "id": f"p{number}", "name": [{"text": f"Patient {number}"}], "birthDate": born}


def _case(number: int) -> Json:
    return {
        "resourceType": "Encounter",
        "id": f"c{number}",
        "status": "in-progress",
        "class": {"system": ACT, "code": "VR"},
        "priority": {"coding": [{"system": PRIORITY, "code": ("R", "UR", "R", "EM")[number % 4]}]},
        "subject": {"reference": f"Patient/p{number % 50}"},
        "participant": [{"individual": {"reference": ME}}],
        "reasonCode": [{"text": "Chest pain on stairs"}],
        "period": {"start": f"2026-0{1 + number % 9}-{1 + number % 27:02}T10:00:00Z"},
    }


def _observation(number: int) -> Json:
    category = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}
    day = f"20{10 + number // 365:02}-{1 + number % 12:02}-{1 + number % 28:02}"
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "category": [{"coding": [category]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7", "display": "Body weight"}]},
        "subject": {"reference": "Patient/p0"},
        "effectiveDateTime": f"{day}T08:00:00Z",
        "valueQuantity": {"value": 70 + number % 7, "unit": "kg"},
    }


class Loaded:
    """What a page has loaded over the line: bytes as they were sent, by kind of resource."""

    def __init__(self, devtools: CDPSession) -> None:
        self.bytes: dict[str, int] = {}
        self._kinds: dict[str, str] = {}
        devtools.on("Network.responseReceived", lambda told: self._kinds.update({told["requestId"]: told["type"]}))
        devtools.on("Network.loadingFinished", self._finished)
        devtools.send("Network.enable")

    def _finished(self, told: Json) -> None:
        kind = self._kinds.get(told["requestId"], "Other")
        self.bytes[kind] = self.bytes.get(kind, 0) + int(told["encodedDataLength"])


@contextmanager
def visitor(root: str) -> Iterator[BrowserContext]:
    """A browser that is signed in."""
    with sync_playwright() as playwright:
        path = which("chromium") or playwright.chromium.executable_path
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.goto(f"{root}/app/worklist")
        page.get_by_label("User name or e-mail address").fill(LOGIN)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        _rows(page).first.wait_for()
        page.close()
        yield context
        browser.close()


def _rows(page: Page) -> Any:
    return page.locator(ROWS)  # of every urgency


def slow(context: BrowserContext, root: str) -> None:
    """The worklist over a slow line, with an empty cache and then with a filled one."""
    for processor, cache in itertools.product((1, 4), ("empty", "filled")):
        page = context.new_page()
        devtools = context.new_cdp_session(page)
        loaded = Loaded(devtools)
        if cache == "empty":
            devtools.send("Network.clearBrowserCache")
        devtools.send("Network.emulateNetworkConditions", SLOW_4G)
        devtools.send("Emulation.setCPUThrottlingRate", {"rate": processor})
        began = perf_counter()
        page.goto(f"{root}/app/worklist")
        page.get_by_role("heading", level=1).wait_for()
        headed = perf_counter() - began
        _rows(page).first.wait_for()
        listed = perf_counter() - began
        script = loaded.bytes.get("Script", 0) / 1000
        everything = sum(loaded.bytes.values()) / 1000
        print(
            f"slow 4G, processor 1/{processor}, {cache} cache: page {headed:.2f} s, first case {listed:.2f} s; "
            f"script {script:.0f} kB, everything {everything:.0f} kB"
        )
        page.close()


def many(context: BrowserContext, root: str, cases: int) -> None:
    """All cases in one list, and the frames while it is scrolled."""
    page = context.new_page()
    page.goto(f"{root}/app/worklist")
    _rows(page).first.wait_for()
    began = perf_counter()
    while _rows(page).count() < cases:
        shown = _rows(page).count()
        page.get_by_role("button", name="Show more").first.click()
        page.wait_for_function("([rows, shown]) => document.querySelectorAll(rows).length > shown", arg=[ROWS, shown])
    print(f"{_rows(page).count()} cases shown after {perf_counter() - began:.1f} s of clicking; {frames(page)}")
    page.close()


def measured(context: BrowserContext, root: str, observations: int) -> None:
    """The chart of the patient who was measured often, and the trend of it."""
    page = context.new_page()
    began = perf_counter()
    page.goto(f"{root}/app/patients/p0")
    page.get_by_role("region", name="Last measurements").get_by_text("kg").first.wait_for()
    print(f"chart with {observations} observations: overview {perf_counter() - began:.2f} s", end="; ")
    began = perf_counter()
    page.get_by_role("tab", name="Trends").click()
    page.get_by_role("figure").wait_for()
    print(f"trend {perf_counter() - began:.2f} s; {frames(page)}")
    page.close()


def frames(page: Page) -> str:
    page.evaluate("window.scrollTo(0, 0)")
    gaps = sorted(page.evaluate(FRAMES))
    return f"frames: median {statistics.median(gaps):.1f} ms, p95 {gaps[int(len(gaps) * 0.95)]:.1f} ms"


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    with serving(1, sign_in=True) as server:
        fill(server, options.cases, options.observations)
        root = server.base.removesuffix("/fhir")
        with visitor(root) as context:
            slow(context, root)
            many(context, root, options.cases)
            measured(context, root, options.observations)
    return 0


if __name__ == "__main__":
    sys.exit(main())
