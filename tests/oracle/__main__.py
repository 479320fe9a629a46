"""`python -m tests.oracle --queries 20000 --seed 1 --base http://127.0.0.1:8000/fhir`: does a server agree?

Loads nothing: reads all resources through the server's own paging, or from a folder with --folder.
Exit code 1 when there is any disagreement; what the server says it does not support is only counted.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from itertools import chain
from pathlib import Path
from random import Random

from tests.oracle.agreement import Server, disagreement, included_otherwise
from tests.oracle.corpus import folder
from tests.oracle.generator import generate, generate_includes
from tests.oracle.oracle import Oracle


def main(arguments: list[str] | None = None) -> int:
    """Compares and prints; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    parser.add_argument("--base", required=True, help="the URL of the server's FHIR endpoint")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--includes", type=int, default=0, help="how many queries with _include and _revinclude")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where the server's resources are, instead of reading them from it")
    parser.add_argument("--no-contained", action="store_true", help="the server's chains don't reach into contained")
    parser.add_argument("--token", default="", help="a bearer token")
    parser.add_argument("--stop-after", type=int, default=200, help="disagreements after which to stop")
    options = parser.parse_args(arguments)
    server = Server(options.base, options.token)
    started = time.monotonic()
    resources = folder(options.folder) if options.folder else server.resources()
    print(f"{len(resources)} resources in {time.monotonic() - started:.0f} s; seed {options.seed}", flush=True)
    oracle = Oracle(resources, options.base, chain_into_contained=not options.no_contained)
    queries = generate(Random(options.seed), oracle, options.queries)
    with_includes = generate_includes(Random(options.seed), oracle, options.includes)
    plain = (disagreement(server.search, oracle, *each) for each in queries)
    including = (included_otherwise(server.search_with_includes, oracle, *each) for each in with_includes)
    asked = wrong = 0
    refused: Counter[str] = Counter()
    started = time.monotonic()
    for found in chain(plain, including):
        asked += 1
        if found and found.refused:
            refused[found.refused] += 1
        elif found:
            wrong += 1
            print(found, flush=True)
        if wrong == options.stop_after:
            print(f"stopped after {wrong} disagreements")
            break
    for said, times in refused.most_common():
        print(f"refused {times} times as not supported: {said}")
    agreed = asked - wrong - refused.total()
    print(f"seed {options.seed}: {agreed} of {asked} agreed, in {time.monotonic() - started:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
