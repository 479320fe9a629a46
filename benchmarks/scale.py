"""`python -m benchmarks.scale --patients 1000 --patients 8000`: the same searches of a small and of a big population.

Each population is written straight into a private database, a real server answers over HTTP on loopback, and the
values asked for are drawn from the population. docs/benchmarking.md explains the figures; none of them is asserted.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec
import uvloop

from benchmarks import bulk, comparison, report
from benchmarks.asking import ask, mix, walk
from benchmarks.comparison import Run
from benchmarks.copies import Population
from benchmarks.load import Plan
from benchmarks.population import SYNTHEA
from benchmarks.processes import Usage, tree, usage
from benchmarks.server import FOREIGN, Started, command, free_port, stop, wait_until_ready
from benchmarks.session import Session, Unusable
from benchmarks.shapes import GROUPS, SHAPES, Sample, Shape, queries
from benchmarks.target import target

DRAWN = 60  # patients whose resources the values are taken from
QUERIES = 40  # different ones of each shape
CONNECTIONS = 16


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="python -m benchmarks.scale", description="Measure searches of populations of different sizes."
    )
    found.add_argument("--patients", type=int, action="append", required=True, help="once for each population")
    found.add_argument("--seconds", type=float, default=5.0, help="for each shape, one request at a time")
    found.add_argument(
        "--only", type=chosen, default=list(SHAPES), help="comma list of shapes or groups: " + ", ".join(GROUPS)
    )
    found.add_argument("--data-dir", type=Path, help="keep the populations here, and use those that are there")
    found.add_argument("--cache-gb", type=float, help="of the private database; else the server's default")
    found.add_argument("--workers", type=int, default=1, help="server processes")
    found.add_argument("--synthea", type=Path, default=SYNTHEA, help="directory of transaction Bundles")
    found.add_argument("--seed", type=int, default=1)
    found.add_argument("--json", type=Path, help="file for the figures")
    return found


def chosen(text: str) -> list[Shape]:
    """The shapes of a comma list of their names and groups."""
    asked = [part.strip() for part in text.split(",")]
    found = [shape for shape in SHAPES if shape.name in asked or shape.group in asked]
    if unknown := set(asked) - {name for shape in found for name in (shape.name, shape.group)}:
        raise argparse.ArgumentTypeError(f"no shape or group named {', '.join(sorted(unknown))}")
    return found


@contextmanager
def populated(options: argparse.Namespace, patients: int) -> Iterator[Path]:
    """A data directory with the population: a kept one, or a new one in a temporary place."""
    source = bulk.Source(options.synthea, options.seed, patients)
    if options.data_dir is None:
        with tempfile.TemporaryDirectory(prefix="fhir-scale-") as folder:
            print(bulk.table(bulk.fill(Path(folder), source)), flush=True)
            yield Path(folder)
        return
    folder = options.data_dir / f"{patients}-{options.seed}"
    complete = folder / "complete"
    if not complete.exists():
        if folder.exists():
            raise Unusable(f"{folder} holds a population that is not complete; remove it.")
        print(bulk.table(bulk.fill(folder, source)), flush=True)
        complete.touch()
    yield folder


@contextmanager
def serving(data_dir: Path, workers: int, cache_gb: float | None) -> Iterator[Started]:
    """A server of ours on this data directory."""
    port, log = free_port(), data_dir / "server.log"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
    if cache_gb is not None:
        environment["FHIR_MONGOD_CACHE_GB"] = str(cache_gb)
    with log.open("wb") as out:
        arguments = command(port, workers, data_dir)
        process = subprocess.Popen(arguments, stdout=out, stderr=out, env=environment, start_new_session=True)
    try:
        base = f"http://127.0.0.1:{port}/fhir"
        wait_until_ready(f"{base}/metadata", process, log)
        yield Started(base, process.pid, data_dir, 0.0)
    finally:
        stop(process)


async def measure(server: Started, options: argparse.Namespace, patients: int) -> Run:
    """All shapes one after the other, then the mix, then the pages."""
    session = Session(target(server.base), options.seed)
    population = Population(options.synthea, options.seed)
    dice = random.Random(f"{options.seed}/{patients}")
    numbers = dice.sample(range(patients), min(DRAWN, patients))
    drawn = [resource for number in numbers for resource in population.patient(number)]
    sample = Sample(drawn, dice, await window(session))
    plan = Plan(options.seconds, repetitions=1, warm_up=min(1.0, options.seconds / 2))

    def used() -> Usage:
        return usage(tree([server.pid], str(server.data_dir)))

    found = Run(patients, population.count(patients), [], [], [], [])
    mixed: list[tuple[Shape, list[str]]] = []
    for shape in options.only:
        paths = queries(shape, sample, QUERIES)
        asked = await ask(session, shape, paths, plan, used) if paths else None
        if asked is None:
            found.remarks.append(f"{shape.name}: not measured, the data has no values for it")
            continue
        print(f"{patients:,} patients, {shape.name}: {asked.p50:.2f} ms, p99 {asked.p99:.2f}", flush=True)
        found.shapes.append(asked)
        if shape.group == "mix" and not asked.failed:
            mixed.append((shape, paths))
    if mixed:
        found.mixes = [await mix(session, mixed, connections, plan, used) for connections in (1, CONNECTIONS)]
    if any(shape.group == "totals" for shape in options.only):
        found.pages = await walk(session)
    return found


async def window(session: Session) -> tuple[datetime, datetime]:
    """When the first and the last Observation were written."""
    stamps = []
    for order in ("_lastUpdated", "-_lastUpdated"):
        answer = await session.fetch(f"Observation?_sort={order}&_count=1")
        if answer.status != 200 or not answer.json().get("entry"):
            raise Unusable("The server has no Observations.")
        stamps.append(datetime.fromisoformat(answer.json()["entry"][0]["resource"]["meta"]["lastUpdated"]))
    return stamps[0], stamps[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, 1 when an answer was wrong or failed, 2 when something could not be measured."""
    options = parser().parse_args(arguments)
    runs: list[Run] = []
    try:
        for patients in sorted(set(options.patients)):
            with (
                populated(options, patients) as folder,
                serving(folder, options.workers, options.cache_gb) as server,
                asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
            ):
                runs.append(runner.run(measure(server, options, patients)))
    except Unusable as error:
        print(error, file=sys.stderr)
        return 2
    print("\n" + comparison.text(runs))
    if options.json:
        document = {"machine": report.machine(), "runs": runs}
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2))
    return int(any(asked.wrong or asked.failed for run in runs for asked in run.shapes))


if __name__ == "__main__":
    sys.exit(main())
