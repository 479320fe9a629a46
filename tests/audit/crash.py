"""A process that records reads and writes without end, and tells of each one that is safe: URI PREFIX DIR wait|spool"""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

from fhir_server.audit import Entry, entry
from fhir_server.storage.unit_of_work import UnitOfWork, Write
from tests.audit.conftest import DOCTOR, Process, read_of


def told(id_: str) -> None:
    sys.stdout.write(f"{id_}\n")
    sys.stdout.flush()


async def read(process: Process, numbers: itertools.count[int]) -> None:
    for number in numbers:
        await process.trail.record([read_of("Basic", f"r{number}")])
        told(f"Basic/r{number}")
        await asyncio.sleep(0)  # a file makes nobody wait


async def write(process: Process, numbers: itertools.count[int]) -> None:
    for number in numbers:
        one = Write("PUT", "Basic", f"w{number}", {"resourceType": "Basic", "id": f"w{number}"})
        one.index = {"k": ["b"]}
        one.prepare()
        unit = UnitOfWork()
        unit.add(one)
        unit.audit.append(Entry(entry.now(), "update", "U", 200, DOCTOR, "Basic", f"w{number}"))
        await process.repository.commit(unit)
        told(f"Basic/w{number}")


async def anchor(process: Process) -> None:
    while True:
        await process.trail.anchors.make(period=0)
        await asyncio.sleep(0.01)


async def main(uri: str, prefix: str, data_dir: str, wait: str) -> None:
    process = Process(uri, prefix, Path(data_dir), wait=wait == "wait")
    await process.start()
    reads, writes = itertools.count(), itertools.count()
    jobs = [read(process, reads) for _ in range(16)] + [write(process, writes) for _ in range(16)]
    await asyncio.gather(anchor(process), *jobs)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
