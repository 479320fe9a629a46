"""Resources of a package in transactions: what is valid together, and why the rest is not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

from fhir_server.context import Context, FhirRequest
from fhir_server.outcomes import FhirError, Issue
from fhir_server.packages.plan import Ownership, Placement, url_of
from fhir_server.packages.records import Owned
from fhir_server.validation import Level

Json = dict[str, Any]
Marker = tuple[str, Json]

BATCH = 2_000  # resources of one transaction
BATCH_BYTES = 24 * 1024 * 1024
_ENTRY = re.compile(r"Bundle\.entry\[(\d+)\]")
_RESOURCE = re.compile(r"^Bundle\.entry\[\d+\]\.resource\b")


class Overtaken(Exception):
    """Somebody wrote one of the resources, or the package's record, after it was planned."""


def batches(placements: Sequence[Placement], most: int) -> Iterator[list[Placement]]:
    """The placements in order, as many together as one transaction takes (`most`): nearly every package is one.

    Examples are apart: what they claim to conform to is known only once it is written. A Bundle is alone: of what is
    wrong with an entry of it, nobody could tell whether it is one of ours.
    """
    batch: list[Placement] = []
    size = 0
    for one in placements:
        full = len(batch) == min(BATCH, most) or size + len(one.item.text) > BATCH_BYTES
        alone = batch and "Bundle" in (one.item.type, batch[0].item.type)
        if batch and (full or alone or one.item.role != batch[0].item.role):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += len(one.item.text)
    if batch:
        yield batch


async def store(
    ctx: Context, entries: Mapping[str, Json], note: Callable[[Sequence[str]], Marker], whole: bool = False
) -> dict[str, tuple[str, ...]]:
    """Write these entries ("Type/id" → entry of a transaction), without those that are refused: key → reasons.

    `note` says what is to be remembered with the keys that are written. With `whole` nothing is written when any is
    refused. Raises Overtaken, and FhirError for what
    is no entry's fault.
    """
    refused: dict[str, tuple[str, ...]] = {}
    left = list(entries)
    while left:
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entries[key] for key in left]}
        noting = replace(ctx, state={**ctx.state, "marker": note(left)})
        try:
            await noting.dispatch(noting, FhirRequest("POST", "", body=bundle))
            break
        except FhirError as error:
            wrong = _by_key(error, left)
            refused |= wrong
            if whole:
                break
            left = [key for key in left if key not in wrong]
    return refused


async def delete(ctx: Context, gone: Sequence[Owned], ownership: Ownership) -> Counter[tuple[str, str]]:
    """Delete what is nobody's any more and still what it was: (type, "deleted") → how many. Raises Overtaken."""
    counts: Counter[tuple[str, str]] = Counter()
    step = min(BATCH, ctx.settings.max_bundle_entries)
    for start in range(0, len(gone), step):
        some = {one.key: one for one in gone[start : start + step] if one.key not in ownership.others}
        stored = await ctx.repository.read_many(ctx.principal, some)
        there = [one for one in stored.values() if not one.deleted and url_of(one) == some[one.key].url]
        if not there:
            continue
        entries = [{"request": {"method": "DELETE", "url": one.key, "ifMatch": f'W/"{one.version}"'}} for one in there]
        try:
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
            await ctx.dispatch(ctx, FhirRequest("POST", "", body=bundle))
        except FhirError as error:
            _raise_if_overtaken(error)
            raise
        counts.update((one.type, "deleted") for one in there)
    return counts


def by_structure(ctx: Context) -> Context:
    """The context with a validator that looks at structure only.

    Guides are not held to the level of this server: US Core itself puts extensions where R4 does not allow them,
    and half of it would be missing.
    """
    validator = copy(ctx.validator)
    validator.level = Level.STRUCTURE
    return replace(ctx, validator=validator)


def content(resource: Json) -> Json:
    """The resource without what the server stamps on it."""
    meta = {name: value for name, value in resource.get("meta", {}).items() if name not in ("versionId", "lastUpdated")}
    rest = {name: value for name, value in resource.items() if name != "meta"}
    return {**rest, "meta": meta} if meta else rest


def relink(value: Any, moved: Mapping[str, str]) -> None:
    """Let references lead to where the package's resources are stored."""
    if isinstance(value, dict):
        reference = value.get("reference")
        if isinstance(reference, str) and reference in moved:
            value["reference"] = moved[reference]
    for child in value.values() if isinstance(value, dict) else value:
        if isinstance(child, dict | list):
            relink(child, moved)


def _by_key(error: FhirError, keys: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """What is wrong with which of the entries; raises the error itself when it is about none."""
    _raise_if_overtaken(error)
    found: dict[str, tuple[str, ...]] = {}
    for issue in error.issues:
        place = _ENTRY.match(issue.expression[0]) if issue.expression else None
        if place is None:
            raise error
        key = keys[int(place[1]) if len(keys) > 1 else 0]
        found[key] = (*found.get(key, ()), _sentence(issue, key.partition("/")[0]))
    return found


def _raise_if_overtaken(error: FhirError) -> None:
    if any(issue.code == "conflict" for issue in error.issues):
        raise Overtaken from None


def _sentence(issue: Issue, resource_type: str) -> str:
    """What is wrong, with the rule's code and the place in the resource."""
    places = (_RESOURCE.sub(resource_type, place) for place in issue.expression)
    where = ", ".join(place for place in places if not _ENTRY.fullmatch(place))
    return f"{issue.diagnostics} [{issue.code}{', ' + where if where else ''}]"
