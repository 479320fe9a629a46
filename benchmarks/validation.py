"""`python -m benchmarks.validation [REPEATS]`: microseconds that validation takes, by resource type, one core.

The Synthea bundles at ../shared/synthea where they are, else the sample of the tests. Each figure is the median over
the repeats of the mean over up to 200 resources of the type. `structure` is what every write pays; `explain` the
careful pass, for wrong input only; `invariants` and `profiles` are those levels in whole, all that they ask being
known. `profiles` has the profile of US Core 6.1.0 of the type where ../shared/packages has the package and there is
just one; these two need mongod, and are left out without.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from fhir_server.config import Settings
from fhir_server.context import FhirRequest
from fhir_server.definitions.package import Package
from fhir_server.json import decode
from fhir_server.main import Server, running
from fhir_server.storage.embedded import PrivateMongod
from fhir_server.storage.mongod import mongod_problem
from fhir_server.validation import Level, validate
from fhir_server.validation.explain import explain

ROOT = Path(__file__).resolve().parents[1]
SYNTHEA = ROOT.parent / "shared" / "synthea"
US_CORE = ROOT.parent / "shared" / "packages" / "hl7.fhir.us.core-6.1.0.tgz"
SAMPLE = ROOT / "tests" / "cases" / "valid_resources.yaml"
LIMIT = 200

Json = dict[str, Any]


def corpus() -> dict[str, list[Json]]:
    """Up to LIMIT resources of each type."""
    found: dict[str, list[Json]] = defaultdict(list)
    for bundle in map(decode, map(gzip.decompress, map(Path.read_bytes, sorted(SYNTHEA.glob("*.json.gz"))))):
        for entry in bundle["entry"]:
            resource = entry["resource"]
            if len(found[resource["resourceType"]]) < LIMIT:
                found[resource["resourceType"]].append(resource)
    if not found:
        for resource in yaml.safe_load(SAMPLE.read_text()):
            found[resource["resourceType"]].append(decode(json.dumps(resource)))
    return found


def microseconds(check: Callable[[Json], object], resources: list[Json], repeats: int) -> float:
    """Median over the repeats of the mean time for one resource."""
    means = []
    for _ in range(repeats):
        start = time.perf_counter()
        for resource in resources:
            check(resource)
        means.append((time.perf_counter() - start) / len(resources) * 1e6)
    return statistics.median(means)


async def deeper(server: Server, resources: list[Json], repeats: int, level: Level, profiles: list[str]) -> float:
    """The same for a level of the server's validator, once all that it asks is known."""

    async def read(_type: str, _id: str) -> Json | None:
        return None

    means = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        for resource in resources:
            await server.validator.check(resource, read, level=level, profiles=profiles)
        means.append((time.perf_counter() - start) / len(resources) * 1e6)
    return statistics.median(means[1:])


async def install(server: Server) -> dict[str, list[str]]:
    """Store the definitions of US Core; resource type → its profile, where there is but one."""
    if not US_CORE.is_file():
        return {}
    ctx = server.context()
    found: dict[str, list[str]] = defaultdict(list)
    for item in Package.from_file(US_CORE).items:
        if item.role != "conformance" or item.type not in ("CodeSystem", "ValueSet", "StructureDefinition"):
            continue
        resource = item.resource()
        await ctx.dispatch(ctx, FhirRequest("PUT", f"{item.type}/{item.id}", body=resource))
        if resource.get("kind") == "resource":
            found[resource["type"]].append(item.url)
    return {type_: urls for type_, urls in found.items() if len(urls) == 1}


@contextmanager
def settings() -> Iterator[Settings | None]:
    """The settings of a server on a private mongod; None without one."""
    if mongod_problem():
        yield None
        return
    with tempfile.TemporaryDirectory() as folder, PrivateMongod(Path(folder), cache_gb=0.5) as uri:
        yield Settings(mongodb_uri=uri, database="benchmark", data_dir=Path(folder), log_level="warning")


def structure(resources: list[Json], repeats: int) -> list[float]:
    return [microseconds(validate, resources, repeats), microseconds(explain, resources, repeats)]


async def report(repeats: int, given: Settings) -> None:
    async with running(given) as server:
        profiles = await install(server)
        for name, resources in sorted(corpus().items()):
            figures = structure(resources, repeats)
            for level, wanted in ((Level.INVARIANTS, []), (Level.PROFILES, profiles.get(name, []))):
                figures.append(await deeper(server, resources, repeats, level, wanted))
            line(name, len(resources), figures, " ".join(profiles.get(name, [])).rpartition("/")[2])


def line(name: str, count: int, figures: list[float], profile: str = "") -> None:
    print(f"{name:24}{count:>10}{''.join(f'{one:>12.1f}' for one in figures)}  {profile}".rstrip())


def main() -> None:
    repeats = int(sys.argv[1]) if sys.argv[1:] else 7
    heads = ("structure", "explain", "invariants", "profiles")
    print(f"{'µs by type':24}{'resources':>10}{''.join(f'{head:>12}' for head in heads)}  profile")
    with settings() as given:
        if given is not None:
            return asyncio.run(report(repeats, given))
        for name, resources in sorted(corpus().items()):
            line(name, len(resources), structure(resources, repeats))


if __name__ == "__main__":
    main()
