"""A channel: how notifications leave. Each file of channels/ declares one as CHANNEL; presence registers it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from fhir_server.config import Settings
from fhir_server.mail import Mail
from subscriptions import channels
from subscriptions.allowance import Allowance
from subscriptions.endpoint import Guarded
from subscriptions.subscription import Subscription
from subscriptions.wire import Message

Json = dict[str, Any]
Kind = Literal["handshake", "heartbeat", "event-notification"]

SECONDS = 20  # that one delivery may take when the subscription does not say
MOST_SECONDS = 30  # whatever it says


class DeliveryFailed(Exception):
    """It did not arrive; `reason` goes into Subscription.error, so it repeats no content and no address.

    `gone` says that the endpoint never wants to hear of it again.
    """

    def __init__(self, reason: str, *, gone: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.gone = gone


class Postponed(Exception):
    """It must not be sent yet, and nothing has failed; it waits for so many `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Post:
    """One notification on its way: its Bundle, and `message`, how it is written on the wire."""

    subscription: Subscription
    kind: Kind
    bundle: Json
    message: Message
    events: tuple[int, ...] = ()  # the numbers that it tells of

    @property
    def seconds(self) -> float:
        """How long its delivery may take: as the subscription says, within reason."""
        return float(min(self.subscription.timeout or SECONDS, MOST_SECONDS))


@dataclass(frozen=True, slots=True)
class Outlets:
    """What channels send through."""

    http: Guarded
    mail: Mail
    settings: Settings
    base_url: str
    allowance: Allowance | None = None  # of e-mails; None: as many as there are

    @classmethod
    def of(cls, settings: Settings, base_url: str, allowance: Allowance | None = None) -> Outlets:
        """Those of the settings."""
        guarded = Guarded(allow_private=settings.allow_private_endpoints)
        return cls(guarded, Mail(settings), settings, base_url, allowance)


Check = Callable[[Subscription, Settings], None]
Send = Callable[[Post, Outlets], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Channel:
    """`check` raises Unprocessable for a Subscription that cannot use it; `send` raises DeliveryFailed or Postponed.

    Without `send` its clients come and read events themselves.
    """

    name: str  # as Subscription.channel says it
    check: Check
    send: Send | None = None


@lru_cache(1)
def all_channels() -> dict[str, Channel]:
    """Every channel by name."""
    found = {}
    for module in pkgutil.iter_modules(channels.__path__, channels.__name__ + "."):
        channel = getattr(importlib.import_module(module.name), "CHANNEL", None)
        if isinstance(channel, Channel):
            found[channel.name] = channel
    return found
