"""`python -m benchmarks.audit`: what the audit trail costs a request, in CPU and in waiting. docs/audit.md has figures.

Readers read a resource one after the other, with and without recording it, in this process and on a private database.
Then entries alone are stored in groups of fixed sizes, encoded in different ways.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from benchmarks.processes import tree, usage
from fhir_server.access.principal import SYSTEM
from fhir_server.audit import Agent, Entry, Trail, entry, group
from fhir_server.audit.lines import Lines, gathered, keys
from fhir_server.storage.clock import Clock
from fhir_server.storage.database import DURABLE, Database
from fhir_server.storage.embedded import PrivateMongod
from fhir_server.storage.repository import Repository
from fhir_server.storage.unit_of_work import UnitOfWork, Write

Document = dict[str, Any]
RESOURCES = 2000
AGENT = Agent.of(
    "dr-who",
    user="Practitioner/4f0e6c1b-7d3a-4c0e-9f5e-0a1b2c3d4e5f",
    client="growth-chart",
    grant="2b7e151628aed2a6abf71589",
    roles=("doctor",),
    address="192.168.17.4",
    software="Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36",
)


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="python -m benchmarks.audit", description="Measure the audit trail.")
    found.add_argument("--readers", type=int, nargs="+", default=[1, 16, 64, 256], help="at once: a run each")
    found.add_argument("--seconds", type=float, default=4.0, help="of one run")
    found.add_argument("--entries", type=int, default=8000, help="stored in each encoding and group size")
    return found


def read_of(number: int) -> Entry:
    """What a request makes."""
    return Entry(
        entry.now(),
        "read",
        "R",
        200,
        AGENT,
        "Observation",
        f"9b0e{number % RESOURCES:032d}",
        "3",
        "",
        (f"Patient/7c1d{number % 97:032d}",),
        "3f6a2b1c9d8e7f60",
    )


# ---- in memory -------------------------------------------------------------------------------------------


def microseconds(call: Callable[[], object], repetitions: int) -> float:
    """CPU time of one call; the best of five rounds."""
    rounds = []
    for _ in range(5):
        started = time.process_time_ns()
        for _ in range(repetitions):
            call()
        rounds.append((time.process_time_ns() - started) / 1000 / repetitions)
    return min(rounds)


def one_of(entries: list[Entry]) -> Lines:
    """The text of these few."""
    return next(gathered(entries))


def in_memory() -> None:
    """An entry, and its share of a group's encoding, keys and hash."""
    print(f"entry made             {microseconds(lambda: read_of(7), 20_000):6.2f} µs")
    for size in (1, 16, 64, 256):
        entries = [read_of(number) for number in range(size)]
        share = microseconds(lambda e=entries: group.document(b"k" * 32, "c", 1, b"p" * 32, 1, one_of(e)), 500) / size  # type: ignore[misc]
        length = one_of(entries).size / size
        print(f"share of a group of {size:3d} {share:6.2f} µs, {length:.0f} bytes")
    text = '{"resourceType":"Observation","subject":{"reference":"Patient/1"},"x":"' + "y" * 1500 + '"}'
    print(f"patients in a resource {microseconds(lambda: entry.patients_in(text), 20_000):6.2f} µs")


# ---- readers ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """Requests per second, latencies in milliseconds, CPU microseconds per request."""

    rate: float
    median: float
    p99: float
    python: float
    database: float


async def readers(count: int, seconds: float, request: Callable[[int], Awaitable[None]], directory: str) -> Run:
    """So many readers, each with one request at a time."""
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def one(number: int) -> None:
        while (started := time.perf_counter()) < end:
            await request(number)
            latencies.append((time.perf_counter() - started) * 1000)
            number += count

    before = usage(tree([os.getpid()], directory))
    python = time.process_time()
    await asyncio.gather(*(one(number) for number in range(count)))
    python = time.process_time() - python
    after = usage(tree([os.getpid()], directory))
    latencies.sort()
    done = len(latencies)
    return Run(
        done / seconds,
        statistics.median(latencies),
        latencies[int(done * 0.99)],
        python / done * 1e6,
        (after.database_cpu - before.database_cpu) / done * 1e6,
    )


async def with_and_without(process: Process, options: argparse.Namespace, directory: str) -> None:
    """A table: readers without the trail, with entries in a file at first, and waiting for the database."""
    repository, trail, spooled = process.repository, process.trail, process.spooled
    ids = [f"9b0e{number:032d}" for number in range(RESOURCES)]

    async def plain(number: int) -> None:
        await repository.read(SYSTEM, "Observation", ids[number % RESOURCES])

    async def audited(number: int) -> None:
        await repository.read(SYSTEM, "Observation", ids[number % RESOURCES])
        await trail.record([read_of(number)])

    async def noted(number: int) -> None:
        await repository.read(SYSTEM, "Observation", ids[number % RESOURCES])
        await spooled.record([read_of(number)])

    print("\nreaders  trail  requests/s   median ms   p99 ms   CPU µs: Python  mongod")
    for count in options.readers:
        for name, request in (("no", plain), ("file", noted), ("wait", audited)):
            run = await readers(count, options.seconds, request, directory)
            print(
                f"{count:7d}  {name:5s} {run.rate:11.0f} {run.median:11.2f} {run.p99:8.2f} "
                f"{run.python:15.0f} {run.database:7.0f}"
            )


