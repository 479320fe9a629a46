"""websocket: clients connect and are told, in R4's way or the backport guide's (subscriptions/sockets.py).

https://hl7.org/fhir/R4/subscription.html#2.46.7.2
https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/channels.html#websockets
"""

from __future__ import annotations

from fhir_server.config import Settings
from fhir_server.outcomes import Unprocessable
from subscriptions.channel import Channel
from subscriptions.subscription import Subscription


def check(subscription: Subscription, settings: Settings) -> None:
    """Raise Unprocessable for headers, which nothing could carry; R4 lets an endpoint be named, which is not used."""
    if subscription.headers:
        text = "Nothing that is sent over a websocket has headers."
        raise Unprocessable(text, expression=["Subscription.channel.header"])


CHANNEL = Channel("websocket", check)
