"""message: the notification as the content of a FHIR message. https://hl7.org/fhir/R4/messaging.html#process"""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

from subscriptions import wire
from subscriptions.channel import Channel, Outlets, Post
from subscriptions.channels.rest_hook import check, request

Json = dict[str, Any]

OPERATION = "$process-message"
EVENTS = "http://hl7.org/fhir/subscription-notification-type"  # handshake, heartbeat, event-notification
# The same notification makes the same ids, so that a receiver can drop a message that comes again.
_NAMESPACE = uuid.UUID("6f1bb2c4-6d6e-4ac0-9b0e-5a51c2d6c3a9")


def message(post: Post, base_url: str) -> Json:
    """The message Bundle: a MessageHeader, and the notification as its focus."""
    subscription = post.subscription
    numbers = ",".join(map(str, post.events)) or uuid.uuid4().hex
    name = f"{base_url}/Subscription/{subscription.id} {post.kind} {numbers}"
    header: Json = {
        "resourceType": "MessageHeader",
        "id": str(uuid.uuid5(_NAMESPACE, f"{name} header")),
        "eventCoding": {"system": EVENTS, "code": post.kind},
        "destination": [{"endpoint": _base(subscription.endpoint)}],
        "source": {"name": "FHIR server", "endpoint": base_url},
    }
    entries = [header]
    if (content := _content(post)) is not None:
        header["focus"] = [{"reference": f"{content['resourceType']}/{content['id']}"}]
        entries.append(content)
    return {
        "resourceType": "Bundle",
        "id": str(uuid.uuid5(_NAMESPACE, f"{name} message")),
        "type": "message",
        "entry": [{"fullUrl": f"{base_url}/{one['resourceType']}/{one['id']}", "resource": one} for one in entries],
    }


async def send(post: Post, outlets: Outlets) -> None:
    """Have the endpoint process the message. Raises DeliveryFailed."""
    subscription = post.subscription
    body, content_type = wire.encode(message(post, outlets.base_url), subscription.payload)
    url = urlunsplit(_parts(subscription.endpoint))
    await request(post, outlets, url, wire.Message("POST", "", body, content_type))


def _content(post: Post) -> Json | None:
    """The notification; for R4's own subscriptions the resource, where there is to be one."""
    if not post.subscription.is_plain:
        return post.bundle
    entries = post.bundle["entry"][1:] if post.subscription.payload else []
    return next((entry["resource"] for entry in entries if "resource" in entry), None)


def _parts(endpoint: str) -> SplitResult:
    """The operation's URL: an endpoint is the base of a FHIR server, or names the operation itself."""
    parts = urlsplit(endpoint)
    path = parts.path.rstrip("/").removesuffix(OPERATION).rstrip("/")
    return parts._replace(path=f"{path}/{OPERATION}")


def _base(endpoint: str) -> str:
    parts = _parts(endpoint)
    return urlunsplit(parts._replace(path=parts.path.removesuffix(f"/{OPERATION}"), query=""))


CHANNEL = Channel("message", check, send)
