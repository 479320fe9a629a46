"""`__explain=true`: how the database would answer a search, instead of the answer."""

from __future__ import annotations

from typing import Any

from fhir_server.context import Context, FhirResponse
from fhir_server.joins import Joins
from fhir_server.search import compile as compiler
from fhir_server.search.query import Query

Json = dict[str, Any]


async def explain(ctx: Context, query: Query, asked: Query, joins: Joins) -> FhirResponse:
    """Parameters with a part for each query: its index, what it examined, and its time.

    What a lenient search passes over comes first, then chains, `_has` and other look-ups in the order they were made.
    """
    parameters: list[Json] = [{"name": "ignored", "valueString": one.diagnostics} for one in query.ignored]
    for step in joins.steps:
        plan = await ctx.repository.explain(ctx.principal, step.filter, sort=(), limit=step.limit)
        parameters.append(_part(f"lookup: {step.what}", plan))
    find = compiler.compile(asked)
    plan = await ctx.repository.explain(ctx.principal, find.filter, sort=list(find.sort), limit=query.count + 1)
    parameters.append(_part("search", plan))
    for probe in asked.probes:
        said = f"{probe.name}: its ends are many, so that the search's own rows are judged batch by batch"
        parameters.append({"name": "probe", "valueString": said})
    access = "none: no sign-in is configured" if ctx.principal.is_open else "the caller's compartments and scopes"
    parameters.append({"name": "access", "valueString": access})
    return FhirResponse(resource={"resourceType": "Parameters", "parameter": parameters})


def _part(name: str, plan: Json) -> Json:
    parts: list[Json] = [{"name": "query", "valueString": name}]
    parts += [{"name": "index", "valueString": index} for index in plan["indexes"]]
    parts.append({"name": "stages", "valueString": " < ".join(plan["stages"])})
    for one in ("keysExamined", "documentsExamined", "returned", "milliseconds"):
        parts.append({"name": one, "valueInteger": plan[one]})
    return {"name": "plan", "part": parts}
