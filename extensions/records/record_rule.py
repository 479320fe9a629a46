"""What holds for every write of a record: who made it is its author, and only owners say whose it is.

https://hl7.org/fhir/R4/documentreference.html and the guide's profile shared-record
"""

from __future__ import annotations

from typing import Any

from extensions.records.owners import owns, writes_by_share
from extensions.records.shares import RECORD, here
from fhir_server.context import Context
from fhir_server.outcomes import Forbidden
from fhir_server.registry import rule
from fhir_server.storage.unit_of_work import UnitOfWork, Write
from workflow.people import read
from workflow.states import is_unbound

Json = dict[str, Any]
AUTHORS = ("Practitioner", "PractitionerRole", "Patient", "RelatedPerson")
OWNERSHIP = ("author", "custodian", "subject")
CONTENT = frozenset({"content", "date", "text", "meta"})  # what a full share lets change; of meta only the stamps
_STAMPS = ("versionId", "lastUpdated")


@rule("DocumentReference")
async def owned(ctx: Context, change: Write, unit: UnitOfWork) -> None:
    """Make the caller the author of a new record that names none, and leave an old one its owners and its patient."""
    principal, after = ctx.principal, change.resource
    if after is None or principal.is_open:
        return
    if change.base is None or change.base.deleted:
        if not after.get("author") and principal.user.partition("/")[0] in AUTHORS:
            after["author"] = [{"reference": principal.user}]
        return
    before = change.base.resource()
    if is_unbound(principal) or owns(ctx, before):
        return
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    if not changed.isdisjoint(OWNERSHIP):
        raise Forbidden("Only its owner changes the author, the custodian or the patient of a record.")
    if (changed - CONTENT or _labels(before) != _labels(after)) and writes_by_share(ctx, before):
        raise Forbidden("Who was given full access writes a new version of the content, and changes nothing else.")


@rule("Binary")
async def belongs(ctx: Context, change: Write, unit: UnitOfWork) -> None:
    """Leave a file with what it belongs to, and under its labels: by either its owner could lose it to somebody."""
    after = change.resource
    if after is None or change.base is None or change.base.deleted or is_unbound(ctx.principal):
        return
    before = change.base.resource()
    context = here(ctx, before.get("securityContext"))
    if not context:
        return
    if context != here(ctx, after.get("securityContext")):
        raise Forbidden("What a file belongs to stays.", expression=["Binary.securityContext"])
    if context.startswith(f"{RECORD}/") and _labels(before) != _labels(after):
        record = await read(ctx, {"reference": context})
        if record is not None and writes_by_share(ctx, record):
            raise Forbidden("Who was given full access writes a new version of the content, and changes nothing else.")


def _labels(resource: Json) -> Json:
    return {name: value for name, value in resource.get("meta", {}).items() if name not in _STAMPS}
