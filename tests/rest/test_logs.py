"""Logs tell what happened and nothing of what a caller sent."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.rest import logs
from fhir_server.rest.logs import RequestLog
from tests.rest.driver import Server

SECRETS = ("Mustermann", "1984-02-29", "patient-4711", "Bearer", "s3cret", "10.9.8.7")


@pytest.fixture
def lines() -> Iterator[io.BytesIO]:
    """Everything that is logged by whatever means."""
    stream = io.BytesIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    logs.configure("debug", stream)
    yield stream
    root.handlers, level = before
    root.setLevel(level)
    structlog.reset_defaults()


class Talking(Server):
    """A dispatch that fails with content in its message."""

    async def _dispatch(self, ctx: Context, request: FhirRequest) -> FhirResponse:
        await super()._dispatch(ctx, request)
        request.interaction, request.type, request.operation = "operation", "Patient", "Mustermann"
        raise ValueError(f"Mustermann {request.body}")


async def ask(server: Server) -> None:
    headers = {"Authorization": "Bearer s3cret", "X-Forwarded-For": "10.9.8.7", "X-Request-Id": "r-1"}
    body = b'{"resourceType":"Patient","name":[{"family":"Mustermann"}],"birthDate":"1984-02-29"}'
    await server.call("PUT", "/fhir/Patient/patient-4711?family=Mustermann", headers, body)
    await server.call("GET", "/fhir/Mustermann?birthdate=1984-02-29", headers)
    await server.call("MUSTERMANN", "/fhir/Patient/patient-4711", headers)


async def test_nothing_that_was_sent_is_logged(lines: io.BytesIO) -> None:
    for server in (Server(), Talking()):
        await ask(server)
        written = (server.logged.getvalue() + lines.getvalue()).decode()
        assert written
        assert not [secret for secret in SECRETS if secret.lower() in written.lower()]


async def test_a_request_is_one_line() -> None:
    server = Server(FhirResponse(text=b"{}"))
    await server.call("GET", "/fhir/Patient/1", {"X-Request-Id": "r-1"})
    line = json.loads(server.logged.getvalue())
    assert server.logged.getvalue().count(b"\n") == 1
    assert line.pop("ms") >= 0
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "info",
        "event": "request",
        "request_id": "r-1",
        "method": "GET",
        "interaction": "",
        "type": "",
        "status": 200,
        "bytes": 2,
    }


@pytest.mark.parametrize(("level", "status", "written"), [("info", 200, 1), ("warning", 404, 0), ("error", 503, 1)])
def test_the_level_decides(level: str, status: int, written: int) -> None:
    stream = io.BytesIO()
    log = RequestLog(stream, level)
    log.write(request_id="r", method="GET", interaction="read", type_="Patient", status=status, seconds=0.1, size=1)
    assert stream.getvalue().count(b"\n") == written


def test_every_kind_of_log_is_json(lines: io.BytesIO) -> None:
    structlog.get_logger().warning("watch", count=3)
    logging.getLogger("uvicorn.error").info("Started %s", "it")
    try:
        raise ValueError("Mustermann")
    except ValueError:
        logging.getLogger("anything").exception("failed")
        structlog.get_logger().exception("failed too")
    written: list[dict[str, Any]] = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [line["event"] for line in written] == ["watch", "Started it", "failed", "failed too"]
    assert [line.get("exception") for line in written] == [None, None, "ValueError", "ValueError"]
    assert "Mustermann" not in lines.getvalue().decode()
