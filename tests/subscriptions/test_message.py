"""Point 4: the channel message: the notification is the content of a FHIR message."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from fhir_server import xml
from fhir_server.config import Settings
from fhir_server.outcomes import Unprocessable
from fhir_server.validation import Level, Validator
from subscriptions.channel import DeliveryFailed
from subscriptions.channels.message import EVENTS, message, send
from subscriptions.channels.rest_hook import check
from tests.subscriptions.receiver import Request, receiving
from tests.subscriptions.stage import BASE
from tests.subscriptions.test_rest_hook import FOCUS, OPEN, outlets, plain, post, subscription

Json = dict[str, Any]


async def test_4_a_message_with_the_notification_as_its_focus() -> None:
    async with receiving() as there, outlets() as out:
        base = there.url.removesuffix("/notify")
        await send(post(subscription(f"{base}/fhir/", type="message", header=["X-Key: word"])), out)
        request = there.taken[0]
    assert (request.method, request.path) == ("POST", "/fhir/$process-message")
    assert (request.header("Content-Type"), request.header("X-Key")) == ("application/fhir+json", "word")
    bundle = request.resource
    assert bundle["type"] == "message"
    header, content = (entry["resource"] for entry in bundle["entry"])
    assert header["resourceType"] == "MessageHeader"
    assert header["eventCoding"] == {"system": EVENTS, "code": "event-notification"}
    assert header["source"]["endpoint"] == BASE
    assert header["destination"] == [{"endpoint": f"{base}/fhir"}]
    assert content["type"] == "history"
    assert header["focus"] == [{"reference": f"Bundle/{content['id']}"}]
    assert bundle["entry"][1]["fullUrl"].endswith(header["focus"][0]["reference"])


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        ("", "/$process-message"),
        ("/fhir", "/fhir/$process-message"),
        ("/fhir/$process-message", "/fhir/$process-message"),
        ("/fhir?async=true", "/fhir/$process-message?async=true"),
    ],
)
async def test_4_the_operation_of_the_endpoint_is_called(endpoint: str, path: str) -> None:
    async with receiving() as there, outlets() as out:
        await send(post(subscription(there.url.removesuffix("/notify") + endpoint, type="message")), out)
        assert [request.path for request in there.taken] == [path]


async def test_4_a_message_in_xml() -> None:
    async with receiving() as there, outlets() as out:
        await send(post(subscription(there.url, type="message", payload="application/fhir+xml")), out)
        request = there.taken[0]
    assert request.header("Content-Type") == "application/fhir+xml"
    assert xml.decode(request.body)["type"] == "message"


async def nothing(type_: str, id_: str) -> Json | None:
    return None


NOBODY: Any = None  # to be asked for definitions and terminology


async def test_4_a_message_is_valid() -> None:
    made = message(post(plain("https://fhir.example", "application/fhir+json")), BASE)
    assert made["entry"][1]["resource"] == FOCUS
    validator = Validator(NOBODY, Level.INVARIANTS, {})
    issues = await validator.check(made, nothing, expect_type="Bundle")
    assert [issue.diagnostics for issue in issues if issue.severity == "error"] == []


def test_11_the_same_events_make_the_same_message() -> None:
    first, again = (message(post(subscription("https://fhir.example", type="message")), BASE) for _ in range(2))
    other = message(post(subscription("https://fhir.example", type="message"), "event-notification", 2), BASE)
    assert first["entry"][0]["resource"]["id"] == again["entry"][0]["resource"]["id"]
    assert first["entry"][0]["resource"]["id"] != other["entry"][0]["resource"]["id"]


def test_4_r4_without_payload_is_a_header_alone() -> None:
    made = message(post(plain("https://fhir.example")), BASE)
    assert len(made["entry"]) == 1
    assert "focus" not in made["entry"][0]["resource"]


async def test_2_a_message_that_is_not_taken_has_failed() -> None:
    async def answer(request: Request) -> int:
        return 500

    async with receiving(answer) as there, outlets() as out:
        with pytest.raises(DeliveryFailed, match="500"):
            await send(post(subscription(there.url, type="message")), out)


def test_3_its_endpoint_is_guarded() -> None:
    subscribed = subscription("https://fhir.example", type="message")
    check(subscribed, Settings())
    with pytest.raises(Unprocessable):
        check(dataclasses.replace(subscribed, endpoint="https://[::1]/"), Settings())
    check(dataclasses.replace(subscribed, endpoint="https://[::1]/"), OPEN)
