"""US Core's way to a patient's documents: http://hl7.org/fhir/us/core/OperationDefinition/docref

This server makes no documents on demand, so it answers with the current DocumentReferences that are stored.
"""

from __future__ import annotations

from typing import Any

from fhir_server import json
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import OperationParameter
from fhir_server.interactions.urls import is_id
from fhir_server.operations.care_dates import Span, span
from fhir_server.operations.input import Input, read
from fhir_server.operations.searchset import entry, link, outcome_entry, searchset
from fhir_server.outcomes import Invalid, Issue, NotSupported, TooCostly
from fhir_server.registry import operation
from fhir_server.search import compile as compiler
from fhir_server.search.fields import fields
from fhir_server.search.keys import wide
from fhir_server.search.parse import parse
from fhir_server.storage.stored import Stored

Json = dict[str, Any]

PARAMETERS = (
    OperationParameter("patient", "in", min=1, type="string"),
    OperationParameter("start", "in", type="dateTime"),
    OperationParameter("end", "in", type="dateTime"),
    OperationParameter("type", "in", max=None, type="Coding"),
    OperationParameter("on-demand", "in", type="boolean"),
    OperationParameter("profile", "in", max=None, type="canonical"),
)


@operation("docref", types=("DocumentReference",), definition="http://hl7.org/fhir/us/core/OperationDefinition/docref")
async def docref(ctx: Context, request: FhirRequest) -> FhirResponse:
    """A patient's documents whose care was in a span of time; without one, the latest document of each type."""
    given = read(request, PARAMETERS)
    if given.all("profile"):
        raise NotSupported("Parameter 'profile' is not supported yet.")
    dates = span(given.one("start"), given.one("end"))
    rows: list[Stored] = []
    issues: list[Issue] = []
    limit = ctx.settings.max_count
    if given.one("on-demand") is not True:
        rows = await _find(ctx, given, dates, limit)
        if len(rows) > limit:
            rows = rows[:limit]
            note = f"Only the {limit} latest documents are considered; there are more. Narrow type, start or end."
            issues.append(Issue("incomplete", note, severity="warning"))
        if dates == (None, None):
            rows = _latest(rows)
    entries = [entry(ctx, row) for row in rows] + ([outcome_entry(issues)] if issues else [])
    return FhirResponse(text=searchset([("self", link(ctx, request, given.pairs()))], entries, len(rows)))


async def _find(ctx: Context, given: Input, dates: Span, limit: int) -> list[Stored]:
    """Current DocumentReferences, the latest by date first, one more than `limit` where there are more."""
    patient = str(given.one("patient")).removeprefix("Patient/")
    if not is_id(patient):
        raise Invalid("Parameter 'patient' is the id of a Patient.")
    filters = [("patient", f"Patient/{patient}"), ("status", "current"), ("_sort", "-date")]
    if types := [_token(coding) for coding in given.all("type")]:
        filters.append(("type", ",".join(types)))
    find = compiler.compile(parse("DocumentReference", filters, base_url=ctx.base_url))
    wanted = {"$and": [find.filter, *_of_care(dates)]}
    found = await ctx.repository.find(ctx.principal, wanted, sort=list(find.sort), limit=limit + 1)
    if found.cut:
        raise TooCostly("The documents are too large to be answered at once; narrow the dates.")
    return found


def _token(coding: Json) -> str:
    if "code" not in coding:
        raise Invalid("Parameter 'type' has a code.")
    parts = [coding["system"], coding["code"]] if "system" in coding else [coding["code"]]
    return "|".join(part.replace("\\", "\\\\").replace(",", "\\,").replace("|", "\\|") for part in parts)


def _of_care(dates: Span) -> list[Json]:
    """The care that the document tells of was in the span; where it does not say, its own date."""
    if dates == (None, None):
        return []
    told, own = _numbers("period"), _numbers("date")
    untold = {"r.k": {"$nin": told}}
    return [{"$or": [_in_span(told, dates), {"$and": [untold, _in_span(own, dates)]}]}]


def _numbers(code: str) -> list[str]:
    sources = fields("DocumentReference")[code].sources
    return [key for source in sources for key in (source.number, wide(source.number))]


def _in_span(numbers: list[str], dates: Span) -> Json:
    start, end = dates
    element: Json = {"k": {"$in": numbers}}
    if start is not None:
        element["hi"] = {"$gte": start}
    if end is not None:
        element["lo"] = {"$lte": end}
    return {"r": {"$elemMatch": element}}


def _latest(rows: list[Stored]) -> list[Stored]:
    """The first of each type."""
    found: dict[bytes, Stored] = {}
    for row in rows:
        codings = row.resource().get("type", {}).get("coding", [])
        found.setdefault(json.encode(sorted([c.get("system", ""), c.get("code", "")] for c in codings)), row)
    return list(found.values())
