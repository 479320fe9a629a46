"""The terminology operations without HTTP, from tests/cases/operations_terminology.yaml; answers are valid FHIR.

tests/operations/test_journeys.py plays the same file over HTTP.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
import yaml

from fhir_server import json
from fhir_server.context import FhirRequest, FhirResponse
from fhir_server.main import Server
from fhir_server.outcomes import FhirError, operation_outcome
from fhir_server.validation import validate
from tests.interactions.journey import CASES, Mismatch, compare, fill
from tests.terminology.conftest import parts
from tests.terminology.storing import BASE, code_system, put

__all__ = ["parts"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

Json = dict[str, Any]
JOURNEYS = yaml.safe_load((CASES / "operations_terminology.yaml").read_text())


@pytest.mark.parametrize("journey", [pytest.param(one["steps"], id=one["name"]) for one in JOURNEYS])
async def test_journey(parts: Server, journey: list[Json]) -> None:
    await play(parts, journey)


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": 404},
        {"status": 200, "out": {"display": "Finally"}},
        {"status": 200, "out": {"property": [{}]}},
        {"status": 200, "out": {"colour": "blue"}},
        {"status": 200, "codes": ["final"]},
        {"status": 200, "answer": {"parameter": None}},
    ],
)
async def test_a_wrong_case_fails(parts: Server, wrong: Json) -> None:
    call = "GET /CodeSystem/$lookup?system=http://hl7.org/fhir/observation-status&code=final&property=url"
    with pytest.raises(Mismatch):
        await play(parts, [{"request": call, **wrong}])


async def test_stored_code_systems_are_told_of(parts: Server) -> None:
    await put(parts, code_system("told", "a", version="3"))
    await put(parts, code_system("told-again", "a", url="http://example.org/cs/told", version="4-Beta"))
    empty = code_system("empty", content="not-present")
    await put(parts, {name: value for name, value in empty.items() if name != "concept"})
    status, found = await ask(parts, "GET /metadata?mode=terminology", None)
    assert status == 200
    assert validate(found) == []
    systems = {one["uri"]: one.get("version") for one in found["codeSystem"]}
    assert systems["http://example.org/cs/told"] == [{"code": "3"}, {"code": "4-Beta"}]
    assert "http://example.org/cs/empty" not in systems
    assert found["implementation"]["url"] == BASE


async def play(parts: Server, steps: list[Json]) -> None:
    """Dispatch every step; raises Mismatch at the first answer that differs."""
    known: dict[str, str] = {}
    for number, raw in enumerate(steps, 1):
        step = fill(raw, known)
        status, found = await ask(parts, step["request"], step.get("body"))
        try:
            check(status, found, step)
        except Mismatch as mismatch:
            raise Mismatch(f"step {number} {step['request']}: {mismatch}\n{str(found)[:1500]}") from None
        for name, path in step.get("keep", {}).items():
            known[name] = found[path]


async def ask(parts: Server, call: str, body: Json | None) -> tuple[int, Json]:
    """Status and resource of what the server's own way of a request answers."""
    method, _, url = call.partition(" ")
    path, _, query = url.partition("?")
    pairs = [(name, unquote(value)) for name, value in parse_qsl(query.replace("+", "%2B"), keep_blank_values=True)]
    ctx = parts.context(BASE)
    try:
        response: FhirResponse = await ctx.dispatch(ctx, FhirRequest(method, path.removeprefix("/"), pairs, body))
    except FhirError as error:
        return error.status, operation_outcome(error.issues)
    return response.status, json.decode(response.text) if response.text is not None else response.resource or {}


def check(status: int, found: Json, step: Json) -> None:
    if status != step["status"]:
        raise Mismatch(f"status {status}, not {step['status']}")
    if "$" in step["request"] and (issues := validate(found)):
        raise Mismatch(f"the answer is not valid: {issues}")
    if "answer" in step:
        compare("", found, step["answer"])
    if "out" in step:
        compare("out", named(found.get("parameter", [])), step["out"])
    if "codes" in step:
        compare("codes", [one["code"] for one in found.get("expansion", {}).get("contains", [])], step["codes"])


REPEATING = frozenset({"designation", "property", "match"})


def named(parameters: list[Json]) -> Json:
    """Parameters by name: their value, their resource, or their parts by name; a list where it may repeat."""
    found: Json = {}
    for one in parameters:
        value = next((one[key] for key in one if key.startswith("value")), one.get("resource"))
        value = named(one["part"]) if "part" in one else value
        if one["name"] in REPEATING:
            found.setdefault(one["name"], []).append(value)
        else:
            found[one["name"]] = value
    return found
