"""https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/OperationDefinition-backport-subscription-events.html"""

from __future__ import annotations

from typing import cast, get_args

from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import OperationParameter
from fhir_server.operations.input import Input, read
from fhir_server.outcomes import ValueWrong
from fhir_server.registry import operation
from subscriptions.operations.status import outline, the_subscription
from subscriptions.serving import counts, service
from subscriptions.subscription import Content

MAX_EVENTS = 1000  # in one answer; who wants more asks on from the last number
_LAST = 999_999_999_999

PARAMETERS = (
    OperationParameter("eventsSinceNumber", "in", type="string"),
    OperationParameter("eventsUntilNumber", "in", type="string"),
    OperationParameter("content", "in", type="code"),
)


@operation(
    "events",
    instances=("Subscription",),
    definition="http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-events",
)
async def events(ctx: Context, request: FhirRequest) -> FhirResponse:
    """Past events by their numbers, both bounds included, in order, as far as the caller may know of them now."""
    served = service(ctx)
    given = read(request, PARAMETERS)
    subscription = outline(await the_subscription(ctx, request))
    first = max(1, number(given, "eventsSinceNumber", 1))
    last = number(given, "eventsUntilNumber", _LAST)
    content = _content(given) or subscription.level
    count = (await counts(served.database, [subscription.id]))[subscription.id]
    found = []
    if first <= last:
        found = await served.events.between(subscription.id, first, min(last, count), MAX_EVENTS)
    bundle = await served.notifications.events(subscription, count, found, ctx.principal, content)
    return FhirResponse(resource=bundle)


def number(given: Input, name: str, default: int) -> int:
    """The number of an event that a parameter names. Raises ValueWrong (400)."""
    text = given.one(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise ValueWrong(f"Parameter '{name}' is the number of an event.", expression=["Parameters.parameter"])
    return int(text)


def _content(given: Input) -> Content | None:
    content = given.one("content")
    if content is not None and content not in get_args(Content):
        raise ValueWrong(
            f"Parameter 'content' is one of {', '.join(get_args(Content))}.", expression=["Parameters.parameter"]
        )
    return cast("Content | None", content)
