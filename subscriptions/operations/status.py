"""https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/OperationDefinition-backport-subscription-status.html"""

from __future__ import annotations

from urllib.parse import urlencode

from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import OperationParameter
from fhir_server.operations.input import Input, read
from fhir_server.outcomes import FhirError, NotFound, TooCostly, ValueWrong
from fhir_server.registry import operation
from fhir_server.search.compile import compile
from fhir_server.search.parse import parse as search
from fhir_server.storage.stored import Stored
from subscriptions.serving import counts, service
from subscriptions.subscription import STATUSES, Subscription, parse

MAX_SUBSCRIPTIONS = 1000  # in one answer

PARAMETERS = (
    OperationParameter("id", "in", max=None, type="id"),
    OperationParameter("status", "in", max=None, type="code"),
)


@operation(
    "status",
    types=("Subscription",),
    instances=("Subscription",),
    definition="http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-status",
)
async def status(ctx: Context, request: FhirRequest) -> FhirResponse:
    """The state of subscriptions that the caller may read, and how many events each has had, as a searchset."""
    served = service(ctx)
    given = read(request, PARAMETERS)
    if request.id is not None:
        found = [await the_subscription(ctx, request)]
    else:
        found = await _chosen(ctx, given)
    had = await counts(served.database, [one.id for one in found])
    query = urlencode([(name, value) for name, value in given.pairs() if request.id is None])
    url = f"{ctx.base_url}/{request.path}" + (f"?{query}" if query else "")
    told = [(outline(one), had[one.id]) for one in found]
    return FhirResponse(resource=served.notifications.query_status(told, url))


async def the_subscription(ctx: Context, request: FhirRequest) -> Stored:
    """The Subscription of the URL. Raises NotFound (404) unless the caller may read it."""
    _, id_ = request.instance()
    stored = await ctx.repository.read(ctx.principal, "Subscription", id_)
    if stored is None or stored.deleted:
        raise NotFound("There is no Subscription with this id.")
    return stored


def outline(stored: Stored) -> Subscription:
    """What a stored Subscription asks for; of one that is not understood (it is off), its state alone."""
    resource = stored.resource()
    try:
        return parse(resource)
    except FhirError:
        return Subscription(stored.id, stored.version, resource["status"], "", error=resource.get("error", ""))


async def _chosen(ctx: Context, given: Input) -> list[Stored]:
    """Those that the caller may read, of these ids and in these states where they are given."""
    pairs = []
    for name, parameter in (("id", "_id"), ("status", "status")):
        if values := given.all(name):
            pairs.append((parameter, ",".join(values)))
    if any(value not in STATUSES for value in given.all("status")):
        raise ValueWrong("Parameter 'status' is the status of a Subscription.", expression=["Parameters.parameter"])
    filter = compile(search("Subscription", pairs, base_url=ctx.base_url)).filter
    found = await ctx.repository.find(
        ctx.principal, filter, sort=[("_id", 1)], limit=MAX_SUBSCRIPTIONS + 1, types=["Subscription"], action="r"
    )
    if len(found) > MAX_SUBSCRIPTIONS or found.cut:
        raise TooCostly(f"There are more than {MAX_SUBSCRIPTIONS} subscriptions; ask by id or by status.")
    return list(found)
