"""The topics in the CapabilityStatement.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/StructureDefinition-capabilitystatement-subscriptiontopic-canonical.html
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from fhir_server.context import Context
from fhir_server.outcomes import Unavailable
from fhir_server.registry import told
from subscriptions.extensions import BACKPORT
from subscriptions.topics import Topics

Json = dict[str, Any]


@told("Subscription")
async def offered(ctx: Context) -> Json:
    """Each accepted topic, and the profile that subscriptions to them have; nothing where there are none."""
    service = ctx.state.get("subscriptions")
    topics = getattr(service, "topics", None)
    if not isinstance(topics, Topics):
        return {}
    with suppress(Unavailable):  # while search keys are rebuilt: those that are known
        await topics.refresh()
    url = f"{BACKPORT}capabilitystatement-subscriptiontopic-canonical"
    listed = [{"url": url, "valueCanonical": topic.url} for topic in topics.list()]
    profile = {"supportedProfile": [f"{BACKPORT}backport-subscription"]}
    return profile | ({"extension": listed} if listed else {})
