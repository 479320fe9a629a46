"""socketio: clients join the subscription on the Socket.IO connection (realtime/), and come back for what they missed.

R4 requires a code of its own in channel.type: `websocket`, beside which backport-channel-type names this one.
docs/realtime.md
"""

from __future__ import annotations

from fhir_server.config import Settings
from fhir_server.outcomes import Unprocessable
from subscriptions.channel import Channel
from subscriptions.subscription import Subscription


def check(subscription: Subscription, settings: Settings) -> None:
    """Raise Unprocessable for headers, which nothing could carry."""
    if subscription.headers:
        text = "Nothing that is sent over a socket has headers."
        raise Unprocessable(text, expression=["Subscription.channel.header"])


CHANNEL = Channel("socketio", check)
