"""All entries or none: https://hl7.org/fhir/R4/http.html#trules.

Identities first, then links, then every entry through the dispatcher with its writes gathered in one
unit of work, then one flush. Reads see the unit: they run once before it, so that a failing one
undoes everything, and again after it for their answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

from fhir_server import api
from fhir_server.context import Context, FhirRequest
from fhir_server.interactions.entries import Entry, failed
from fhir_server.interactions.identities import Identities
from fhir_server.interactions.references import Rewriting
from fhir_server.outcomes import Conflict, FhirError, Invalid, Issue, PreconditionFailed
from fhir_server.storage.unit_of_work import Lost, UnitOfWork

ATTEMPTS = 5
BREATH = 16  # entries between two turns of everyone else
_BEHIND = ("Binary", "Consent", "Task")


async def transaction(ctx: Context, entries: list[Entry]) -> None:
    """Give every entry its response, with all writes durable; or raise and leave nothing behind."""
    _refuse_repeated_urls(entries)
    # What is judged by another resource comes after that, should it stand in the same Bundle.
    ordered = sorted(entries, key=lambda entry: (entry.order, _is_behind(entry)))
    asked = [entry.request for entry in ordered]
    for attempt in range(1, ATTEMPTS + 1):
        for entry, request in zip(ordered, asked, strict=True):
            entry.request, entry.response = replace(request), None
        unit = UnitOfWork()
        if marker := ctx.state.get("marker"):
            unit.markers.append(marker)
        rewriting = await _prepare(replace(ctx, unit=unit), unit, ordered)
        try:
            await ctx.repository.commit(unit)
        except Lost as lost:
            _refuse_if_asked_for_version(asked, ordered, lost)
            if attempt == ATTEMPTS:
                raise Conflict("The transaction was overtaken too often; try again.") from None
            rewriting.undo()
            continue  # someone was faster: decide everything anew
        break
    await _finish(ctx, ordered, unit)


def _is_behind(entry: Entry) -> bool:
    """A Binary without a context of its own is rather what others are judged by."""
    type_, body = entry.request.path.partition("/")[0], entry.request.body
    return type_ in _BEHIND and (type_ != "Binary" or (isinstance(body, dict) and "securityContext" in body))


async def _prepare(ctx: Context, unit: UnitOfWork, entries: list[Entry]) -> Rewriting:
    """Everything short of the flush; answers what it did to the resources' links."""
    identities = Identities(ctx, unit)
    await identities.decide(entries)
    _refuse_repeated_targets([*identities.deleted, *_named(entries)])
    rewriting = Rewriting(identities.targets)
    await _link(identities, rewriting, entries)
    failures: list[FhirError] = []
    for number, entry in enumerate(entries):
        if number % BREATH == BREATH - 1:
            await asyncio.sleep(0)
        if entry.response is not None:
            continue
        try:
            entry.response = await ctx.dispatch(ctx, entry.request)
        except FhirError as error:
            failures.append(error.at(entry.path))
    if failures:
        issues: list[Issue] = [issue for failure in failures for issue in failure.issues]
        first = failures[0]
        raise FhirError(issues=issues, status=first.status, code=first.code, headers=first.headers)
    return rewriting


async def _link(identities: Identities, rewriting: Rewriting, entries: list[Entry]) -> None:
    """Rewrite the links between entries, and the conditional references."""
    conditional: list[tuple[Entry, str]] = []
    for entry in entries:
        body = entry.request.body
        if isinstance(body, dict) and entry.response is None:
            rewriting.rewrite(body, entry.full_url, {})
            conditional += [(entry, reference) for reference in sorted(rewriting.unresolved)]
    if conditional:
        resolved = await identities.resolve_references(conditional)
        for entry in {id(entry): entry for entry, _ in conditional}.values():
            rewriting.rewrite(entry.request.body, entry.full_url, resolved)


async def _finish(ctx: Context, entries: list[Entry], unit: UnitOfWork) -> None:
    """Fill in what the flush decided, and read what was asked for."""
    for entry in entries:
        assert entry.response is not None
        if entry.request.method in ("GET", "HEAD"):
            try:
                entry.response = await ctx.dispatch(ctx, entry.request)
            except FhirError as error:
                entry.response = failed(error)
        else:
            if (write := entry.response.write) is not None:
                entry.response.write = unit.writes[write.key]  # a later entry's rules may have added to it
            api.complete(entry.request, entry.response)


def _refuse_repeated_urls(entries: list[Entry]) -> None:
    seen: set[str] = set()
    for entry in entries:
        if entry.full_url is not None:
            if entry.full_url in seen:
                raise Invalid("Two entries have the same fullUrl (bdl-7).", expression=[f"{entry.path}.fullUrl"])
            seen.add(entry.full_url)


def _named(entries: list[Entry]) -> Iterator[tuple[Entry, str]]:
    """The entries that write a resource of known id, and its "Type/id"."""
    for entry in entries:
        request = entry.request
        if request.interaction in ("update", "patch", "delete") and request.id is not None:
            yield entry, f"{request.type}/{request.id}"


def _refuse_repeated_targets(written: list[tuple[Entry, str]]) -> None:
    """A resource may be written by one entry only, criteria resolved; the later of two is named."""
    seen: set[str] = set()
    for entry, key in sorted(written, key=lambda pair: pair[0].index):
        if key in seen:
            raise Invalid("Two entries write the same resource.", expression=[entry.path])
        seen.add(key)


def _refuse_if_asked_for_version(asked: list[FhirRequest], entries: list[Entry], lost: Lost) -> None:
    """A lost write under the caller's own If-Match is final: 412, naming the entry."""
    for request, entry in zip(asked, entries, strict=True):
        write = entry.response.write if entry.response else None
        if write is not None and write.key == lost.key and request.if_match is not None:
            raise PreconditionFailed("If-Match does not name the current version.", expression=[entry.path]) from None
