"""Every row of the workflows that are replaced, with the tests that prove it: `make parity`, `make parity ARGS="A-3"`.

Rows are those of docs/workflows/rows.toml; a test names the rows it proves with `@pytest.mark.row("A-3")`.
"""

from __future__ import annotations

import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROWS = ROOT / "docs" / "workflows" / "rows.toml"
Results = dict[str, dict[str, str]]  # row → test → passed | failed | skipped


def rows(file: Path = ROWS) -> dict[str, str]:
    """Code → what it says, in the order of the file."""
    found: dict[str, str] = tomllib.loads(file.read_text())["rows"]
    return found


class Recorder:
    """A pytest plugin: keeps the tests that name a wanted row, and how each of them ended."""

    def __init__(self, wanted: Iterable[str]) -> None:
        self._wanted = frozenset(wanted)
        self._of: dict[str, set[str]] = {}
        self.results: Results = defaultdict(dict)

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        for item in items:
            named = {code for mark in item.iter_markers("row") for code in mark.args}
            if found := named & self._wanted:
                self._of[item.nodeid] = found
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in self._of])
        items[:] = [item for item in items if item.nodeid in self._of]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for code in self._of.get(report.nodeid, ()):
            test = report.nodeid.partition("[")[0]
            before = self.results[code].get(test, "")
            if report.failed or (report.skipped and before != "failed"):
                self.results[code][test] = report.outcome
            elif report.when == "call" and not before:
                self.results[code][test] = "passed"


def told(listed: Mapping[str, str], results: Results) -> str:
    """The table: each row, what it says, and below it its tests with their results."""
    lines = []
    for code, says in listed.items():
        tests = results.get(code, {})
        lines.append(f"{code:5} {state(tests):8} {says}")
        lines += [f"      {outcome:8} {test}" for test, outcome in sorted(tests.items())]
    green = sum(state(results.get(code, {})) == "green" for code in listed)
    return "\n".join([*lines, f"{green} of {len(listed)} rows are green."])


def state(tests: Mapping[str, str]) -> str:
    """green when there are tests and all passed; else what is the matter."""
    if not tests:
        return "NO TEST"
    outcomes = set(tests.values())
    return "green" if outcomes == {"passed"} else "FAILED" if "failed" in outcomes else "SKIPPED"


def main(wanted: Sequence[str] = (), tests: Path = ROOT / "tests", file: Path = ROWS) -> int:
    """Exit status 0 when every row is green."""
    listed = {code: says for code, says in rows(file).items() if not wanted or code in wanted}
    if unknown := set(wanted) - listed.keys():
        print(f"No such row: {', '.join(sorted(unknown))}.")
        return 2
    recorder = Recorder(listed)
    marked = sorted({str(path) for path in tests.rglob("test_*.py") if "mark.row(" in path.read_text("utf-8")})
    if marked:
        # Tests are named from the folder around them, whatever else lies above it.
        pytest.main(["-q", "-p", "no:cacheprovider", f"--rootdir={tests.parent}", *marked], plugins=[recorder])
    print(told(listed, recorder.results))
    return 0 if all(state(recorder.results.get(code, {})) == "green" for code in listed) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
