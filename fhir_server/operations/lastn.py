"""https://hl7.org/fhir/R4/observation-operation-lastn.html

The database groups: it reads each Observation that fits once, and answers with a few ids and dates per combination of
codes, never with Observations. Only those that are in the answer are fetched.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fhir_server import json
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.joins import Joins
from fhir_server.operations.input import Input, published, read
from fhir_server.operations.searchset import entry, link, outcome_entry, searchset
from fhir_server.outcomes import Invalid, Issue, TooCostly, ValueWrong
from fhir_server.registry import operation
from fhir_server.search import compile as compiler
from fhir_server.search.controls import CONTROLS
from fhir_server.search.fields import fields
from fhir_server.search.parse import parse
from fhir_server.storage.stored import Stored

Json = dict[str, Any]

MAX = 100  # of each code
TIES = 20  # more of one code when they have the date of the last one
MAX_RESULTS = 5000
MAX_TEXT_ONLY = 1000  # Observations whose code is only a text, which are read to compare it


@dataclass(slots=True)
class _Group:
    """Observations whose codes are equal, by way of translations: (date, "Type/id"), latest first."""

    codes: set[str]
    newest: list[tuple[int, str]] = field(default_factory=list)


@operation("lastn", types=("Observation",))
async def lastn(ctx: Context, request: FhirRequest) -> FhirResponse:
    """The last `max` Observations of each code, for one patient and whatever else a search can say."""
    given = read(request, published("lastn", request.type), search=True)
    wanted = given.one("max") or 1
    if wanted > MAX:
        raise ValueWrong(f"Parameter 'max' is up to {MAX}.")
    _check(given)
    query = parse("Observation", given.search, base_url=ctx.base_url)
    asked = await Joins(ctx.repository, ctx.principal, ctx.base_url).resolve(query)
    filter_ = compiler.compile(asked).filter
    combinations, issues = await _by_codes(ctx, filter_, wanted)
    groups = _together(combinations)
    if any(not group.codes for group in groups):
        by_text, more = await _by_text(ctx, filter_)
        groups = [group for group in groups if group.codes] + by_text
        issues += more
    keys = _chosen(groups, wanted)
    found = await ctx.repository.read_many(ctx.principal, keys)
    rows = [found[key] for key in keys if key in found and not found[key].deleted]
    entries = [entry(ctx, row) for row in rows] + ([outcome_entry(issues)] if issues else [])
    return FhirResponse(text=searchset([("self", link(ctx, request, given.pairs()))], entries, len(rows)))


def _check(given: Input) -> None:
    """Raise Invalid (400) unless the search is for one patient."""
    subjects = [value for name, value in given.search if name.partition(":")[0] in ("patient", "subject")]
    if len(subjects) != 1 or "," in subjects[0]:
        raise Invalid("$lastn needs one patient, as parameter 'patient' or 'subject'.", code="required")
    for name, _ in given.search:
        if name.partition(":")[0] in CONTROLS:
            raise Invalid(f"$lastn has no parameter '{name[:64]}': its order and its number of results are its own.")


# ---- grouping ----------------------------------------------------------------------------------------


async def _by_codes(ctx: Context, filter_: Json, wanted: int) -> tuple[list[_Group], list[Issue]]:
    """One group for each combination of codes, and what is to be said where too many share the last date."""
    mark = f"{_code_number()}|"
    date = f"$s.{fields('Observation')['date'].descending}"
    is_code = {"$eq": [{"$substrBytes": ["$$this", 0, len(mark)]}, mark]}
    latest = {"n": wanted + TIES, "sortBy": {"d": -1, "_id": -1}, "output": ["$d", "$_id"]}
    stages: list[Json] = [
        {"$project": {"d": date, "c": {"$filter": {"input": "$k", "cond": is_code}}}},
        {"$group": {"_id": "$c", "newest": {"$topN": latest}}},
    ]
    rows = await ctx.repository.aggregate(ctx.principal, filter_, stages)
    groups = [_Group(set(row["_id"]), [(date, key) for date, key in row["newest"]]) for row in rows]
    full = (group.newest for group in groups if group.codes and len(group.newest) == wanted + TIES)
    if not any(newest[-1][0] == newest[wanted - 1][0] for newest in full):
        return groups, []
    note = f"More than {TIES} Observations of one code share the date of the last one; some are left out."
    return groups, [Issue("incomplete", note, severity="warning")]


def _code_number() -> str:
    return fields("Observation")["code"].sources[0].number


def _together(groups: Iterable[_Group]) -> list[_Group]:
    """Groups that share a code are one, and so on: https://hl7.org/fhir/R4/observation-operation-lastn.html"""
    found: list[_Group] = []
    by_code: dict[str, _Group] = {}
    for group in groups:
        joined = {id(by_code[code]): by_code[code] for code in group.codes if code in by_code}
        for other in joined.values():
            group.codes |= other.codes
            group.newest += other.newest
            found = [one for one in found if one is not other]
        found.append(group)
        by_code.update(dict.fromkeys(group.codes, group))
    return found


async def _by_text(ctx: Context, filter_: Json) -> tuple[list[_Group], list[Issue]]:
    """One group for each text, of Observations whose code is only a text."""
    mark = f"{_code_number()}|"
    coded = {"k": {"$elemMatch": {"$gte": mark, "$lt": mark[:-1] + "}"}}}
    date = f"s.{fields('Observation')['date'].descending}"
    wanted = {"$and": [filter_, {"$nor": [coded]}]}
    rows = await ctx.repository.find(ctx.principal, wanted, sort=[(date, -1), ("_id", -1)], limit=MAX_TEXT_ONLY + 1)
    if rows.cut:
        raise TooCostly("The Observations without a code are too large to be grouped at once.")
    groups: dict[str, _Group] = {}
    for row in rows[:MAX_TEXT_ONLY]:
        code = row.resource()["code"]
        text = code.get("text") or json.encode(code).decode()
        groups.setdefault(text, _Group({text})).newest.append((_date(row), row.key))
    if len(rows) <= MAX_TEXT_ONLY:
        return list(groups.values()), []
    note = f"Of Observations without a coded code only the latest {MAX_TEXT_ONLY} were considered."
    return list(groups.values()), [Issue("incomplete", note, severity="warning")]


def _date(row: Stored) -> int:
    return int((row.sort or {})[fields("Observation")["date"].descending])


def _chosen(groups: list[_Group], wanted: int) -> list[str]:
    """The "Type/id" of the last ones of each group, those with the date of the last included; latest group first."""
    for group in groups:
        group.newest.sort(reverse=True)
    groups.sort(key=lambda group: group.newest[0], reverse=True)
    chosen: list[str] = []
    for group in groups:
        last = group.newest[min(wanted, len(group.newest)) - 1][0]
        chosen += [key for place, (date, key) in enumerate(group.newest) if place < wanted or date == last]
    if len(chosen) > MAX_RESULTS:
        raise TooCostly(f"$lastn answers with up to {MAX_RESULTS} Observations: ask for a category or codes.")
    return chosen
