"""Point 4: the channel email, against a real SMTP server on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from email.message import Message
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP

from fhir_server import json, xml
from fhir_server.config import Settings
from fhir_server.outcomes import Unprocessable
from fhir_server.storage.clock import Clock
from fhir_server.storage.database import Database
from subscriptions.allowance import Allowance
from subscriptions.channel import DeliveryFailed, Kind, Outlets
from subscriptions.channels.email import check, send
from subscriptions.subscription import Subscription
from tests.smart_auth.test_reset import Box, delivering
from tests.subscriptions.stage import BASE, resource, stage
from tests.subscriptions.test_rest_hook import FOCUS, post, subscription

AT_ONCE, SECONDS = 10, 360  # by the setting's default: in no hour more than 20


@pytest.fixture
async def box() -> AsyncIterator[Box]:
    async with delivering() as found:
        yield found


def mailing(port: int) -> Settings:
    return Settings(smtp_url=f"smtp://127.0.0.1:{port}", mail_from="no-reply@clinic.example", service_name="Clinic")


def to(payload: str = "text/plain", address: str = "mailto:ana@mail.example") -> Subscription:
    return subscription(address, type="email", payload=payload, content="full-resource")


async def sent(box: Box, subscribed: Subscription, kind: Kind = "event-notification", *numbers: int) -> Message:
    outlets = Outlets.of(mailing(box.port), BASE)
    await send(post(subscribed, kind, *numbers), outlets)
    await outlets.http.close()
    return box.messages[-1]


async def test_4_an_address_gets_so_many_and_the_others_wait(
    box: Box, mongo_uri: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(mongo_uri, database, smtp_url=f"smtp://127.0.0.1:{box.port}", mail_from="a@b.example") as play:
        await play.database.system["sub_mail"].delete_many({})
        channel = {"type": "email", "payload": "text/plain"}
        await play.subscribe("many", resource("mailto:Stranger@mail.example", **channel))
        await play.subscribe("tagged", resource("mailto:stranger+tag@mail.example", **channel))
        await play.subscribe("other", resource("mailto:other@mail.example", **channel))
        async with play.deliverers():
            await play.happen("many", AT_ONCE + 2)
            row = await play.until_row("many", lambda row: row["sent"] == AT_ONCE and "holder" not in row)
            assert row["due"] > Clock().now() + (SECONDS - 60) * 1_000_000
            assert row["status"] == "active"
            assert "attempts" not in row
            await play.happen("tagged", 1)
            await play.happen("other", 1)
            await play.until_row("other", lambda row: row["sent"] == 1)
            await play.until_row("tagged", lambda row: "holder" not in row and row.get("due", 0) > Clock().now())
            assert len(box.messages) == AT_ONCE + 1
            # An hour later.
            earlier = [{"$set": {"until": {"$subtract": ["$until", 3_600_000]}}}]
            await play.database.system["sub_mail"].update_many({}, earlier)
            await play.database.system["sub_active"].update_many({}, {"$set": {"due": 1}})
            await play.until_row("many", lambda row: row["sent"] == AT_ONCE + 2)
            await play.until_row("tagged", lambda row: row["sent"] == 1)
    assert len(box.messages) == AT_ONCE + 4


async def test_4_no_hour_has_more_than_twenty(mongo_uri: str, database: str) -> None:
    opened = Database(mongo_uri, database)
    allowance = Allowance(opened)
    waits = await asyncio.gather(*(allowance.take("busy@mail.example") for _ in range(AT_ONCE + 5)))
    assert sorted(waits)[:AT_ONCE] == [0.0] * AT_ONCE
    assert all(SECONDS - 60 < one <= SECONDS for one in sorted(waits)[AT_ONCE:])
    await opened.close()


def parts(message: Message) -> dict[str, bytes]:
    found: dict[str, Any] = {
        part.get_content_type(): part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()
    }
    return found


async def test_4_a_text_for_people(box: Box) -> None:
    message = await sent(box, to())
    assert (message["To"], message["From"]) == ("ana@mail.example", "no-reply@clinic.example")
    assert message["Subject"] == "Clinic: notification of a subscription"
    assert set(parts(message)) == {"text/plain"}
    text = parts(message)["text/plain"].decode()
    assert "Event 1 of a subscription" in text
    assert "Subscription/s1" in text


async def test_5_several_events(box: Box) -> None:
    message = await sent(box, to(), "event-notification", 4, 5, 6)
    assert "Events 4 to 6" in parts(message)["text/plain"].decode()


@pytest.mark.parametrize("kind", ["handshake", "heartbeat"])
async def test_2_a_handshake_and_a_heartbeat_say_what_they_are(box: Box, kind: Kind) -> None:
    event, other = await sent(box, to()), await sent(box, to(), kind)
    assert event["Subject"] != other["Subject"]
    assert "vent 1" not in parts(other)["text/plain"].decode()


async def test_4_text_and_html(box: Box) -> None:
    message = await sent(box, to("text/html"))
    assert set(parts(message)) == {"text/plain", "text/html"}


@pytest.mark.parametrize("payload", ["text/plain;attach=application/fhir+json", "application/fhir+json"])
async def test_4_the_notification_is_attached_when_the_payload_says_so(box: Box, payload: str) -> None:
    message = await sent(box, to(payload))
    found = parts(message)
    assert set(found) == {"text/plain", "application/fhir+json"}
    assert json.decode(found["application/fhir+json"])["entry"][1]["resource"] == FOCUS
    names = [part.get_filename() for part in message.walk() if part.get_filename()]
    assert names == ["notification.json"]


async def test_4_xml_is_attached_too(box: Box) -> None:
    found = parts(await sent(box, to("text/html;attach=application/fhir+xml")))
    assert set(found) == {"text/plain", "text/html", "application/fhir+xml"}
    assert xml.decode(found["application/fhir+xml"])["entry"][1]["resource"] == FOCUS


async def test_7_subject_and_text_hold_nothing_of_the_resource(box: Box) -> None:
    for payload in ("text/plain", "text/html", "text/plain;attach=application/fhir+json"):
        message = await sent(box, to(payload))
        said = "".join(text.decode() for type_, text in parts(message).items() if type_.startswith("text/"))
        for word in ("über", "b1", "Basic"):
            assert word not in said + str(message["Subject"])


class Refusing(Box):
    """Takes nothing for anybody."""

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        return "550 no such user"


async def test_2_a_mail_server_that_refuses_has_failed() -> None:
    refusing = Refusing()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(refusing), "127.0.0.1", 0)
    refusing.port = server.sockets[0].getsockname()[1]
    with pytest.raises(DeliveryFailed) as caught:
        await sent(refusing, to())
    server.close()
    assert caught.value.reason == "The mail server refused the recipient."
    assert refusing.messages == []


async def test_2_no_mail_server_has_failed() -> None:
    async with delivering() as box:
        pass
    with pytest.raises(DeliveryFailed, match="did not take"):
        await sent(box, to())


def test_3_a_server_without_mail_says_so() -> None:
    with pytest.raises(Unprocessable) as caught:
        check(to(), Settings())
    assert caught.value.issues[0].expression == ("Subscription.channel.type",)
    check(to(), mailing(25))
