"""All tests, in two processes side by side: `python -m scripts.run_tests`, what `make test` runs without ARGS.

Each has a mongod of its own. FIRST is what takes about half of the time; everything else, also what is new, is the
other half. The whole takes as long as the longer one.
"""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIRST = frozenset(
    {
        "access",
        "audit",
        "browser",
        "clients",
        "definitions",
        "fhirpath",
        "ig",
        "interactions",
        "leak",
        "operations",
        "packages",
        "patching",
        "reliability",
        "rest",
        "search",
        "storage",
        "terminology",
        "validation",
        "xml",
    }
)


def lanes() -> tuple[list[str], list[str]]:
    """The folders and files of tests that each process runs."""
    found = sorted((ROOT / "tests").iterdir())
    every = [path for path in found if path.match("test_*.py") or any(path.glob("**/test_*.py"))]
    first = [f"tests/{path.name}" for path in every if path.name in FIRST]
    return first, [f"tests/{path.name}" for path in every if path.name not in FIRST]


def main() -> int:
    """Exit status 0 when both are green; what they printed comes one after the other."""
    began = time.monotonic()
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *paths, *sys.argv[1:]],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for paths in lanes()
    ]
    with ThreadPoolExecutor(len(runs)) as pool:  # neither waits for the other's reader
        for text, _ in pool.map(lambda run: run.communicate(), runs):
            print(text, flush=True)
    print(f"Both took {time.monotonic() - began:.0f} s.")
    return max(run.returncode for run in runs)


if __name__ == "__main__":
    sys.exit(main())
