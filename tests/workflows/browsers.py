"""People in front of browsers of their own, with the module for end-to-end encryption; and all that these sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext, Page

from tests.workflows.clinic import ROLES, SECONDS, Clinic

Json = dict[str, Any]
RUN = """
async ({ code, base, token, person, given }) => {
  const module = await import("/views/end-to-end.js")
  const server = { base, token }
  const shelf = await module.browserShelf()
  const fhir = async (method, path, body) => {
    const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/fhir+json" }
    const answer = await fetch(`${base}/${path}`, { method, headers, body: body && JSON.stringify(body) })
    if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`)
    return answer.json()
  }
  const names = { ...module, server, shelf, fhir, person, given }
  return new Function(...Object.keys(names), `return (async () => { ${code} })()`)(...Object.values(names))
}
"""


@dataclass
class Reader:
    """Somebody with a browser: what it does, and the body of every request that it sent."""

    name: str
    person: str
    token: str
    clinic: Clinic
    context: BrowserContext
    sent: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.on("request", lambda request: self.sent.append(request.post_data_buffer or b""))
        self.page = self._page()

    def _page(self) -> Page:
        page = self.context.new_page()
        page.goto(f"{self.clinic.issuer}/views/end-to-end.js")  # any page of this origin
        return page

    def reopen(self) -> None:
        """Close the page and open another in the same browser."""
        self.page.close()
        self.page = self._page()

    def does(self, code: str, **given: Any) -> Any:
        """What JavaScript returns that sees the module, `server`, `shelf`, `fhir(method, path, body)` and `given`."""
        here = {"base": self.clinic.base, "token": self.token, "person": self.person}
        return self.page.evaluate(RUN, {"code": code, "given": given, **here})

    def has_key(self) -> str:
        """Make and publish a key; its thumbprint."""
        made = "const key = await makeKey(shelf, person); await publishKey(server, key); return key.kid"
        return str(self.does(made))


@contextmanager
def readers(clinic: Clinic, browser: Browser, *names: str) -> Iterator[list[Reader]]:
    """Each in a browser context of their own: they share no storage. Keys of other tests are taken away before."""
    with ExitStack() as stack:
        found = []
        for name in names:
            context = stack.enter_context(browser.new_context())
            context.set_default_timeout(SECONDS * 1000)
            person = next(one for one in ROLES if one.partition("/")[2] == name)
            reader = Reader(name, person, clinic.token(name), clinic, context)
            _without_keys(reader)
            found.append(reader)
        yield found


def _without_keys(reader: Reader) -> None:
    headers = {"Authorization": f"Bearer {reader.token}", "Content-Type": "application/fhir+json"}
    with httpx.Client(base_url=reader.clinic.base, headers=headers, timeout=SECONDS) as http:
        person: Json = http.get(f"/{reader.person}").json()
        if person.pop("extension", None):
            assert http.put(f"/{reader.person}", json=person).status_code == 200
