"""Journeys as data: requests in a row against a real server, and what each must answer.

A step: `request` ("PUT /Patient/{id}"), optional `headers`, `body` (or `text`, sent as it is), then `status`,
`answer` (part of the JSON answer: objects by key, lists by position, `~regex` strings), `has` and `lacks`
(header names), `header` (name → value), and `keep` (variable → dotted path of the answer, or `header:Name`).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

CASES = Path(__file__).parent.parent / "cases"


class Mismatch(AssertionError):
    """The answer is not what the case says."""


def journeys(prefix: str) -> list[Any]:
    """The journeys of tests/cases/<prefix>_*.yaml, as parameters of a test."""
    listed = []
    for path in sorted(CASES.glob(f"{prefix}_*.yaml")):
        for case in yaml.safe_load(path.read_text()):
            listed.append(pytest.param(case["steps"], id=f"{path.stem.removeprefix(f'{prefix}_')}: {case['name']}"))
    return listed


def play(client: httpx.Client, steps: list[dict[str, Any]]) -> None:
    """Send every step; raises Mismatch at the first answer that differs."""
    known: dict[str, str] = {}
    for number, step in enumerate(steps, 1):
        method, _, url = fill(step["request"], known).partition(" ")
        body = fill(step["body"], known) if "body" in step else step.get("text")
        content = body if isinstance(body, str) or body is None else json.dumps(body)
        headers = {"Content-Type": "application/fhir+json", **fill(step.get("headers", {}), known)}
        if content is None:
            headers.pop("Content-Type")
        response = client.request(method, url, content=content, headers=headers)
        try:
            check(response, fill(step, known))
        except Mismatch as mismatch:
            raise Mismatch(f"step {number} {method} {url}: {mismatch}\n{response.text[:1500]}") from None
        for name, path in step.get("keep", {}).items():
            known[name] = pick(response, path)


def check(response: httpx.Response, step: dict[str, Any]) -> None:
    if response.status_code != step["status"]:
        raise Mismatch(f"status {response.status_code}, not {step['status']}")
    for name, value in step.get("header", {}).items():
        compare(f"header {name}", response.headers.get(name), value)
    for name in step.get("has", []):
        if name not in response.headers:
            raise Mismatch(f"no header {name}")
    for name in step.get("lacks", []):
        if name in response.headers:
            raise Mismatch(f"header {name} is there")
    if "answer" in step:
        compare("", response.json() if response.content else None, step["answer"])


def compare(path: str, found: Any, wanted: Any) -> None:
    """`wanted` is a part of `found`."""
    if isinstance(wanted, dict):
        if not isinstance(found, dict):
            raise Mismatch(f"{path} is no object")
        for key, value in wanted.items():
            if value is None:
                if key in found:
                    raise Mismatch(f"{path}.{key} is there")
            elif key not in found:
                raise Mismatch(f"{path}.{key} is missing")
            else:
                compare(f"{path}.{key}", found[key], value)
    elif isinstance(wanted, list):
        if not isinstance(found, list) or len(found) != len(wanted):
            raise Mismatch(f"{path} has {len(found) if isinstance(found, list) else 'no'} items, not {len(wanted)}")
        for index, (one, other) in enumerate(zip(found, wanted, strict=True)):
            compare(f"{path}[{index}]", one, other)
    elif isinstance(wanted, str) and wanted.startswith("~"):
        if not re.search(wanted[1:], str(found)):
            raise Mismatch(f"{path} is {found!r}, not like {wanted!r}")
    elif found != wanted:
        raise Mismatch(f"{path} is {found!r}, not {wanted!r}")


def fill(value: Any, known: dict[str, str]) -> Any:
    """`{name}` in any string becomes what was kept under it."""
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda match: known.get(match[1], match[0]), value)
    if isinstance(value, list):
        return [fill(item, known) for item in value]
    if isinstance(value, dict):
        return {key: fill(item, known) for key, item in value.items()}
    return value


def pick(response: httpx.Response, path: str) -> str:
    if path.startswith("header:"):
        return str(response.headers[path.removeprefix("header:")])
    value = response.json()
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return str(value)
