"""The application where tables do not reach: failures, limits in time, callers that leave, CORS, compression."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest
from pymongo.errors import AutoReconnect, ExecutionTimeout, OperationFailure

from fhir_server.config import Settings
from fhir_server.context import FhirResponse
from fhir_server.outcomes import Conflict, NotFound, SignInRequired, TooManyRequests
from tests.rest.driver import BASE, Message, Server

SECRET = "Mustermann 1984-02-29"


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (NotFound("There is none."), 404, "not-found"),
        (Conflict("Changed."), 409, "conflict"),
        (AutoReconnect("connection closed"), 503, "transient"),
        (ExecutionTimeout("operation exceeded time limit"), 503, "timeout"),
        (OperationFailure(SECRET), 500, "exception"),
        (KeyError(SECRET), 500, "exception"),
        (ValueError(SECRET), 500, "exception"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_every_failure_is_an_outcome(failure: Exception, status: int, code: str) -> None:
    answer = await Server(failure).call("GET", "/fhir/Patient/1", {"X-Request-Id": "ref-1"})
    assert answer.status == status
    assert answer.issue()["code"] == code
    assert SECRET not in answer.body.decode()
    assert ("retry-after" in answer.headers) == (status == 503)
    if status == 500:
        assert "ref-1" in answer.issue()["diagnostics"]


async def test_headers_of_a_failure_are_sent() -> None:
    wanted = {"WWW-Authenticate": "Bearer"}
    answer = await Server(SignInRequired("Sign in.", headers=wanted)).call("GET", "/fhir/Patient/1")
    assert answer.headers["www-authenticate"] == "Bearer"
    answer = await Server(TooManyRequests("Slower.")).call("GET", "/fhir/Patient/1")
    assert int(answer.headers["retry-after"]) > 0


async def test_a_response_that_cannot_be_written_is_a_500() -> None:
    answer = await Server(FhirResponse(resource={"resourceType": object()})).call("GET", "/fhir/Patient/1")
    assert answer.status == 500
    assert answer.issue()["code"] == "exception"


async def test_a_failure_in_a_browser_is_a_page() -> None:
    answer = await Server(NotFound("There is none.")).call("GET", "/fhir/Patient/1", {"Accept": "text/html"})
    assert answer.status == 404
    assert answer.body.startswith(b"<!doctype html>")


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    server = Server(settings=Settings(body_seconds=0.01))
    answer = await server.exchange("POST", "/fhir/Patient", {}, _never)
    assert answer.status == 408
    assert answer.issue()["code"] == "timeout"
    assert answer.headers["connection"] == "close"
    assert server.seen is None


async def test_an_announced_size_is_refused_unread() -> None:
    answer = await Server().exchange("POST", "/fhir/Patient", {"Content-Length": "99999999"}, _unread)
    assert answer.status == 413


async def test_a_caller_who_leaves_is_logged_and_not_answered() -> None:
    server = Server()
    answer = await server.exchange("POST", "/fhir/Patient", {}, _gone)
    assert answer.status == 0
    assert json.loads(server.logged.getvalue())["status"] == 499
    assert server.seen is None


async def test_a_body_in_pieces_is_one() -> None:
    server = Server()
    await server.call("POST", "/fhir/Patient", {}, [b'{"resource', b"", b'Type":"Patient"}'])
    assert server.seen is not None
    assert server.seen.body == {"resourceType": "Patient"}


async def test_the_context_has_base_url_request_id_and_the_wish_for_an_asynchronous_answer() -> None:
    server = Server()
    await server.call("GET", "/fhir/$export", {"Prefer": "respond-async", "X-Request-Id": "r"})
    assert server.context is not None
    assert (server.context.base_url, server.context.request_id) == (BASE, "r")
    assert server.context.state["respond_async"] is True


@pytest.mark.parametrize(
    ("encoding", "browser", "size", "packed"),
    [
        ("gzip, br", True, 9000, True),
        ("gzip, br", True, 900, False),
        ("gzip, br", False, 9000, False),
        ("br", True, 9000, False),
        ("", True, 9000, False),
    ],
)
async def test_compression_is_for_browsers(encoding: str, browser: bool, size: int, packed: bool) -> None:
    text = json.dumps({"resourceType": "Basic", "id": "x" * size}).encode()
    server = Server(FhirResponse(text=text))
    headers = {"Accept-Encoding": encoding} | ({"Sec-Fetch-Mode": "cors"} if browser else {})
    answer = await server.call("GET", "/fhir/Basic/1", headers)
    assert (answer.headers.get("content-encoding") == "gzip") == packed
    assert (gzip.decompress(answer.body) if packed else answer.body) == text
    assert int(answer.headers["content-length"]) == len(answer.body)


async def test_an_allowed_origin_may_read_and_write_and_another_may_not() -> None:
    allowed = frozenset({b"https://app.example"})
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "PUT"}
    preflight = await Server(allowed_origins=allowed).call("OPTIONS", "/fhir/Patient/1", asked)
    assert preflight.status == 204
    assert "PUT" in preflight.headers["access-control-allow-methods"]
    answer = await Server(allowed_origins=allowed).call("PUT", "/fhir/Patient/1", asked, b"{}")
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "ETag" in answer.headers["access-control-expose-headers"]
    foreign = await Server(allowed_origins=allowed).call("GET", "/fhir/Patient/1", {"Origin": "https://other.example"})
    assert "access-control-allow-origin" not in foreign.headers


async def test_other_protocols_are_left_alone() -> None:
    async def send(_: Any) -> None:
        raise AssertionError("nothing is sent")

    await Server().app({"type": "websocket"}, _unread, send)


async def _never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def _unread() -> Message:
    raise AssertionError("the body was read")


async def _gone() -> Message:
    return {"type": "http.disconnect"}
