"""The number of a case: CASE-2026-00017, given when it is opened and kept."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from fhir_server.context import Context
from fhir_server.outcomes import BusinessRule, Conflict
from fhir_server.storage.unit_of_work import Guard, UnitOfWork
from workflow.numbers import following
from workflow.people import find

from .case import CASE_NUMBER, numbers

Json = dict[str, Any]
_FORM = re.compile(r"CASE-\d{4}-\d{5,9}", re.ASCII)


async def numbered(ctx: Context, unit: UnitOfWork, case: Json) -> Json:
    """The case with the next number of the year, or with its own.

    Raises BusinessRule (422) for what is no number of a case, Conflict (409) for that of another case.
    """
    if given := numbers(case):
        if len(given) > 1 or not _FORM.fullmatch(given[0]):
            raise BusinessRule("A case number is one CASE-<year>-<5 digits>.", expression=["Encounter.identifier"])
        if not await _is_free(ctx, unit, given[0]):
            raise Conflict("Another case has this number.", expression=["Encounter.identifier"], code="business-rule")
        return case
    year = f"CASE-{datetime.now(UTC).year}"
    while not await _is_free(ctx, unit, value := f"{year}-{await following(ctx, year):05d}"):
        pass  # one that was brought along from elsewhere
    return {**case, "identifier": [*case.get("identifier", ()), {"system": CASE_NUMBER, "value": value}]}


async def _is_free(ctx: Context, unit: UnitOfWork, value: str) -> bool:
    """Whether no case has the number; of two units that take it at the same moment, one does."""
    name = f"case number {value}"
    if name in unit.guards:  # another case of this Bundle has it
        return False
    seen = await ctx.repository.guard(name)
    if await find(ctx, "Encounter", f"identifier={CASE_NUMBER}|{value}", limit=1):
        return False
    unit.guards[name] = Guard(name, seen)
    return True
