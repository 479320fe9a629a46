"""Points 3, 4, 5 and 8: the channel rest-hook, against a real server on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fhir_server import xml
from fhir_server.config import Settings
from fhir_server.outcomes import Unprocessable
from subscriptions import wire
from subscriptions.channel import DeliveryFailed, Kind, Outlets, Post, all_channels
from subscriptions.channels.rest_hook import CHANNEL, check, send
from subscriptions.subscription import Subscription, parse
from tests.subscriptions.receiver import Request, receiving
from tests.subscriptions.stage import BASE, resource

Json = dict[str, Any]
OPEN = Settings(allow_private_endpoints=True)
FOCUS = {"resourceType": "Basic", "id": "b1", "code": {"text": "über"}}


def subscription(endpoint: str, **channel: Any) -> Subscription:
    return parse({"resourceType": "Subscription", "id": "s1", **resource(endpoint, **channel)})


def plain(endpoint: str, payload: str = "") -> Subscription:
    """R4's own form."""
    channel = {"type": "rest-hook", "endpoint": endpoint, **({"payload": payload} if payload else {})}
    return parse(
        {
            "resourceType": "Subscription",
            "id": "s1",
            "status": "active",
            "reason": "test",
            "criteria": "Basic?code=a",
            "channel": channel,
        }
    )


def bundle(kind: str = "event-notification", *numbers: int) -> Json:
    """A notification with one resource."""
    status = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "type", "valueCode": kind},
            *(
                {"name": "notification-event", "part": [{"name": "event-number", "valueString": str(number)}]}
                for number in numbers
            ),
        ],
    }
    return {
        "resourceType": "Bundle",
        "id": "n1",
        "type": "history",
        "entry": [{"resource": status}, {"fullUrl": f"{BASE}/Basic/b1", "resource": FOCUS}],
    }


def post(subscribed: Subscription, kind: Kind = "event-notification", *numbers: int) -> Post:
    """The notification as the courier makes it."""
    made = bundle(kind, *(numbers or (1,)))
    message = wire.message(subscribed, made)
    assert message is not None
    return Post(subscribed, kind, made, message, numbers or (1,))


@asynccontextmanager
async def outlets(settings: Settings = OPEN) -> AsyncIterator[Outlets]:
    made = Outlets.of(settings, BASE)
    yield made
    await made.http.close()


def test_4_channels_are_found_by_presence() -> None:
    assert all_channels()["rest-hook"] is CHANNEL
    assert {"rest-hook", "email", "message"} <= set(all_channels())
    assert all(name == channel.name for name, channel in all_channels().items())


async def test_5_the_bundle_is_posted_with_its_headers_and_type() -> None:
    headers = ["Authorization: Bearer word", "X-Key:  a: b ", "X-Key: second", "X-Empty:"]
    async with receiving() as there, outlets() as out:
        await send(post(subscription(f"{there.url}?a=b%20c", header=headers)), out)
        request = there.taken[0]
    assert (request.method, request.path) == ("POST", "/notify?a=b%20c")
    assert request.header("Content-Type") == "application/fhir+json"
    assert request.resource["type"] == "history"
    given = [pair for pair in request.headers if pair[0].startswith("X-") or pair[0] == "Authorization"]
    assert given == [("Authorization", "Bearer word"), ("X-Key", "a: b"), ("X-Key", "second"), ("X-Empty", "")]


@pytest.mark.parametrize("mime", ["application/fhir+xml", "application/xml", "application/fhir+xml;charset=utf-8"])
async def test_5_xml_when_the_payload_says_so(mime: str) -> None:
    async with receiving() as there, outlets() as out:
        await send(post(subscription(there.url, payload=mime)), out)
        request = there.taken[0]
    assert request.header("Content-Type") == mime
    assert xml.decode(request.body)["entry"][1]["resource"] == FOCUS


async def test_4_r4_without_payload_is_an_empty_post() -> None:
    async with receiving() as there, outlets() as out:
        await send(post(plain(there.url)), out)
        request = there.taken[0]
    assert (request.method, request.path, request.body, request.header("Content-Type")) == ("POST", "/notify", b"", "")


async def test_4_r4_with_payload_is_an_update_below_the_endpoint() -> None:
    async with receiving() as there, outlets() as out:
        await send(post(plain(f"{there.url}/?key=1", "application/fhir+json")), out)
        request = there.taken[0]
    assert (request.method, request.path) == ("PUT", "/notify/Basic/b1?key=1")
    assert request.resource == FOCUS


@pytest.mark.parametrize("status", [302, 400, 401, 404, 409, 410, 429, 500, 503])
async def test_2_what_is_not_2xx_has_failed(status: int) -> None:
    async def answer(request: Request) -> int:
        return status

    async with receiving(answer) as there, outlets() as out:
        with pytest.raises(DeliveryFailed) as caught:
            await send(post(subscription(there.url)), out)
    assert caught.value.reason == f"The endpoint answered with status {status}."
    assert caught.value.gone == (status == 410)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_2_every_2xx_has_arrived(status: int) -> None:
    async def answer(request: Request) -> int:
        return status

    async with receiving(answer) as there, outlets() as out:
        await send(post(subscription(there.url)), out)
        assert len(there.taken) == 1


async def test_5_the_timeout_of_the_subscription_holds() -> None:
    async def hang(request: Request) -> int:
        await end.wait()
        return 200

    end = asyncio.Event()
    url = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-timeout"
    async with receiving(hang) as there, outlets() as out:
        subscribed = subscription(there.url, extension=[{"url": url, "valueUnsignedInt": 1}])
        with pytest.raises(DeliveryFailed, match="within 1 seconds"):
            await send(post(subscribed), out)
        end.set()


async def test_2_nobody_there_names_no_address() -> None:
    async with receiving() as there:
        url = there.url
    async with outlets() as out:
        with pytest.raises(DeliveryFailed) as caught:
            await send(post(subscription(url)), out)
    assert "127" not in caught.value.reason


async def test_8_a_header_that_was_stored_before_is_looked_at_again() -> None:
    async with receiving() as there, outlets() as out:
        sent = post(subscription(there.url))
        object.__setattr__(sent.subscription, "headers", ("X-Key: a\r\nX-Evil: 1",))
        with pytest.raises(DeliveryFailed):
            await send(sent, out)
        assert there.requests == []


async def test_8_private_endpoints_are_refused_when_it_is_sent_too() -> None:
    async with receiving() as there, outlets(Settings()) as out:
        with pytest.raises(DeliveryFailed, match="https"):
            await send(post(subscription(there.url)), out)
        assert there.requests == []


def test_3_a_forbidden_endpoint_is_refused_with_its_place() -> None:
    for endpoint in ("https://127.0.0.1/", "http://hooks.example/", "https://2130706433/", "https://169.254.169.254/"):
        with pytest.raises(Unprocessable) as caught:
            check(subscription(endpoint), Settings())
        assert caught.value.issues[0].expression == ("Subscription.channel.endpoint",)
        assert caught.value.status == 422
    check(subscription("https://hooks.example/"), Settings())
    check(subscription("http://127.0.0.1:8000/"), OPEN)
