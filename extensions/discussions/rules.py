"""What holds for every write of a message or a receipt, by whichever door: ig/input/fsh/discussion.fsh."""

from __future__ import annotations

from typing import Any

from extensions.discussions import withheld
from extensions.discussions.kinds import KIND, MESSAGES, RECEIPT, SYSTEM_MESSAGE, codes, kind, localize
from extensions.discussions.message import begin, go_on
from extensions.discussions.receipt import confirm
from extensions.discussions.sensitive import as_its_case
from fhir_server.access.principal import SYSTEM
from fhir_server.context import Context
from fhir_server.outcomes import BusinessRule, Forbidden
from fhir_server.registry import rule
from fhir_server.storage.unit_of_work import UnitOfWork, Write

Json = dict[str, Any]
_CATEGORY = ["Communication.category"]


@rule("Communication")
async def said(ctx: Context, change: Write, unit: UnitOfWork) -> None:
    """Complete a message or a receipt with what the server knows, or refuse it; other Communications pass.

    Raises Forbidden (403) for who may not, Conflict (409) for a step that is none, BusinessRule (422) for content
    that is wrong. What the server itself writes is not judged, and a service may bring what others said.
    """
    if change.resource is None:
        return
    after, before = change.resource, _before(change)
    is_kind = kind(after)
    if before is not None and kind(before) != is_kind:
        raise BusinessRule("What kind of message it is stays as it was.", expression=_CATEGORY)
    if is_kind in (*MESSAGES, SYSTEM_MESSAGE) and after.get("status") == "entered-in-error":
        withheld.strip(after)
    if not is_kind:
        return
    localize(after, ctx.base_url)
    change.resource = after = await as_its_case(ctx, after)
    if ctx.principal is SYSTEM:
        return
    if len(codes(after)) > 1:
        raise BusinessRule(f"A Communication has one category of {KIND}.", expression=_CATEGORY)
    if is_kind == RECEIPT:
        await confirm(ctx, change, before)
    elif is_kind == SYSTEM_MESSAGE and ctx.principal.user:
        raise Forbidden("System messages are the server's own.")
    elif before is None:
        await begin(ctx, after)
    else:
        await go_on(ctx, after, before)


def _before(change: Write) -> Json | None:
    return None if change.base is None or change.base.deleted else change.base.resource()
