"""docs/terminology.md: each call on it is answered, and what it says is refused is refused so."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import httpx
import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "terminology.md").read_text()
CALLS = [shlex.split(call) for call in re.findall(r"^curl .*?(?=\ncurl|\n```)", PAGE, re.MULTILINE | re.DOTALL)]
REFUSED = re.findall(r"^\| `(\w+/[^`]+)` \| (\d+) `([\w-]+)`", PAGE, re.MULTILINE)


def test_the_calls_are_answered(client: httpx.Client) -> None:
    """In one go: the first one stores what the others ask about."""
    for call in CALLS:
        url = next(part for part in call if part.startswith("$BASE")).removeprefix("$BASE").replace("\\$", "$")
        response = client.post(url, content=call[call.index("-d") + 1]) if "-d" in call else client.get(url)
        assert response.status_code == 200, f"{url}: {response.text}"
        assert response.json()["resourceType"] != "OperationOutcome"


@pytest.mark.parametrize(("url", "status", "code"), REFUSED)
def test_what_is_refused_is_refused(client: httpx.Client, url: str, status: str, code: str) -> None:
    response = client.get("/" + url.replace(r"\|", "|"))
    assert response.status_code == int(status), response.text
    assert response.json()["issue"][0]["code"] == code


def test_the_calls_were_found() -> None:
    """So that a page that is written otherwise does not pass by having none."""
    assert len(CALLS) > 25
    assert len(REFUSED) > 9
