"""A discussion that is marked sensitive: what is said in a sensitive Encounter is as sensitive as that.

docs/workflows/encryption.md
"""

from __future__ import annotations

from typing import Any

import structlog

from extensions.discussions.kinds import kind
from fhir_server.access.principal import SYSTEM
from fhir_server.change import Change
from fhir_server.context import Context
from fhir_server.encryption.sensitive import is_labelled
from fhir_server.outcomes import FhirError
from fhir_server.registry import on_change
from fhir_server.search.compile import compile
from fhir_server.search.parse import conditional
from workflow.codes import SENSITIVE, sealed_as
from workflow.making import change as change_resource
from workflow.people import key, read

log = structlog.get_logger(__name__)

Json = dict[str, Any]
MOST = 100_000  # messages of one encounter


async def as_its_case(ctx: Context, message: Json) -> Json:
    """The message with the label of a sensitive encounter, and with the patient under whose key it goes."""
    case = await read(ctx, message.get("encounter")) or {}
    if not is_labelled(case):
        return message
    subject = {"subject": {"reference": key(case["subject"])}} if key(case.get("subject")) else {}
    return sealed_as({**subject, **message}, case, SENSITIVE)


@on_change("Encounter", interactions=("create", "update"))
async def seal_what_was_said(ctx: Context, change: Change) -> None:
    """When an encounter becomes sensitive, so do the messages that it has, with all their versions."""
    if not is_labelled(change.after.resource()):
        return
    if change.before is not None and is_labelled(change.before.resource()):
        return
    wanted = compile(conditional("Communication", f"encounter={change.key}", ctx.base_url)).filter
    for name in await ctx.repository.ids(SYSTEM, wanted, limit=MOST):
        try:
            id_ = name.partition("/")[2]
            await change_resource(ctx, "Communication", id_, _again)  # the rule of messages labels it
        except FhirError as error:
            if error.status >= 500:
                raise
            log.warning("a message of a sensitive encounter cannot be sealed", message=name, status=error.status)


def _again(message: Json) -> Json | None:
    return message if kind(message) and not is_labelled(message) else None
