"""Communication/$mark-read: one notification, or all that are unread; ig/input/fsh/notification.fsh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from extensions.notifications.notice import is_notice
from fhir_server import api
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import OperationParameter
from fhir_server.interactions.create import ATTEMPTS
from fhir_server.operations.input import read
from fhir_server.outcomes import BusinessRule, Conflict, Forbidden, Invalid
from fhir_server.registry import operation
from fhir_server.storage.stored import Stored
from fhir_server.storage.unit_of_work import Lost, UnitOfWork, Write
from workflow.codes import GUIDE, NOTIFICATION
from workflow.making import instant
from workflow.people import names

Json = dict[str, Any]

PARAMETERS = (OperationParameter("until", "in", type="instant"),)
BATCH = 100  # that are read in one transaction


@operation(
    "mark-read",
    types=("Communication",),
    instances=("Communication",),
    affects_state=True,
    definition=f"{GUIDE}/OperationDefinition/mark-read",
)
async def mark_read(ctx: Context, request: FhirRequest) -> FhirResponse:
    """Complete one notification of the caller's, or all that were sent until a moment; answers how many it was."""
    until = read(request, PARAMETERS).one("until")
    if request.id is None:
        count = await _all(ctx, until or instant())
    elif until is not None:
        raise Invalid("Parameter 'until' is for all notifications, not for one.")
    else:
        count = await _one(ctx, request.id)
    return FhirResponse(
        resource={"resourceType": "Parameters", "parameter": [{"name": "count", "valueInteger": count}]}
    )


async def _one(ctx: Context, id_: str) -> int:
    for attempt in range(ATTEMPTS):
        async with ctx.repository.turns.of(f"Communication/{id_}", attempt):
            base = api.there(await api.base(ctx, "Communication", id_), "Communication")
            if not is_notice(base.resource()):
                raise BusinessRule("This Communication is no notification.", expression=["Communication.category"])
            if base.resource()["status"] == "completed":
                await api.admit(ctx, _completed(base), UnitOfWork())  # who may not read it for them is told so
                return 0
            try:
                await api.write(ctx, _completed(base))
            except Lost:
                continue
            return 1
    raise Conflict("The notification is being changed too often; try again.")


async def _all(ctx: Context, until: str) -> int:
    """Batch by batch, each in one transaction; what somebody else reads meanwhile is not counted twice."""
    mine = names(ctx.principal)
    me = sorted(one for one in mine if one == ctx.principal.user or one.startswith("PractitionerRole/"))
    if not me or ctx.unit is not None:
        raise Forbidden("Only somebody who is signed in reads all of theirs, and not as part of a transaction.")
    query = f"recipient={','.join(me)}&category={'|'.join(NOTIFICATION)}&status=in-progress&sent=le{until}"
    count, size, overtaken = 0, BATCH, 0
    while unread := await api.find_matches(ctx, "Communication", query.replace("+", "%2B"), limit=size):
        try:
            await _complete(ctx, unread)
        except Lost:
            size, overtaken = max(size // 2, 1), overtaken + 1
            if overtaken > ATTEMPTS:
                raise Conflict(f"{count} were read; the others change too often: try again.") from None
            continue
        count, overtaken = count + len(unread), 0
    return count


async def _complete(ctx: Context, unread: Sequence[Stored]) -> None:
    unit = UnitOfWork()
    inside = replace(ctx, unit=unit)
    for one in unread:
        await api.write(inside, _completed(one))
    await ctx.repository.commit(unit)


def _completed(base: Stored) -> Write:
    return Write("PATCH", base.type, base.id, {**base.resource(), "status": "completed"}, base, exact=True)
