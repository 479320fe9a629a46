"""`python -m benchmarks.terminology`: load a made-up code system of 100,000 concepts, page and filter over HTTP.

Prints the time of each question (median and slowest of several) and the peak memory of loader and server.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.server import command, free_port, stop, wait_until_ready
from fhir_server.config import Settings
from fhir_server.main import running
from fhir_server.storage.concept_load import begin
from fhir_server.storage.concepts import ConceptRow, Designation
from fhir_server.storage.embedded import PrivateMongod

Json = dict[str, Any]
URL = "http://example.org/cs/large"
DEPTH, BATCH = 6, 2000
_ADJECTIVES = ["acute", "chronic", "mild", "severe", "early", "late", "benign", "latent", "focal", "diffuse"]
_PLACES = [
    "heart",
    "lung",
    "liver",
    "kidney",
    "bone",
    "skin",
    "brain",
    "eye",
    "ear",
    "hand",
    "foot",
    "knee",
    "hip",
    "neck",
    "spine",
]
_KINDS = [
    "inflammation",
    "injury",
    "infection",
    "tumour",
    "stenosis",
    "rupture",
    "swelling",
    "pain",
    "fracture",
    "lesion",
]


def parents(number: int, count: int) -> list[str]:
    """One or two concepts of the level above: DEPTH levels, each some times as wide as the one above."""
    width = count ** (1 / DEPTH)
    if number < width:
        return []
    first = int(number / width)
    return [f"C{one:06}" for one in dict.fromkeys((first, max(0, first - 1) if number % 10 == 0 else first))]


def concepts(count: int) -> Iterator[ConceptRow]:
    """The made-up concepts, the same every time."""
    dice = random.Random(1)
    for number in range(count):
        name = f"{dice.choice(_ADJECTIVES)} {dice.choice(_KINDS)} of the {dice.choice(_PLACES)}, type {number}"
        yield ConceptRow(
            f"C{number:06}",
            name.capitalize(),
            f"A made-up concept: {name}.",
            number,
            [Designation(f"{name} (Nederlands {number % 977})", "nl"), Designation(f"Synonym {number}")],
            [("grade", str(number % 7)), ("status", "draft" if number % 50 == 0 else "active")],
            parents(number, count),
            number % 100 == 99,
        )


async def load(uri: str, folder: Path, count: int) -> None:
    """Load the concepts in this process."""
    async with running(Settings(mongodb_uri=uri, database="bench", data_dir=folder, log_level="warning")) as server:
        resource = {"resourceType": "CodeSystem", "url": URL, "version": "1", "name": "Large", "status": "active"}
        began = time.perf_counter()
        writer = await begin(server.repository, resource, base_url="http://127.0.0.1/fhir")
        batch: list[ConceptRow] = []
        for row in concepts(count):
            batch.append(row)
            if len(batch) == BATCH:
                await writer.add(batch, progress={"rows": row.order})
                batch = []
        await writer.add(batch)
        added = time.perf_counter()
        await writer.finish()
        done = time.perf_counter()
    print(f"load {count:,} concepts: rows {added - began:.1f} s, hierarchy and keys {done - added:.1f} s")
    print(f"peak memory of the loader: {peak(os.getpid()):.0f} MB")


def peak(pid: int) -> float:
    """The largest resident size that a process had, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


@contextmanager
def serving(uri: str, folder: Path) -> Iterator[tuple[str, int]]:
    """A server on the database that was loaded: its base URL and process."""
    port, log = free_port(), folder / "server.log"
    environment = {**os.environ, "MONGODB_URI": uri, "FHIR_DATABASE": "bench"}
    with log.open("wb") as out:
        process = subprocess.Popen(command(port, 1, folder), stdout=out, stderr=out, env=environment)
    try:
        base = f"http://127.0.0.1:{port}/fhir"
        wait_until_ready(f"{base}/metadata", process, log)
        yield base, process.pid
    finally:
        stop(process)


def including(*filters: tuple[str, str, str]) -> Json:
    listed = [{"property": name, "op": op, "value": value} for name, op, value in filters]
    include = {"system": URL, **({"filter": listed} if listed else {})}
    return {"resourceType": "ValueSet", "status": "active", "compose": {"include": [include]}}


def questions(count: int) -> list[tuple[str, Json, Json]]:
    """What is asked: (name, value set, parameters of $expand)."""
    everything, below = including(), including(("concept", "is-a", "C000001"))
    beyond = (count // 20 - 1) * 20
    return [
        ("first page of all", everything, {"count": 20}),
        ("last page of all", everything, {"count": 20, "offset": beyond}),
        ("page of 1,000", everything, {"count": 1000, "offset": count // 2}),
        ("active only", everything, {"count": 20, "activeOnly": True}),
        ("words: two beginnings", everything, {"count": 20, "filter": "chron kidn"}),
        ("words: one letter", everything, {"count": 20, "filter": "a"}),
        ("words: one concept", everything, {"count": 20, "filter": "4711"}),
        ("is-a, a sixth of all", below, {"count": 20}),
        ("is-a and words", below, {"count": 20, "filter": "pain hip"}),
        ("property =", including(("grade", "=", "3")), {"count": 20}),
        ("regex on code", including(("code", "regex", "C00[0-9]{3}7")), {"count": 20}),
        ("all at once", everything, {}),
    ]


def ask(base: str, value_set: Json, parameters: Json) -> tuple[float, str]:
    """Seconds of one expansion, and its total or the issue code of the refusal."""
    kinds = {bool: "valueBoolean", int: "valueInteger", str: "valueString"}
    listed: list[Json] = [{"name": "valueSet", "resource": value_set}]
    listed += [{"name": name, kinds[type(value)]: value} for name, value in parameters.items()]
    body = msgspec.json.encode({"resourceType": "Parameters", "parameter": listed})
    request = urllib.request.Request(f"{base}/ValueSet/$expand", body, {"Content-Type": "application/fhir+json"})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    began = time.perf_counter()
    try:
        with direct.open(request, timeout=60) as answer:
            found = msgspec.json.decode(answer.read())
    except urllib.error.HTTPError as refusal:
        issue = msgspec.json.decode(refusal.read())["issue"][0]
        return time.perf_counter() - began, str(issue["code"])
    taken = time.perf_counter() - began
    return taken, f"{found['expansion']['total']:,} in all, {len(found['expansion'].get('contains', ()))} listed"


def pages(base: str, count: int) -> float:
    """Seconds to read everything in pages of 1,000."""
    began = time.perf_counter()
    for offset in range(0, count, 1000):
        ask(base, including(), {"offset": offset, "count": 1000})
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.terminology", description=__doc__)
    parser.add_argument("--concepts", type=int, default=100_000)
    parser.add_argument("--repetitions", type=int, default=7)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fhir-bench-") as name:
        folder = Path(name)
        with PrivateMongod(folder / "mongod", cache_gb=0.5) as uri:
            asyncio.run(load(uri, folder, asked.concepts))
            with serving(uri, folder) as (base, pid):
                print(f"memory of the server before: {peak(pid):.0f} MB")
                for label, value_set, parameters in questions(asked.concepts):
                    runs = [ask(base, value_set, parameters) for _ in range(asked.repetitions)]
                    times = sorted(seconds * 1000 for seconds, _ in runs)
                    print(f"{label:24} {statistics.median(times):8.1f} ms  max {times[-1]:8.1f} ms  {runs[0][1]}")
                print(f"everything in pages of 1,000: {pages(base, asked.concepts):.1f} s")
                print(f"peak memory of the server: {peak(pid):.0f} MB")


if __name__ == "__main__":
    main()
