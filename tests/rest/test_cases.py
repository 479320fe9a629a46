"""HTTP in and out by the cases in cases/rest_*.yaml: what dispatch is given, what the caller gets."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_server.context import FhirResponse
from fhir_server.outcomes import FhirError
from fhir_server.rest.negotiation import FHIR_JSON, FHIR_XML, negotiate
from tests.rest.driver import Answer, Server

CASES = Path(__file__).parents[1] / "cases"


def cases(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load((CASES / name).read_text()))


def content(case: dict[str, Any]) -> bytes | list[bytes]:
    """The request's body in one of the ways a case may say it."""
    if "hex" in case:
        return bytes.fromhex(case["hex"])
    if "gzip" in case:
        return gzip.compress(case["gzip"].encode())
    if "deep" in case:
        return b'{"a":' * int(case["deep"]) + b"1" + b"}" * int(case["deep"])
    if "big" in case:
        return b'{"a":"' + b"x" * int(case["big"]) + b'"}'
    if "pieces" in case:
        return [b" " * 65536] * (case["pieces"] // 65536)
    if "bomb" in case:
        return gzip.compress(b" " * case["bomb"])
    return str(case.get("body", "")).encode()


async def run(case: dict[str, Any]) -> None:
    method, _, url = case["request"].partition(" ")
    if "parameters" in case:
        url += "?" + "&".join("a=b" for _ in range(case["parameters"]))
    server = Server(FhirResponse(**case["answer"]) if "answer" in case else None)
    answer = await server.call(method, url, case.get("headers"), content(case))
    assert answer.status == case.get("status", answer.status), answer.body
    if "issue" in case:
        assert answer.issue()["code"] == case["issue"]
        assert answer.issue()["severity"] == "error"
        assert server.seen is None, "it reached the dispatcher"
        return
    assert answer.status < 400, answer.body
    check_request(case.get("seen", {}), server)
    check_answer(case, answer)


def check_request(expected: dict[str, Any], server: Server) -> None:
    for name, value in expected.items():
        found = getattr(server.seen, name)
        if name == "query":
            found = [list(pair) for pair in found]
        assert found == value, name


def check_answer(case: dict[str, Any], answer: Answer) -> None:
    for name, value in case.get("header", {}).items():
        found = answer.headers.get(name)
        if isinstance(value, str) and value.startswith("~"):
            assert found is not None, name
            assert re.search(value[1:], found), name
        else:
            assert found == value, name
    if "text" in case:
        assert answer.body.decode() == case["text"]
    for part in case.get("contains", ()):
        assert part in answer.body.decode()
    if case.get("empty"):
        assert answer.body == b""


@pytest.mark.parametrize("case", cases("rest_requests.yaml"), ids=lambda case: case["name"])
async def test_request(case: dict[str, Any]) -> None:
    await run(case)


@pytest.mark.parametrize("case", cases("rest_responses.yaml"), ids=lambda case: case["name"])
async def test_response(case: dict[str, Any]) -> None:
    await run(case)


@pytest.mark.parametrize("case", cases("rest_bad_input.yaml"), ids=lambda case: case["name"])
async def test_bad_input(case: dict[str, Any]) -> None:
    await run(case)


@pytest.mark.parametrize(
    "wrong",
    [
        {"request": "GET /fhir/Patient/1", "seen": {"path": "Patient/2"}},
        {"request": "GET /fhir/Patient/1", "header": {"etag": 'W/"1"'}},
        {"request": "GET /fhir/Patient/1", "status": 400, "issue": "invalid"},
        {"request": "GET /fhir/Patient/1", "empty": True},
        {"request": "GET /fhir/Patient?a=%ff", "status": 400, "issue": "structure"},
    ],
)
async def test_the_runner_can_fail(wrong: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        await run(wrong)


@pytest.mark.parametrize("case", cases("rest_negotiation.yaml"), ids=str)
def test_negotiation(case: dict[str, Any]) -> None:
    default = FHIR_XML if case.get("sent") == "xml" else FHIR_JSON
    try:
        found: Any = negotiate(case["accept"], case.get("format"), default).content_type.decode().partition(";")[0]
    except FhirError as error:
        found = error.status
    assert found == case["is"]
