"""A notification as bytes, and as the HTTP request that carries it.

https://hl7.org/fhir/R4/subscription.html · https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/channels.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fhir_server import json, xml
from subscriptions import payload
from subscriptions.subscription import Subscription

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One request to a rest-hook: `path` goes below the endpoint: "" or "Observation/7"."""

    method: str
    path: str
    body: bytes
    content_type: str  # "" when there is no body


def encode(resource: Json, mime: str = payload.JSON) -> tuple[bytes, str]:
    """The resource in JSON or XML, and its Content-Type: exactly what channel.payload asks for.

    Of an e-mail's type, the form is that of what is attached, and so is the Content-Type.
    """
    type_, parameters = payload.parse(mime or payload.JSON)
    content_type = parameters.get("attach", mime or payload.JSON)
    if type_.startswith("text/") and "attach" not in parameters:
        content_type = payload.JSON
    return (xml.encode(resource) if payload.is_xml(mime) else json.encode(resource)), content_type


def message(subscription: Subscription, bundle: Json) -> Message | None:
    """What a rest-hook is sent for a Bundle of Notifications; None when R4's own form has nothing to send.

    A Bundle is POSTed to the endpoint. R4's own form has no handshake and no heartbeat; an event is a POST without
    content, or, where there is a payload, the resource as an update below the endpoint.
    """
    if not subscription.is_plain:
        body, content_type = encode(bundle, subscription.payload)
        return Message("POST", "", body, content_type)
    if kind(bundle) != "event-notification":
        return None
    resource = next((entry["resource"] for entry in bundle["entry"][1:] if "resource" in entry), None)
    if not subscription.payload or resource is None:
        return Message("POST", "", b"", "")
    body, content_type = encode(resource, subscription.payload)
    return Message("PUT", f"{resource['resourceType']}/{resource['id']}", body, content_type)


def kind(bundle: Json) -> str:
    """The type of a notification: "handshake", "heartbeat", "event-notification"."""
    return str(parameter(bundle, "type")["valueCode"])


def parameter(bundle: Json, name: str) -> Json:
    """The first parameter of this name in a notification's status; {} when there is none."""
    listed: list[Json] = bundle["entry"][0]["resource"]["parameter"]
    return next((one for one in listed if one["name"] == name), {})


def numbers(bundle: Json) -> list[int]:
    """The numbers of the events that a notification tells of, in its order."""
    listed: list[Json] = bundle["entry"][0]["resource"]["parameter"]
    events = (one["part"] for one in listed if one["name"] == "notification-event")
    return [int(part["valueString"]) for parts in events for part in parts if part["name"] == "event-number"]
