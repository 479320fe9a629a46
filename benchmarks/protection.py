"""`python -m benchmarks.protection`: what sign-in, access filter and audit cost a read, each server in its turn.

Three servers of one process each are there at once: an open one without a trail, an open one with it, and one that asks
for a token. Each is read from for a moment, round after round, so that a machine that is now quick, now slow treats
all alike. Told is the CPU per read of server and database, the lowest and the median, and by how much a read costs more
than the open server's of the same round: first quartile, median and third quartile.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from statistics import median

import uvloop

from benchmarks.load import Plan, run
from benchmarks.processes import Usage, tree, usage
from benchmarks.server import Started, serving
from benchmarks.session import Session
from benchmarks.target import target
from benchmarks.workloads import Read

KINDS = {  # what is asked of `serving`
    "open, no audit": {"audit": False},
    "open, audit": {},
    "signed in, audit": {"sign_in": True},
}


class Turn:
    """One of the servers, and what its reads have cost so far."""

    def __init__(self, server: Started, plan: Plan, connections: int) -> None:
        self.plan = plan
        self.where = target(server.base, list(server.headers))
        self.pids = tree([server.pid], str(server.data_dir))
        self.reads = Read(Session(self.where, 1, plan.patience), plan, connections)
        self.server: list[float] = []  # µs of CPU per read, by round
        self.database: list[float] = []

    async def prepare(self) -> None:
        await self.reads.session.anchor()
        await self.reads.prepare()

    async def take(self) -> None:
        """Read for one window."""
        found = await run("read", self.where, self.reads.scripts(), self.plan, self._used)
        self.reads.session.gather(self.reads.dealt)
        if found.wrong or found.failed:
            raise SystemExit(f"wrong answers: {found.wrong} {found.failed}")
        self.server.append(1000 * found.server_cpu)
        self.database.append(1000 * found.database_cpu)

    def _used(self) -> Usage:
        return usage(self.pids)

    @property
    def both(self) -> list[float]:
        return [one + other for one, other in zip(self.server, self.database, strict=True)]


async def measure(servers: Sequence[Started], options: argparse.Namespace) -> list[Turn]:
    plan = Plan(options.seconds, 1, options.warm_up)
    turns = [Turn(server, plan, options.connections) for server in servers]
    for turn in turns:
        await turn.prepare()
    for number in range(options.rounds):
        for turn in turns[number % len(turns) :] + turns[: number % len(turns)]:
            await turn.take()
    return turns


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.protection", description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=16, help="at once")
    parser.add_argument("--rounds", type=int, default=30, help="of each server")
    parser.add_argument("--seconds", type=float, default=1.0, help="of one round")
    # Entries go to the database a second later: those of the warm-up stand for those that the window leaves behind.
    parser.add_argument("--warm-up", type=float, default=1.2, help="seconds before each round")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(1, **kind)) for kind in KINDS.values()]  # type: ignore[arg-type]
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            turns = runner.run(measure(servers, options))
    print(f"{options.connections} connections, {options.rounds} rounds of {options.seconds} s; µs of CPU per read")
    print(f"{'':18s} {'lowest':>7s} {'server':>7s} {'database':>8s}   {'median':>7s} {'server':>7s} {'database':>8s}")
    for name, turn in zip(KINDS, turns, strict=True):
        told = [min(turn.both), min(turn.server), min(turn.database)]
        told += [median(turn.both), median(turn.server), median(turn.database)]
        ratios = sorted(mine / plain for mine, plain in zip(turn.both, turns[0].both, strict=True))
        share = [f"{100 * (ratios[len(ratios) * part // 4] - 1):+.1f} %" for part in (1, 2, 3)]
        print(f"{name:18s} " + "{:7.1f} {:7.1f} {:8.1f}   {:7.1f} {:7.1f} {:8.1f}   ".format(*told) + " / ".join(share))
    return 0


if __name__ == "__main__":
    sys.exit(main())
