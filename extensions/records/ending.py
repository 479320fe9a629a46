"""The end of a share: the Consent inactive, or without the one whom it named among others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from extensions.records.shares import actors, here
from fhir_server import api
from fhir_server.context import Context
from fhir_server.storage.stored import Stored
from fhir_server.storage.unit_of_work import UnitOfWork, Write

Json = dict[str, Any]


async def end(ctx: Context, unit: UnitOfWork, stored: Stored, actor: str = "") -> Json:
    """End a Consent within the unit, as the caller of `ctx`, for one actor or for all; answers what it will be."""
    # What the unit has written of it is continued; it stands on the version that there is for others.
    before = unit.writes.get(stored.key)
    consent, base = (before.pending().resource(), before.base) if before is not None else (stored.resource(), stored)
    if actor and actors(ctx, consent["provision"]) != {actor}:
        listed = consent["provision"]["actor"]
        consent["provision"]["actor"] = [one for one in listed if here(ctx, one.get("reference")) != actor]
    else:
        consent["status"] = "inactive"
    await api.write(replace(ctx, unit=unit), Write("PUT", "Consent", stored.id, consent, base=base, exact=True))
    return consent
