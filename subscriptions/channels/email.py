"""email: a text for people, and the notification attached where the payload asks for it.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/channels.html#email
"""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from html import escape
from urllib.parse import unquote

from fhir_server.config import Settings
from fhir_server.mail import Mail
from fhir_server.outcomes import Unprocessable
from subscriptions import payload
from subscriptions.channel import Channel, DeliveryFailed, Outlets, Post, Postponed
from subscriptions.subscription import Subscription

_FOR_PEOPLE = ("text/plain", "text/html", "")


def check(subscription: Subscription, settings: Settings) -> None:
    """Raise Unprocessable when this server sends no e-mail."""
    if not Mail(settings).is_configured:
        where = ["Subscription.channel.type"]
        raise Unprocessable("This server is not configured to send e-mail.", code="not-supported", expression=where)


async def send(post: Post, outlets: Outlets) -> None:
    """Hand it to the mail server. Raises DeliveryFailed, and Postponed when the address has had enough for now."""
    try:
        message = compose(post, outlets)
        if outlets.allowance is not None and (wait := await outlets.allowance.take(str(message["To"]))):
            raise Postponed(wait)
        await outlets.mail.send(message)
    except smtplib.SMTPRecipientsRefused:
        raise DeliveryFailed("The mail server refused the recipient.") from None
    except (OSError, smtplib.SMTPException, ValueError):
        raise DeliveryFailed("The mail server did not take the e-mail.") from None


def compose(post: Post, outlets: Outlets) -> EmailMessage:
    """The e-mail: its subject and text hold nothing of any resource. Raises ValueError for an odd address."""
    subscription = post.subscription
    to = unquote(subscription.endpoint.removeprefix("mailto:"))
    service = outlets.settings.service_name
    message = outlets.mail.message(to, f"{service}: {_SUBJECTS[post.kind]}", _text(post, service))
    type_, parameters = payload.parse(subscription.payload)
    if type_ == "text/html":
        paragraphs = _text(post, service).strip().split("\n\n")
        message.add_alternative("".join(f"<p>{escape(one)}</p>\n" for one in paragraphs), subtype="html")
    if post.message.body and ("attach" in parameters or type_ not in _FOR_PEOPLE):
        main, _, sub = (parameters.get("attach") or type_).partition("/")
        name = f"notification.{'xml' if payload.is_xml(subscription.payload) else 'json'}"
        message.add_attachment(post.message.body, maintype=main, subtype=sub, filename=name)
    return message


_SUBJECTS = {
    "handshake": "a subscription begins",
    "heartbeat": "a subscription is alive",
    "event-notification": "notification of a subscription",
}


def _text(post: Post, service: str) -> str:
    """What it is about, in words: which subscription, and which of its events."""
    numbers = post.events
    if post.kind == "handshake":
        what = "From now on, this address gets the notifications of a subscription."
    elif post.kind == "heartbeat":
        what = "Nothing has happened that a subscription of this address is to be notified of."
    elif len(numbers) == 1:
        what = f"Event {numbers[0]} of a subscription has happened."
    else:
        what = f"Events {numbers[0]} to {numbers[-1]} of a subscription have happened."
    return f"{what}\n\nSubscription/{post.subscription.id} at {service}. Sign in there to see more.\n"


CHANNEL = Channel("email", check, send)
