"""`python -m benchmarks`: measure a FHIR R4 server on this machine; docs/benchmarking.md explains the figures."""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from benchmarks import report
from benchmarks.imports import Import
from benchmarks.load import Measurement, Plan, run
from benchmarks.processes import Usage, tree, usage
from benchmarks.searches import SEARCHES
from benchmarks.server import SCOPES, serving
from benchmarks.session import Session, Unusable
from benchmarks.target import Refused, Target, target
from benchmarks.workloads import Create, Delete, Mix, Read, Update, Workload

Json = dict[str, Any]
SYNTHEA = Path(__file__).resolve().parents[2] / "shared" / "synthea"
NAMES = ("create", "read", "update", "mix", *(search.name for search in SEARCHES), "import", "delete")


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure a FHIR R4 server on this machine."
    )
    which = found.add_mutually_exclusive_group()
    which.add_argument("--base", help="base URL of a running server, on a loopback address")
    which.add_argument("--server", action="store_true", help="our own, with a private database (default)")
    found.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="processes of --server: a run each")
    found.add_argument("--sign-in", action="store_true", help="--server asks for a token, which each request has")
    found.add_argument("--no-audit", action="store_true", help="--server keeps no audit trail")
    found.add_argument("--scopes", default=SCOPES, help="of the token, with --sign-in")
    found.add_argument(
        "--header", action="append", default=[], help='sent with each request: "Authorization: Bearer …"'
    )
    found.add_argument("--pid", type=int, nargs="+", default=[], help="processes of --base, for CPU and memory")
    found.add_argument("--connections", type=int, default=16, help="at once (the mix always has 64, import at most 4)")
    found.add_argument("--seconds", type=float, default=5.0, help="of one repetition")
    found.add_argument("--repetitions", type=int, default=3, help="of which the median is reported")
    found.add_argument("--warm-up", type=float, default=2.0, help="seconds before the first repetition")
    found.add_argument("--only", type=names, default=list(NAMES), help="comma list of: search, " + ", ".join(NAMES))
    found.add_argument("--synthea", type=Path, default=SYNTHEA, help="directory of transaction Bundles to import")
    found.add_argument("--seed", type=int, default=1, help="of the generated resources")
    found.add_argument("--json", type=Path, help="file for the figures")
    return found


def names(text: str) -> list[str]:
    """The workloads of a comma list, in the order they run; "search" is all of them."""
    asked = {part.strip() for part in text.split(",")}
    found = [name for name in NAMES if name in asked or ("search" in asked and name.startswith("search-"))]
    if unknown := asked - set(NAMES) - {"search"}:
        raise argparse.ArgumentTypeError(f"no workload named {', '.join(sorted(unknown))}")
    return found


def workloads(session: Session, plan: Plan, options: argparse.Namespace) -> list[Workload]:
    """The workloads asked for."""
    synthea = options.synthea if options.synthea.is_dir() else None
    kinds: tuple[type[Workload], ...] = (Create, Read, Update, Mix, *SEARCHES, Delete)
    makers: dict[str, Callable[[Session, Plan, int], Workload]] = {kind.name: kind for kind in kinds}
    makers[Import.name] = partial(Import, synthea=synthea)
    return [makers[name](session, plan, options.connections) for name in options.only]


async def measure(where: Target, options: argparse.Namespace, used: Callable[[], Usage]) -> list[Measurement]:
    """Run the workloads one after the other and tell of each as it ends."""
    plan = Plan(options.seconds, options.repetitions, options.warm_up)
    session = Session(where, options.seed, plan.patience)
    await session.anchor()
    found = []
    for workload in workloads(session, plan, options):
        try:
            await workload.prepare()
            gc.collect()
            gc.freeze()  # what is there stays, and need not be looked at during the run
            result = await run(workload.name, where, workload.scripts(), plan, used)
            for reason, count in (await workload.verify()).items():
                result.wrong[reason] = result.wrong.get(reason, 0) + count
        except Unusable as error:
            print(f"{workload.name} was not measured: {error}", file=sys.stderr, flush=True)
            continue
        print(report.table([result]).splitlines()[-1], flush=True)
        found.append(result)
    return found


def one(base: str, options: argparse.Namespace, pids: list[int], data_dir: Path | None = None) -> list[Measurement]:
    """Measure one server, with the CPU and memory of these processes and of what they started."""
    mentioning = str(data_dir) if data_dir else None
    where = target(base, options.header)

    def used() -> Usage:
        return usage(tree(pids, mentioning)) if pids else Usage()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measure(where, options, used))


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 when every answer was right, 1 when one was wrong, 2 when something could not be measured."""
    options = parser().parse_args(arguments)
    runs: list[tuple[Json, list[Measurement]]] = []
    told = {"connections": options.connections, "seconds": options.seconds, "repetitions": options.repetitions}
    try:
        if options.base is None:
            for workers in options.workers:
                protected = {"sign_in": options.sign_in, "audit": not options.no_audit}
                with serving(workers, **protected, scopes=options.scopes) as server:
                    print(f"{workers} process(es), first answer after {server.seconds:.2f} s", flush=True)
                    options.header = [*options.header, *server.headers]
                    found = one(server.base, options, [server.pid], server.data_dir)
                    runs.append(
                        (told | protected | {"workers": workers, "start_seconds": round(server.seconds, 2)}, found)
                    )
        else:
            runs.append((told | {"base": options.base}, one(options.base, options, options.pid)))
    except (Refused, Unusable) as error:
        print(error, file=sys.stderr)
        return 2
    for settings, found in runs:
        print(f"\n{', '.join(f'{k} {v}' for k, v in settings.items())}\n\n{report.table(found)}")
        print("\n".join(report.remarks(found)) or "Every answer was right.")
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(report.document(runs)), indent=2))
    complete = all(len(found) == len(options.only) for _, found in runs)
    return 2 if not complete else int(any(m.wrong for _, found in runs for m in found))


if __name__ == "__main__":
    sys.exit(main())
