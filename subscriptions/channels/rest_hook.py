"""rest-hook: an HTTP request to the subscriber's endpoint. https://hl7.org/fhir/R4/subscription.html#2.46.7.1"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from fhir_server.config import Settings
from fhir_server.outbound import Refused
from fhir_server.outcomes import Unprocessable
from subscriptions.address import header_problem
from subscriptions.channel import Channel, DeliveryFailed, Outlets, Post
from subscriptions.endpoint import Header, check_url
from subscriptions.subscription import Subscription
from subscriptions.wire import Message

_GONE = 410


def check(subscription: Subscription, settings: Settings) -> None:
    """Raise Unprocessable for an endpoint that is never connected to, as far as its text tells."""
    try:
        check_url(subscription.endpoint, allow_private=settings.allow_private_endpoints)
    except Refused as refused:
        raise Unprocessable(str(refused), expression=["Subscription.channel.endpoint"]) from None


async def send(post: Post, outlets: Outlets) -> None:
    """Send it to the endpoint, or to the path below it. Raises DeliveryFailed."""
    await request(post, outlets, _below(post.subscription.endpoint, post.message.path), post.message)


async def request(post: Post, outlets: Outlets, url: str, message: Message) -> None:
    """One request with the subscription's headers. Raises DeliveryFailed unless it is answered with 2xx."""
    try:
        status = await outlets.http.send(
            message.method,
            url,
            headers=_headers(post.subscription),
            content_type=message.content_type,
            body=message.body,
            seconds=post.seconds,
        )
    except Refused as refused:
        raise DeliveryFailed(str(refused)) from None
    if not 200 <= status < 300:
        raise DeliveryFailed(f"The endpoint answered with status {status}.", gone=status == _GONE)


def _headers(subscription: Subscription) -> list[Header]:
    """What channel.header says; it was checked when it was written, and is again."""
    found = []
    for header in subscription.headers:
        if problem := header_problem(header):
            raise DeliveryFailed(problem)
        name, _, value = header.partition(":")
        found.append((name, value.strip()))
    return found


def _below(endpoint: str, path: str) -> str:
    if not path:
        return endpoint
    parts = urlsplit(endpoint)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{path}"))


CHANNEL = Channel("rest-hook", check, send)
