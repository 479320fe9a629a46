"""`python -m benchmarks.extraction [REPEATS]`: what search costs in this process, one core, no database.

First the microseconds to extract the search keys of a resource, by type, over the corpus of `benchmarks.validation`;
then those to parse and compile a search. Each figure is the median over the repeats of the mean.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sized
from urllib.parse import parse_qsl

from benchmarks.validation import corpus, microseconds
from fhir_server.search.compile import compile
from fhir_server.search.extract import extract, warm
from fhir_server.search.keys import Index
from fhir_server.search.parse import parse

BASE = "http://127.0.0.1:8080/fhir"
SEARCHES = [
    "Patient?name=smith&birthdate=ge1970",
    "Patient?identifier=http://hospital.example.org|12345",
    "Observation?patient=Patient/88fedc82&code=http://loinc.org|8302-2&date=ge2015&date=lt2016&_sort=-date&_count=50",
    "Observation?value-quantity=gt5.4|http://unitsofmeasure.org|mg&category=vital-signs",
    "Encounter?subject=Patient/88fedc82&_include=Encounter:patient&_revinclude=Observation:encounter",
]


def each(action: Callable[[], object], repeats: int, times: int = 500) -> float:
    """Median over the repeats of the mean time of the action."""
    means = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(times):
            action()
        means.append((time.perf_counter() - start) / times * 1e6)
    return statistics.median(means)


def main() -> None:
    repeats = int(sys.argv[1]) if sys.argv[1:] else 7
    start = time.perf_counter()
    warm()
    print(f"compiling the extractors of all types: {(time.perf_counter() - start) * 1000:.0f} ms\n")
    print(f"{'type':24}{'resources':>10}{'extract µs':>12}{'keys':>8}{'ranges':>8}{'scalars':>9}")
    for name, resources in sorted(corpus().items()):
        found = [extract(resource) for resource in resources]
        sizes = [sum(len(part) for part in parts) / len(found) for parts in zip(*map(_parts, found), strict=True)]
        quick = microseconds(extract, resources, repeats)
        print(f"{name:24}{len(resources):>10}{quick:>12.1f}{sizes[0]:>8.1f}{sizes[1]:>8.1f}{sizes[2]:>9.1f}")
    print(f"\n{'search':112}{'parse µs':>10}{'compile µs':>12}")
    for search in SEARCHES:
        resource_type, _, text = search.partition("?")
        pairs = parse_qsl(text)
        query = parse(resource_type, pairs, base_url=BASE)
        parsing = each(lambda: parse(resource_type, pairs, base_url=BASE), repeats)  # noqa: B023
        compiling = each(lambda: compile(query), repeats)  # noqa: B023
        print(f"{search:112}{parsing:>10.1f}{compiling:>12.1f}")


def _parts(index: Index) -> tuple[Sized, Sized, Sized]:
    return index.keys, index.ranges, index.sort


if __name__ == "__main__":
    main()
