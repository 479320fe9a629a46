"""All tests: `python -m scripts.run_tests`, what `make test` runs without ARGS.

Three folders run side by side, for much of what they do is waiting.

Each folder is a pytest of its own with a mongod of its own, forked from a process that has imported the server; as
soon as one ends, the next begins. What it printed comes then, in one piece; the sum of all comes at the end.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import resource
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

import pytest

ROOT = Path(__file__).resolve().parent.parent
AT_ONCE = 3
# What takes more than half a minute begins first, so that nothing long is left for the end.
LONGEST = (
    *("cli", "workflows", "smart_auth", "subscriptions", "reliability", "views", "benchmarks", "clients"),
    *("validation", "interactions", "storage", "rest", "operations", "xml", "realtime", "joins"),
)
_asking = threading.Lock()
WHOSE = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
NO_TESTS = int(pytest.ExitCode.NO_TESTS_COLLECTED)  # for -k and the like, that is no failure of a folder
CPU = re.compile(r"^(\d+) s of CPU$", re.MULTILINE)
COUNT = re.compile(r"(\d+) (passed|failed|skipped|deselected|xfailed|xpassed|warnings?|errors?)\b")


@dataclass(frozen=True)
class Ended:
    """How the tests of a folder ended, and what they printed."""

    name: str
    code: int  # of pytest; negative: the signal that killed it
    text: str
    seconds: float

    @property
    def cpu(self) -> float:
        """Seconds of CPU that it used, with every process that it waited for."""
        found = CPU.search(self.text)
        return float(found[1]) if found else 0.0

    @property
    def failed(self) -> bool:
        return self.code not in (0, NO_TESTS)

    @property
    def counts(self) -> Counter[str]:
        """Tests by outcome, as the last line says: `{"passed": 12, "skipped": 1}`."""
        last = CPU.sub("", self.text).rstrip().rpartition("\n")[2]
        return Counter({outcome.rstrip("s"): int(number) for number, outcome in COUNT.findall(last)})


def parts(tests: Path) -> dict[str, list[str]]:
    """The paths that one pytest runs, by folder: what begins first stands first. Files outside of folders are one."""
    found = sorted(path for path in tests.iterdir() if path.is_dir() and any(path.glob("**/test_*.py")))
    first = [path for name in LONGEST for path in found if path.name == name]
    made = {path.name: [str(path)] for path in [*first, *found]}
    alone = [str(path) for path in sorted(tests.glob("test_*.py"))]
    return made | ({"tests": alone} if alone else {})


def keep_bytecode() -> None:
    """Without it each of the processes that tests start, some hundreds, would compile every module that it imports."""
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        os.environ["PYTHONPYCACHEPREFIX"] = str(ROOT / "build" / "bytecode")


def run(name: str, paths: list[str], arguments: Sequence[str], scratch: Path) -> Ended:
    """Run pytest on the paths in a process of its own, to its end."""
    began = time.monotonic()
    output = scratch / f"{name}.txt"
    given = ["-q", "-p", "no:cacheprovider", f"--basetemp={scratch / name}", *paths, *arguments]
    process = _context().Process(target=_pytest, args=(given, output))
    # Starting one asks after all others, and two who ask after the same one at once spoil its exit status.
    with _asking:
        process.start()
    connection.wait([process.sentinel])
    with _asking:
        process.join()
    text = output.read_text(errors="replace") if output.exists() else ""
    rmtree(scratch / name, ignore_errors=True)  # databases of some gigabytes, which the next folder has room for
    assert process.exitcode is not None
    return Ended(name, process.exitcode, text, time.monotonic() - began)


def _pytest(arguments: list[str], output: Path) -> None:
    sys.dont_write_bytecode = False  # the flag itself was passed on; see keep_bytecode
    with open(output, "wb") as file:
        for standard in (1, 2):
            os.dup2(file.fileno(), standard)
    # What the server imports was imported before pytest could look at it; nothing in there is for pytest.
    code = int(pytest.main(["-W", "ignore::pytest.PytestAssertRewriteWarning", *arguments]))
    used = sum(resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime for who in WHOSE)
    print(f"{used:.0f} s of CPU", flush=True)
    sys.exit(code)


def _context() -> multiprocessing.context.ForkServerContext:
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["socketio", "fhir_server.main"])
    return made


def told(ended: Iterable[Ended], seconds: float) -> str:
    """The sum: seconds and counts of each folder, what failed, and the counts of all."""
    listed = sorted(ended, key=lambda one: -one.seconds)
    lines = [
        f"{one.seconds:5.0f} s  {one.cpu:5.0f} s CPU  {one.name:16} {_counted(one.counts)}{_trouble(one)}"
        for one in listed
    ]
    for one in listed:
        lines += [line for line in one.text.splitlines() if one.failed and line.startswith(("FAILED ", "ERROR "))]
    every = sum((one.counts for one in listed), Counter[str]())
    return "\n".join([*lines, f"All took {seconds:.0f} s: {_counted(every)}."])


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items())) or "no tests"


def _trouble(one: Ended) -> str:
    return f"  FAILED (exit {one.code})" if one.failed else ""


def main(tests: Path = ROOT / "tests", arguments: Sequence[str] = ()) -> int:
    """Exit status 0 when every folder is green and at least one has tests."""
    began = time.monotonic()
    keep_bytecode()
    done: list[Ended] = []
    # Each thread waits for one process. A new folder for each run: nobody else's files, and none are left.
    with TemporaryDirectory(prefix="tests-") as scratch, ThreadPoolExecutor(AT_ONCE) as pool:
        waiting = [pool.submit(run, name, paths, arguments, Path(scratch)) for name, paths in parts(tests).items()]
        try:
            for future in as_completed(waiting):
                done.append(future.result())
                print(f"===== {done[-1].name}\n{done[-1].text}", flush=True)
        except KeyboardInterrupt:  # which has reached those that run, too
            pool.shutdown(cancel_futures=True)
            raise
    print(told(done, time.monotonic() - began))
    if any(one.failed for one in done):
        return 1
    return NO_TESTS if all(one.code == NO_TESTS for one in done) else 0


if __name__ == "__main__":
    sys.exit(main(arguments=sys.argv[1:]))
