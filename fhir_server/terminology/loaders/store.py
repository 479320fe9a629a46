"""A release into the database: part by part, so that a load that was killed goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from fhir_server.storage.concept_load import ConceptLoad, begin
from fhir_server.storage.concepts import ConceptRow
from fhir_server.storage.repository import Repository
from fhir_server.terminology.loaders.files import BadRelease
from fhir_server.terminology.loaders.release import Release, Rows

Report = Callable[[str, int, int], None]  # what is done at the moment, how much of it, of how much

BATCH = 2000  # rows of a file, merged where they tell of the same code


async def store(
    repository: Repository, release: Release, *, base_url: str, report: Report, restart: bool = False
) -> int:
    """Store the release, or what an earlier attempt left; answers the number of concepts.

    Nobody sees anything of it before it is complete. Raises BadRelease, and then nothing of it is left.
    """
    load = await begin(repository, release.resource, base_url=base_url, restart=restart)
    if load.progress.get("source", release.fingerprint) != release.fingerprint:  # of another file
        load = await begin(repository, release.resource, base_url=base_url, restart=True)
    try:
        await _read(load, release, report)
    except BadRelease:
        await load.abandon()
        raise
    return await load.finish(lambda done, total: report("Working out the hierarchy", done, total))


async def _read(load: ConceptLoad, release: Release, report: Report) -> None:
    first, at = load.progress.get("part", 0), load.progress.get("at", 0)
    before = sum(part.file.size for part in release.parts[:first])
    for index, part in list(enumerate(release.parts))[first:]:
        for last, rows in _batches(part.rows(), at if index == first else 0):
            await load.add(rows, progress={"source": release.fingerprint, "part": index, "at": last})
            report(f"Reading {part.file.base}", before + part.file.meter.tell(), release.size)
        before += part.file.size
    await load.add((), progress={"source": release.fingerprint, "part": len(release.parts), "at": 0})
    report("Reading", release.size, release.size)


def _batches(rows: Rows, after: int) -> Iterator[tuple[int, list[ConceptRow]]]:
    """The rows behind line `after` in batches, each with its last line; a line is never split."""
    batch: list[ConceptRow] = []
    last = after
    for line, row in rows:
        if line <= after:
            continue
        if len(batch) >= BATCH and line != last:
            yield last, merged(batch)
            batch = []
        batch.append(row)
        last = line
    if batch:
        yield last, merged(batch)


def merged(rows: Iterable[ConceptRow]) -> list[ConceptRow]:
    """One row for each code: what comes later adds to lists and overwrites the rest."""
    found: dict[str, ConceptRow] = {}
    for row in rows:
        held = found.get(row.code)
        found[row.code] = row if held is None else _both(held, row)
    return list(found.values())


def _both(held: ConceptRow, row: ConceptRow) -> ConceptRow:
    return replace(
        held,
        display=row.display or held.display,
        definition=row.definition or held.definition,
        order=held.order if row.order is None else row.order,
        designations=list(dict.fromkeys([*held.designations, *row.designations])),
        properties=list(dict.fromkeys([*held.properties, *row.properties])),
        parents=list(dict.fromkeys([*held.parents, *row.parents])),
        inactive=held.inactive if row.inactive is None else row.inactive,
        abstract=held.abstract if row.abstract is None else row.abstract,
    )
