"""`python -m benchmarks.validation [REPEATS]`: microseconds that the structure check takes, by resource type, one core.

The Synthea bundles at ../shared/synthea where they are, else the sample of the tests. Each figure is the median over
the repeats of the mean over up to 200 resources of the type. `explain` is the careful pass, paid for wrong input only.
"""

from __future__ import annotations

import gzip
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from fhir_server.json import decode
from fhir_server.validation import validate
from fhir_server.validation.explain import explain

ROOT = Path(__file__).resolve().parents[1]
SYNTHEA = ROOT.parent / "shared" / "synthea"
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


def main() -> None:
    repeats = int(sys.argv[1]) if sys.argv[1:] else 7
    print(f"{'type':24}{'resources':>10}{'validate µs':>13}{'explain µs':>12}")
    for name, resources in sorted(corpus().items()):
        quick = microseconds(validate, resources, repeats)
        careful = microseconds(explain, resources, repeats)
        print(f"{name:24}{len(resources):>10}{quick:>13.1f}{careful:>12.1f}")


if __name__ == "__main__":
    main()
