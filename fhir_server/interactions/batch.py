"""Independent entries, each with its own outcome: https://hl7.org/fhir/R4/http.html#brules."""

from __future__ import annotations

import asyncio
from itertools import groupby

import structlog

from fhir_server.context import Context, FhirResponse
from fhir_server.interactions.entries import Entry, failed
from fhir_server.outcomes import FhirError, Issue, operation_outcome

log = structlog.get_logger(__name__)
TOGETHER = 32  # entries under way at once, so that they share flushes and queries


async def batch(ctx: Context, entries: list[Entry]) -> None:
    """Run every entry through the dispatcher; those of one kind side by side, kinds in a transaction's order."""
    gate = asyncio.Semaphore(TOGETHER)

    async def run(entry: Entry) -> None:
        async with gate:
            entry.response = await _one(ctx, entry)

    sound = [entry for entry in entries if entry.response is None]
    for _, together in groupby(sorted(sound, key=lambda e: e.order), key=lambda e: e.order):
        await asyncio.gather(*(run(entry) for entry in together))


async def _one(ctx: Context, entry: Entry) -> FhirResponse:
    request = entry.request
    try:
        if request.method == "POST" and not request.path:
            raise FhirError("A Bundle cannot stand within a batch.", code="not-supported", status=400)
        return await ctx.dispatch(ctx, request)
    except FhirError as error:
        return failed(error)
    except Exception as error:
        # Only the type: a message, or a traceback with its locals, quotes what the caller sent.
        kind = type(error).__qualname__
        log.error("batch entry failed", request_id=ctx.request_id, entry=entry.index, exception=kind)
        issue = Issue("exception", f"The entry failed; reference {ctx.request_id}.", severity="fatal")
        return FhirResponse(500, outcome=operation_outcome([issue]))
