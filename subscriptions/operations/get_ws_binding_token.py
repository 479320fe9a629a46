"""https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/OperationDefinition-backport-subscription-get-ws-binding-token.html"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import OperationParameter
from fhir_server.operations.input import Input, read
from fhir_server.outcomes import BusinessRule, Forbidden, NotFound, ValueWrong
from fhir_server.registry import operation
from fhir_server.search.compile import compile
from fhir_server.search.parse import parse as search
from fhir_server.storage.stored import Stored
from subscriptions.bindings import SECONDS
from subscriptions.operations.events import number
from subscriptions.operations.status import outline, the_subscription
from subscriptions.serving import Service, counts, service
from subscriptions.subscriber import is_own, owners

MAX_SUBSCRIPTIONS = 100  # of one token
_ALIVE = "requested,active,error"

PARAMETERS = (
    OperationParameter("id", "in", max=None, type="id"),
    OperationParameter("after", "in", type="string"),  # our own: the number of the last event that the client has
)


@operation(
    "get-ws-binding-token",
    types=("Subscription",),
    instances=("Subscription",),
    definition=(
        "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-get-ws-binding-token"
    ),
)
async def get_ws_binding_token(ctx: Context, request: FhirRequest) -> FhirResponse:
    """A token by which a websocket is bound to subscriptions of the caller's own, with the caller's rights."""
    served = service(ctx)
    given = read(request, PARAMETERS)
    ids = await _subscriptions(ctx, served, request, given)
    after = await _after(served, given, ids)
    token, expires = await served.bindings.issue(ids, served.rights.remember(ctx.principal), SECONDS, after=after)
    expiration = expires.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    parameters = [
        {"name": "token", "valueString": token},
        {"name": "expiration", "valueDateTime": expiration},
        *({"name": "subscription", "valueString": one} for one in ids),
        {"name": "websocket-url", "valueUrl": websocket_url(ctx.base_url)},
    ]
    return FhirResponse(
        resource={"resourceType": "Parameters", "parameter": parameters}, headers={"Cache-Control": "no-store"}
    )


def websocket_url(base_url: str) -> str:
    """Where the server's websocket is: beside the FHIR base, "wss://ehr.example/websocket"."""
    parts = urlsplit(base_url)
    above = parts.path.rstrip("/").rpartition("/")[0]
    return urlunsplit(("wss" if parts.scheme == "https" else "ws", parts.netloc, f"{above}/websocket", "", ""))


async def _after(served: Service, given: Input, ids: list[str]) -> int | None:
    """The event that a binding to one subscription goes on from; None: from now. Raises ValueWrong (400)."""
    if given.one("after") is None:
        return None
    after = number(given, "after", 0)
    if len(ids) != 1 or after > (await counts(served.database, ids))[ids[0]]:
        raise ValueWrong(
            "Parameter 'after' is the number of an event of the one subscription.", expression=["Parameters.parameter"]
        )
    return after


async def _subscriptions(ctx: Context, served: Service, request: FhirRequest, given: Input) -> list[str]:
    """The ids of the subscriptions asked for, or of all the caller's own that a websocket can be bound to.

    Raises NotFound (404), Forbidden (403) and BusinessRule (422) unless each asked for is one of those.
    """
    if request.id is not None:
        asked = [await the_subscription(ctx, request)]
    elif given.all("id"):
        asked = await _named(ctx, list(dict.fromkeys(given.all("id"))))
    else:
        return await _all(ctx, served)
    own = await owners(served.database, [one.id for one in asked])
    for stored in asked:
        if not is_own(ctx.principal, own.get(stored.id)):
            raise Forbidden("A websocket is bound to subscriptions of one's own only.")
        subscription = outline(stored)
        if subscription.channel != "websocket":
            raise BusinessRule("The channel of the Subscription is not a websocket.", code="not-supported")
        if subscription.status == "off":
            raise BusinessRule("The Subscription is off.")
    return [one.id for one in asked]


async def _named(ctx: Context, ids: list[str]) -> list[Stored]:
    if len(ids) > MAX_SUBSCRIPTIONS:
        raise BusinessRule(f"A token is for up to {MAX_SUBSCRIPTIONS} subscriptions.", code="too-costly")
    found = await ctx.repository.read_many(ctx.principal, [f"Subscription/{one}" for one in ids])
    there = [one for one in found.values() if not one.deleted]
    if len(there) < len(ids):
        raise NotFound("There is no Subscription with one of these ids.")
    return there


async def _all(ctx: Context, served: Service) -> list[str]:
    pairs = [("type", "websocket"), ("status", _ALIVE)]
    filter = compile(search("Subscription", pairs, base_url=ctx.base_url)).filter
    found = await ctx.repository.find(
        ctx.principal, filter, sort=[("_id", 1)], limit=1000, types=["Subscription"], action="r"
    )
    bound = [one.id for one in found if outline(one).channel == "websocket"]
    own = await owners(served.database, bound)
    ids = [one for one in bound if is_own(ctx.principal, own.get(one))][: MAX_SUBSCRIPTIONS + 1]
    if not ids:
        raise NotFound("The caller has no Subscription whose channel is a websocket.")
    if len(ids) > MAX_SUBSCRIPTIONS:
        raise BusinessRule(f"A token is for up to {MAX_SUBSCRIPTIONS} subscriptions; name them.", code="too-costly")
    return ids
