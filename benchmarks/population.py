"""`python -m benchmarks.population`: make a population out of Synthea's patients and bring it into a server.

As files for `fhir-server load`, as transactions over HTTP, or (for big ones) straight into the collections.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import bulk
from benchmarks.copies import Population, bundle
from benchmarks.load import Call
from benchmarks.session import Session, Unusable
from benchmarks.target import Refused, target

SYNTHEA = Path(__file__).resolve().parents[2] / "shared" / "synthea"


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="python -m benchmarks.population", description="Make a population of Synthea's patients, and load it."
    )
    found.add_argument("--patients", type=int, required=True)
    found.add_argument("--seed", type=int, default=1)
    found.add_argument("--synthea", type=Path, default=SYNTHEA, help="directory of transaction Bundles")
    where = found.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", type=Path, help="write transaction Bundles here, for `fhir-server load`")
    where.add_argument("--base", help="send them to this server, on a loopback address")
    where.add_argument("--direct", type=Path, metavar="DIR", help="straight into the private database of this data dir")
    found.add_argument("--workers", type=int, default=bulk.WORKERS, help="processes of --direct")
    return found


def write(population: Population, count: int, folder: Path) -> None:
    """A file for each patient, in the order in which they must be loaded (later ones refer to shared resources)."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"{number:06}.json.gz").write_bytes(gzip.compress(bundle(population.patient(number)), 1))


async def send(population: Population, count: int, base: str) -> None:
    """A transaction for each patient, four at a time."""
    session = Session(target(base))

    def calls() -> Iterator[Call]:
        for number in range(count):
            yield Call(session.target.request("POST", "", bundle(population.patient(number))), lambda *_: None)

    waiting = calls()
    while group := list(itertools.islice(waiting, 16)):
        await session.perform(group, 4, expect="transaction")


def main() -> int:
    options = parser().parse_args()
    source = bulk.Source(options.synthea, options.seed, options.patients)
    began = time.perf_counter()
    try:
        if options.direct:
            print(bulk.table(bulk.fill(options.direct, source, options.workers)))
        elif options.out:
            write(Population(options.synthea, options.seed), options.patients, options.out)
        else:
            asyncio.run(send(Population(options.synthea, options.seed), options.patients, options.base))
    except (Refused, Unusable) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{options.patients} patients in {time.perf_counter() - began:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
