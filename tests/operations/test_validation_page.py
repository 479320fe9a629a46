"""docs/validation.md: each call on it is answered, what it shows is what is told, and what it says is refused is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import httpx
import pytest

from fhir_server.config import Settings
from tests.conftest import serve

SECONDS = 60.0  # a busy machine is slow, not wrong
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "validation.md").read_text()
CALLS = [shlex.split(call) for call in re.findall(r"^curl .*?(?=\ncurl|\n```)", PAGE, re.MULTILINE | re.DOTALL)]
(TOLD,) = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
REFUSED = re.findall(r"^\| `(\w+/[^`]+)` \| (\d+) `([\w-]+)`", PAGE, re.MULTILINE)


def made(client: httpx.Client, call: list[str]) -> httpx.Response:
    url = next(part for part in call if part.startswith("$BASE")).removeprefix("$BASE").replace("\\$", "$")
    headers = dict(part.split(": ", 1) for part in call if part.startswith("If-Match: "))
    return client.post(url, content=call[call.index("-d") + 1], headers=headers) if "-d" in call else client.get(url)


@pytest.fixture(scope="module", autouse=True)
def definitions(server: str) -> None:
    """What the first call of the page stores."""
    with httpx.Client(base_url=server, headers={"Content-Type": "application/fhir+json"}, timeout=SECONDS) as client:
        assert made(client, CALLS[0]).status_code == 200


def test_the_calls_are_answered(client: httpx.Client) -> None:
    for call in CALLS[1:]:
        response = made(client, call)
        assert response.status_code == 200, response.text
        assert response.json()["resourceType"] == "OperationOutcome"


def test_the_answer_is_the_one_shown(client: httpx.Client) -> None:
    """The call with the answer is the third; the one before it finds nothing wrong."""
    assert "All OK" in made(client, CALLS[1]).text
    rows = [
        [issue["severity"], issue["code"], *issue["expression"], issue["diagnostics"]]
        for issue in made(client, CALLS[2]).json()["issue"]
    ]
    assert [re.split(r" {2,}", line) for line in TOLD.splitlines()] == rows


@pytest.mark.parametrize(("url", "status", "code"), REFUSED)
def test_what_is_refused_is_refused(client: httpx.Client, url: str, status: str, code: str) -> None:
    response = client.get("/" + url.replace(r"\|", "|"))
    assert response.status_code == int(status), response.text
    assert response.json()["issue"][0]["code"] == code


def test_the_calls_were_found() -> None:
    """So that a page that is written otherwise does not pass by having none."""
    assert len(CALLS) > 10
    assert len(REFUSED) > 8


@pytest.mark.parametrize(("level", "status"), [("structure", 201), ("invariants", 201), ("profiles", 422)])
def test_a_write_is_judged_by_the_level(settings: Settings, server: str, level: str, status: int) -> None:
    wrong = CALLS[2][CALLS[2].index("-d") + 1]
    with serve(settings.model_copy(update={"validation": level})) as base:
        headers = {"Content-Type": "application/fhir+json"}
        response = httpx.post(f"{base}/Observation", content=wrong, headers=headers, timeout=SECONDS)
    assert response.status_code == status, response.text


def test_a_profile_holds_after_its_transaction(settings: Settings, server: str) -> None:
    bundle = CALLS[0][CALLS[0].index("-d") + 1].replace("example.org/pulse", "example.org/new-pulse")
    bundle = bundle.replace('"value":72', '"value":900').replace("guide-pulse", "guide-new-pulse")
    headers = {"Content-Type": "application/fhir+json"}
    with serve(settings.model_copy(update={"validation": "profiles"})) as base:
        assert httpx.post(base, content=bundle, headers=headers, timeout=SECONDS).status_code == 200
        told = httpx.get(f"{base}/Observation/guide-new-pulse/$validate", timeout=SECONDS).json()["issue"]
        assert [(one["severity"], one["code"]) for one in told] == [("error", "value")]


def test_an_enforced_profile_is_asked_of_what_claims_nothing(settings: Settings, server: str) -> None:
    resource = {"resourceType": "Observation", "status": "final", "code": {"text": "Pulse"}}
    asked = {"Observation": ["http://example.org/pulse"]}
    with serve(settings.model_copy(update={"validation": "profiles", "enforced_profiles": asked})) as base:
        assert httpx.post(f"{base}/Observation", json=resource, timeout=SECONDS).status_code == 422
        assert httpx.post(f"{base}/Device", json={"resourceType": "Device"}, timeout=SECONDS).status_code == 201
