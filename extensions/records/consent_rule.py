"""What holds for every write of a Consent that shares a record: who gives, what stays, and one share for each actor."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from extensions.records.ending import end
from extensions.records.owners import NOT_THEIRS, decides, let_share, owns
from extensions.records.shares import MOST, NOTHING, TOO_MANY, Share, found, here, hold, nests, records, share
from fhir_server.context import Context
from fhir_server.outcomes import BusinessRule, Conflict, Forbidden
from fhir_server.registry import rule
from fhir_server.storage.unit_of_work import UnitOfWork, Write
from workflow.making import as_server
from workflow.people import read
from workflow.states import Transitions, step

Json = dict[str, Any]

TRANSITIONS: Transitions = {
    "": dict.fromkeys(("draft", "proposed", "active", "rejected", "inactive", "entered-in-error"), ()),
    "draft": dict.fromkeys(("proposed", "active", "rejected", "entered-in-error"), ()),
    "proposed": dict.fromkeys(("draft", "active", "rejected", "entered-in-error"), ()),
    "active": {"inactive": (), "entered-in-error": ()},
    "rejected": {"entered-in-error": ()},
    "inactive": {"entered-in-error": ()},
    "entered-in-error": {},
}
_OPEN = ("draft", "proposed")  # what may still become anything
_TERMS = ("status", "patient", "scope", "category", "policyRule", "provision", "modifierExtension")


@rule("Consent")
async def sharing(ctx: Context, change: Write, unit: UnitOfWork) -> None:
    """Hold a sharing Consent to its states, to its record and patient, and to who may share that record."""
    after = change.resource
    before = change.base.resource() if change.base is not None and not change.base.deleted else {}
    if after is None or not (_records(ctx, before) or _records(ctx, after) or nests(ctx, after)):
        return
    _keep(ctx, before, after)
    if all(before.get(name) == after.get(name) for name in _TERMS):
        return
    for record in sorted(_records(ctx, before) | _records(ctx, after)):
        await hold(ctx, unit, record)
    if after["status"] != "active":
        return
    given = share(ctx, after)
    if not ctx.principal.is_open:
        await _allow(ctx, after, given)
    for record in sorted(_records(ctx, after)):
        await _replace(ctx, unit, change.key, record, after, given)


def _records(ctx: Context, consent: Json) -> frozenset[str]:
    return records(ctx, consent.get("provision", {}))


def _keep(ctx: Context, before: Json, after: Json) -> None:
    """Raise Conflict (409) at a step that there is not, BusinessRule (422) when it became about something else."""
    was = before.get("status", "")
    step(TRANSITIONS, was, after["status"], what="sharing consent", expression="Consent.status")
    if not before or was in _OPEN:
        return
    # Who gave it, by that it ends with their own share.
    if before.get("performer") and after.setdefault("performer", before["performer"]) != before["performer"]:
        raise BusinessRule("Who gave a sharing consent stays.", expression=["Consent.performer"])
    if before.get("patient") != after.get("patient"):
        raise BusinessRule("A sharing consent stays its patient's; write a new one.", expression=["Consent.patient"])
    if before.get("provision", {}).get("data") != after.get("provision", {}).get("data"):
        place = ["Consent.provision.data"]
        raise BusinessRule("A sharing consent stays about its records; write a new one.", expression=place)


async def _allow(ctx: Context, after: Json, given: Share) -> None:
    """Raise Forbidden (403) unless the caller may share each of the records so; who decides is bound by roles alone."""
    if not after.get("performer") and ctx.principal.user:
        after["performer"] = [{"reference": ctx.principal.user}]
    if decides(ctx, {"subject": after.get("patient")}):
        return
    if ctx.principal.user not in (here(ctx, one) for one in after["performer"]):
        raise Forbidden("Nobody shares a record in another's name.", expression=["Consent.performer"])
    if nests(ctx, after):
        raise Forbidden("Who shares a record names it, and with whom, in the provision itself.")
    for key in sorted(_records(ctx, after)):
        record = await read(ctx, {"reference": key})
        if record is None:
            raise Forbidden(NOT_THEIRS)  # as for one that is there and hidden
        # What gives nothing counts as one of the record's, too.
        if given == NOTHING and not owns(ctx, record):
            raise Forbidden(NOT_THEIRS)
        await let_share(ctx, record, given)
        if here(ctx, record.get("subject")) != here(ctx, after.get("patient")):
            raise BusinessRule("The record is another patient's.", expression=["Consent.patient"])


async def _replace(ctx: Context, unit: UnitOfWork, key: str, record: str, after: Json, given: Share) -> None:
    """End what the same actors have of the record: the new share takes its place."""
    there = await found(replace(ctx, unit=unit), record, here(ctx, after.get("patient")))
    if sum(row.key != key for row in there) >= MOST:
        raise BusinessRule(TOO_MANY)
    for row in there:
        old = share(ctx, row.resource())
        if row.key == key or old.actors.isdisjoint(given.actors):
            continue
        if not (old.actors <= given.actors and old.records <= given.records):
            raise Conflict("A consent is active that shares the record with them, and more: end or change that one.")
        if row.key in unit.writes and unit.writes[row.key].base is None:
            raise BusinessRule("The Bundle shares a record twice with the same one.")
        await end(as_server(ctx), unit, row)
