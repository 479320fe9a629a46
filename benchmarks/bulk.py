"""A population straight into the collections, with the same documents that the server writes, in several processes.

Indexes are built once everything is there, so they come out denser than those that grow by and by.
"""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from pymongo import IndexModel, MongoClient
from pymongo.write_concern import WriteConcern

from benchmarks.copies import Population
from benchmarks.session import Unusable
from fhir_server.config import Settings
from fhir_server.main import running
from fhir_server.search.extract import extract, warm
from fhir_server.storage.clock import Clock
from fhir_server.storage.database import INDEXES
from fhir_server.storage.embedded import database_uri
from fhir_server.storage.unit_of_work import Write

Document = dict[str, Any]
Client = MongoClient[Document]
WORKERS = os.cpu_count() or 1
COLLECTIONS = ("resource", "version")
BATCH = 1000  # documents of one insert
CACHE_GB = 2.0  # of the database while it is filled: two indexes grow at random places
BYTES_EACH = 4000  # on disk for each resource, at most: what must be free before it begins


@dataclass(frozen=True, slots=True)
class Source:
    """Which population: the folder it is made from (None: the program's own sample), the seed, how many patients."""

    folder: Path | None
    seed: int
    patients: int


@dataclass(slots=True)
class Filled:
    """What is there: seconds that it took, and bytes of the collections and of their indexes."""

    resources: int
    insert_seconds: float
    index_seconds: float
    collections: dict[str, Document] = field(default_factory=dict)


def fill(data_dir: Path, source: Source, workers: int = WORKERS) -> Filled:
    """Write the population into the private database of a data directory; Unusable when the disk is too small."""
    wanted = Population(source.folder, source.seed).count(source.patients)
    data_dir.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(data_dir).free
    if free < wanted * BYTES_EACH:
        raise Unusable(
            f"{wanted:,} resources need about {wanted * BYTES_EACH >> 30} GiB, and {free >> 30} GiB are free"
        )
    settings = Settings(data_dir=data_dir, mongodb_uri=None, mongod_cache_gb=CACHE_GB)
    with database_uri(settings) as uri:
        prefix = settings.database
        asyncio.run(_start(settings, uri))  # while it is empty: a server that finds keys of unknown origin reindexes
        with Client(uri) as client:
            database = client[f"{prefix}_fhir"]
            for name in COLLECTIONS:
                database[name].drop_indexes()
            began = time.perf_counter()
            with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
                jobs = [pool.submit(_work, uri, prefix, source, part, workers) for part in range(workers)]
                written = sum(job.result() for job in jobs)
            inserted = time.perf_counter()
            with ThreadPoolExecutor() as threads:
                list(threads.map(lambda name: _index(client, f"{prefix}_fhir", name), COLLECTIONS))
            client.admin.command("fsync")  # what is not on disk yet is not in the figures
            found = Filled(written, inserted - began, time.perf_counter() - inserted)
            found.collections = {name: database.command("collStats", name) for name in COLLECTIONS}
        asyncio.run(_start(settings, uri))
    return found


def _index(client: Client, database: str, name: str) -> None:
    models = [IndexModel(fields, name=index, **options) for index, fields, options in INDEXES[name]]
    client[database][name].create_indexes(models)


async def _start(settings: Settings, uri: str) -> None:
    """What a server does with a database when it starts: collections and indexes, and notes that all is indexed."""
    async with running(settings.model_copy(update={"mongodb_uri": uri})):
        pass


def _work(uri: str, prefix: str, source: Source, part: int, parts: int) -> int:
    """Write every patient whose number leaves the rest `part`; answers the number of resources."""
    gc.disable()  # resources are trees: looking for cycles in them took a third of the time
    warm()
    population, clock, nonce, written = Population(source.folder, source.seed), Clock(), secrets.token_hex(8), 0
    with Client(uri, maxPoolSize=1) as client:
        concern = WriteConcern(w=1, j=False)
        resource, version = (
            client[f"{prefix}_fhir"].get_collection(name, write_concern=concern) for name in COLLECTIONS
        )
        for writes in _batches(population, range(part, source.patients, parts), clock):
            resource.insert_many([write.envelope() for write in writes], ordered=False)
            version.insert_many([write.history(nonce) for write in writes], ordered=False)
            written += len(writes)
    return written


def _batches(population: Population, numbers: range, clock: Clock) -> Iterator[list[Write]]:
    batch: list[Write] = []
    for number in numbers:
        batch += [_write(resource, clock) for resource in population.patient(number)]
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _write(resource: Document, clock: Clock) -> Write:
    """A first version as the server makes it: fhir_server/api.py, fhir_server/storage/flusher.py."""
    write = Write("POST", resource["resourceType"], resource["id"], resource)
    write.index = extract(resource).document()
    write.prepare()
    write.seal(clock.updated, clock.creation)
    return write


def table(filled: Filled) -> str:
    """What the population takes on disk, as Markdown."""
    lines = [
        f"{filled.resources:,} resources: inserted in {filled.insert_seconds:.0f} s "
        f"({filled.resources / max(filled.insert_seconds, 0.001):,.0f}/s), "
        f"indexes built in {filled.index_seconds:.0f} s",
        "",
        "| | MB | bytes per resource |",
        "|---|---:|---:|",
    ]
    total = 0
    for name, statistics in filled.collections.items():
        rows = {f"{name}, data": statistics["storageSize"]}
        rows |= {f"{name}, index {index}": size for index, size in statistics["indexSizes"].items()}
        total += sum(rows.values())
        lines += [_row(label, size, filled.resources) for label, size in rows.items()]
        lines.append(_row(f"{name}, before compression", statistics["size"], filled.resources))
    lines.append(_row("on disk", total, filled.resources))
    return "\n".join(lines)


def _row(label: str, size: int, resources: int) -> str:
    return f"| {label} | {size / 1e6:,.1f} | {size / max(resources, 1):,.0f} |"
