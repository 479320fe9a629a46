"""Who a record is shared with is told, and who it is no longer shared with; of what is in it, nothing."""

from __future__ import annotations

from extensions.records.shares import Share, found, here, share
from fhir_server.change import Change
from fhir_server.context import Context
from fhir_server.registry import on_change
from fhir_server.storage.stored import Stored
from workflow.notices import notify
from workflow.people import key


@on_change("Consent")
async def tell(ctx: Context, change: Change) -> None:
    """Tell the actors of a sharing Consent when it begins, changes its level or ends, by whichever door."""
    before, after = _share(ctx, change.before), _share(ctx, change.after)
    began = after.actors if before.level != after.level else after.actors - before.actors
    ended = before.actors - after.actors
    if not began and not ended:
        return
    about = [{"reference": one} for one in sorted(after.records or before.records)]
    by = "" if change.after.deleted else _performer(change.after)
    text = f"A record was shared with you: {after.level} access."
    await notify(ctx, change, _references(began), text, about=about, but=by, purpose="shared")
    patient = _patient(ctx, change.before)
    left = [one for one in ended if not await _has(ctx, before, patient, one)]
    await notify(ctx, change, _references(left), "A record is no longer shared with you.", about=about, purpose="ended")


def _share(ctx: Context, stored: Stored | None) -> Share:
    return share(ctx, stored.resource() if stored is not None and not stored.deleted else None)


def _performer(stored: Stored) -> str:
    return next((key(one) for one in stored.resource().get("performer", ())), "")


def _references(actors: frozenset[str] | list[str]) -> list[dict[str, str]]:
    return [{"reference": one} for one in sorted(actors)]


def _patient(ctx: Context, stored: Stored | None) -> str:
    return here(ctx, stored.resource().get("patient")) if stored is not None else ""


async def _has(ctx: Context, ended: Share, patient: str, actor: str) -> bool:
    """Whether another Consent has taken the place of the one that ended."""
    now = [share(ctx, row.resource()) for record in ended.records for row in await found(ctx, record, patient)]
    return any(actor in one.actors for one in now)