# ---- encodings -------------------------------------------------------------------------------------------


def as_text(entries: list[Entry]) -> Document:
    """As the trail has it: JSON text and one array of keys."""
    return {"p": b"p" * 32, "h": b"h" * 32, "e": one_of(entries).text(), "k": keys(entries)}


def as_binary(entries: list[Entry]) -> Document:
    """MessagePack, and the same keys."""
    return {"p": b"p" * 32, "h": b"h" * 32, "e": msgspec.msgpack.encode(entries), "k": keys(entries)}


def without_keys(entries: list[Entry]) -> Document:
    """Found by time alone."""
    return {"p": b"p" * 32, "h": b"h" * 32, "e": one_of(entries).text()}


def as_documents(entries: list[Entry]) -> Document:
    """A document for each entry, with the fields that searches need."""
    rows = [
        {"x": msgspec.to_builtins(one), "k": [f"p{p}" for p in one.patients] + [f"e{one.type}/{one.id}"]}
        for one in entries
    ]
    for row, one in zip(rows, entries, strict=True):
        row["k"].append(f"a{one.agent.user}")
    return {"p": b"p" * 32, "h": b"h" * 32, "e": rows}


ENCODINGS: dict[str, tuple[Callable[[list[Entry]], Document], str]] = {
    "JSON text + keys": (as_text, "k"),
    "MessagePack + keys": (as_binary, "k"),
    "JSON text, no keys": (without_keys, ""),
    "sub-documents": (as_documents, "e.k"),
}


async def encodings(process: Process, options: argparse.Namespace, directory: str) -> None:
    """A table: CPU per entry, and bytes on the disk."""
    print("\nencoding             entries/group   CPU µs: Python  mongod   bytes/entry: data  indexes")
    for name, (encode, key) in ENCODINGS.items():
        for size in (1, 16, 64):
            collection = process.database.system["bench"].with_options(write_concern=DURABLE)
            await collection.drop()
            await process.database.system.create_collection(
                "bench", storageEngine={"wiredTiger": {"configString": "block_compressor=zstd"}}
            )
            await collection.create_index([("t", -1), ("_id", -1)])
            if key:
                await collection.create_index([(key, 1), ("t", -1)])
            before = usage(tree([os.getpid()], directory))
            python = time.process_time()
            total = options.entries // (8 if size == 1 else 1)
            for start in range(0, total, size):
                entries = [read_of(number) for number in range(start, start + size)]
                await collection.insert_one({"_id": f"chain/{start:010d}", "t": start, **encode(entries)})
            python = time.process_time() - python
            after = usage(tree([os.getpid()], directory))
            await process.database.client.admin.command("fsync")
            stats = await process.database.system.command("collStats", "bench")
            print(
                f"{name:20s} {size:13d} {python / total * 1e6:16.1f} "
                f"{(after.database_cpu - before.database_cpu) / total * 1e6:7.1f} "
                f"{stats['storageSize'] / total:19.0f} {stats['totalIndexSize'] / total:8.0f}"
            )


# ---- the whole -------------------------------------------------------------------------------------------


class Process:
    """What a server process has of storage and trail."""

    def __init__(self, uri: str, directory: str) -> None:
        self.database = Database(uri, "bench")
        self.clock = Clock()
        self.repository = Repository(self.database, self.clock, query_seconds=10, max_pending=10_000)
        data_dir, now = Path(directory), self.clock.now
        self.trail = Trail(self.database, data_dir, alive=self._alive, now=now, wait=True)
        self.spooled = Trail(self.database, data_dir, alive=self._alive, now=now)

    async def _alive(self) -> list[str]:
        return [self.database.incarnation]

    async def fill(self) -> None:
        """Resources to read, of some 1.5 kB."""
        unit = UnitOfWork()
        for number in range(RESOURCES):
            id_ = f"9b0e{number:032d}"
            note = [{"text": "x" * 1300}]
            write = Write(
                "PUT", "Observation", id_, {"resourceType": "Observation", "id": id_, "status": "final", "note": note}
            )
            write.index = {"k": ["b"]}
            write.prepare()
            unit.add(write)
        await self.repository.commit(unit)


async def measure(uri: str, directory: str, options: argparse.Namespace) -> None:
    process = Process(uri, directory)
    await process.database.prepare()
    await process.trail.start()
    await process.spooled.start()
    await process.fill()
    await with_and_without(process, options, directory)
    await encodings(process, options, directory)
    await process.spooled.stop()
    await process.trail.stop()
    await process.database.close()


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    in_memory()
    with tempfile.TemporaryDirectory() as directory, PrivateMongod(Path(directory)) as uri:
        uvloop.run(measure(uri, directory, options))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
