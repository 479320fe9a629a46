"""A Subscription as the engine and the channels read it.

https://hl7.org/fhir/R4/subscription.html · https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Content = Literal["empty", "id-only", "full-resource"]


@dataclass(frozen=True, slots=True)
class FilterBy:
    """One filter: criteria on a type of the topic ("Encounter", "patient=Patient/1"). Filters are ANDed."""

    type: str  # "" is every type of the topic's
    criteria: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """A Subscription that was found valid. Times are microseconds since 1970, seconds where it says so.

    A topic-based one has `topic`; R4's own has `criteria` ("Observation?code=…") and no topic. `channel` is the name
    of a file in channels/: rest-hook, websocket, email, message, socketio. `content` is what a notification carries,
    "" for R4's own subscriptions that have no payload.
    """

    id: str
    version: int
    status: str  # requested, active, error, off
    channel: str
    topic: str = ""
    criteria: str = ""
    filters: tuple[FilterBy, ...] = ()
    endpoint: str = ""
    payload: str = ""  # MIME type of channel.payload
    content: Content | Literal[""] = ""
    headers: tuple[str, ...] = ()
    heartbeat: int = 0  # seconds; 0: none asked for
    timeout: int = 0  # seconds that one delivery may take; 0: the server's own choice
    max_count: int = 1  # events in one notification
    end: int = 0
    contact: tuple[str, ...] = ()
    error: str = ""
