"""Who owns a record, and who else may share it or end a share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from extensions.records.shares import RECORD, Share, here, share, shares_of
from fhir_server.access import Principal
from fhir_server.access.consents import OFFICER
from fhir_server.access.principal import CARE
from fhir_server.access.provisions import LEVELS
from fhir_server.access.visibility import is_open_to
from fhir_server.context import Context
from fhir_server.outcomes import BusinessRule, Forbidden
from fhir_server.search.extract import extract
from workflow.people import names
from workflow.states import is_unbound

Json = dict[str, Any]
NOT_THEIRS = "Only its owner, or who was given full access, may share a record."
_PERSONS = ("Practitioner/", "PractitionerRole/", "Patient/", "RelatedPerson/")


def owns(ctx: Context, record: Json) -> bool:
    """Whether the caller is author or custodian: in person, by role, team or house.

    One of the custodian's house who sees the record by a share or an emergency only is not: limited stays limited.
    """
    if wrote(ctx, record):
        return True
    return here(ctx, record.get("custodian")) in names(ctx.principal) and _may_without_shares(ctx, record, "r")


def wrote(ctx: Context, record: Json) -> bool:
    """Whether the caller is an author."""
    return not names(ctx.principal).isdisjoint(here(ctx, one) for one in record.get("author", ()))


def decides(ctx: Context, record: Json) -> bool:
    """Whether the role policy is all that binds the caller: the patient, administrators, privacy officers, services."""
    principal = ctx.principal
    return is_unbound(principal) or OFFICER in principal.roles or here(ctx, record.get("subject")) in principal.own


def gave(ctx: Context, consent: Json) -> bool:
    """Whether the caller wrote the Consent."""
    return not names(ctx.principal).isdisjoint(here(ctx, one) for one in consent.get("performer", ()))


async def let_share(ctx: Context, record: Json, wanted: Share) -> None:
    """Raise Forbidden (403) unless the caller may share the record so, BusinessRule (422) when it would last too long.

    The owner may, and one whom a full share was given: no longer than theirs lasts, and with nobody's house or team
    of their own, who would be given by themselves what was given to them.
    """
    if decides(ctx, record):
        return
    if not wanted.actors.isdisjoint(_in_person(ctx.principal)):
        raise Forbidden("Nobody shares a record with themselves.")
    if wrote(ctx, record):
        return
    if not wanted.actors.isdisjoint(names(ctx.principal)):
        raise Forbidden("Only the author shares a record with a house or a team of their own.")
    if owns(ctx, record):
        return
    await _pass_on(ctx, record, wanted)


async def _pass_on(ctx: Context, record: Json, wanted: Share) -> None:
    """As `let_share`, for who is no owner."""
    own = names(ctx.principal)
    there = [row.resource() for row in await shares_of(ctx, record)]
    shares = [share(ctx, one) for one in there]
    full = [one for one in shares if one.is_now and one.level == "full" and not own.isdisjoint(one.actors)]
    if not full:
        raise Forbidden(NOT_THEIRS)
    if wanted.end > max(one.end for one in full):
        place = ["Consent.provision.period.end"]
        raise BusinessRule("A share lasts no longer than that of who gives it.", expression=place)
    for consent, one in zip(there, shares, strict=True):
        is_less = one.level and LEVELS.index(wanted.level) > LEVELS.index(one.level)
        if is_less and not one.actors.isdisjoint(wanted.actors) and not gave(ctx, consent):
            raise Forbidden("Only its owner takes back what somebody else has shared.")


def _in_person(principal: Principal) -> Iterable[str]:
    return [name for name in names(principal) if name.startswith(_PERSONS)]


def writes_by_share(ctx: Context, record: Json) -> bool:
    """Whether a share, of the record or of its patient, is the only reason why the caller may change it."""
    return not _may_without_shares(ctx, record, "u", emergency=ctx.principal.emergency)


def _may_without_shares(ctx: Context, record: Json, action: str, emergency: frozenset[str] = frozenset()) -> bool:
    principal = ctx.principal
    care = {patient: why for patient, why in principal.panel.items() if why in CARE}
    without = replace(principal, panel=care, emergency=emergency, consents=(), decided={}, seen={})
    index = extract(record, base_url=ctx.base_url).document()
    return is_open_to(without, action, {**index, "_id": f"{RECORD}/{record['id']}", "ty": RECORD})
