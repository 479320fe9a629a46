"""Put load on a server for a while and measure it: warm-up, then windows of equal length, the median over them."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import NamedTuple

from benchmarks.client import Answer, Connection
from benchmarks.processes import Usage
from benchmarks.target import Target

THOROUGH = 16  # one answer in so many is compared in full
THROTTLED = (429, 503)


class Call(NamedTuple):
    """One request, what its answer must be (None when right, else the reason), and how much work it carries."""

    request: bytes
    judge: Callable[[Answer, bool], str | None]
    units: int = 1


Script = Iterator[Call]


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure, in seconds; `patience` is how long one answer may take."""

    seconds: float = 5.0
    repetitions: int = 3
    warm_up: float = 2.0
    patience: float = 60.0


@dataclass(slots=True)
class Window:
    """What happened in one stretch of time; latencies in seconds, right answers only."""

    started: float
    before: Usage
    client_before: float
    latencies: array[float] = field(default_factory=lambda: array("d"))
    units: int = 0
    elapsed: float = 0.0
    after: Usage = field(default_factory=Usage)
    client_cpu: float = 0.0

    @property
    def others(self) -> float:
        """CPU seconds of processes that have nothing to do with the measurement; 0 when the server's are unknown."""
        server = self.after.server_cpu - self.before.server_cpu
        database = self.after.database_cpu - self.before.database_cpu
        machine = self.after.machine_cpu - self.before.machine_cpu
        return max(0.0, machine - server - database - self.client_cpu) if server else 0.0

    def per_unit(self, seconds: float) -> float:
        return seconds / max(1, self.units)


@dataclass(slots=True)
class Measurement:
    """One workload's figures: medians over the windows; times in milliseconds, memory in bytes."""

    name: str
    connections: int
    requests: int  # right answers inside the windows
    rate: float  # requests/s
    units: float  # resources/s: differs from rate when a request carries several
    p50: float
    p99: float
    server_cpu: float  # per unit: a request, or a resource where a request carries several
    database_cpu: float  # per unit
    client_cpu: float  # per unit
    client_busy: float  # cores the load program used
    others_busy: float  # cores that everything else on the machine used
    server_rss: int
    database_rss: int
    throttled: int
    failed: dict[str, int]  # by status, or by what broke the connection
    wrong: dict[str, int]  # by reason


class Load:
    """The state of one run, shared by its workers."""

    def __init__(self, plan: Plan, used: Callable[[], Usage]) -> None:
        self.plan, self._used = plan, used
        self.over = False
        self.windows: list[Window] = []
        self.window = self._open()
        self.failed: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.throttled = 0

    def _open(self) -> Window:
        return Window(perf_counter(), self._used(), time.process_time())

    def roll(self) -> None:
        """Close the window under way and open the next."""
        window = self.window
        window.elapsed = perf_counter() - window.started
        window.after, window.client_cpu = self._used(), time.process_time() - window.client_before
        self.windows.append(window)
        self.window = self._open()

    async def work(self, connection: Connection, script: Script) -> None:
        """Run one script, one request after the other, until it or the time ends."""
        broken = count = 0
        for call in script:
            while not self.over and broken < 10:
                try:
                    answer = await connection.exchange(call.request)
                except OSError as error:  # ConnectionError and TimeoutError are OSErrors
                    broken += 1
                    self.failed[type(error).__name__] += 1
                    await asyncio.sleep(0.1)
                    break
                broken = 0
                if answer.status in THROTTLED and (wait := retry_after(answer)) is not None:
                    self.throttled += 1
                    await self.rest(wait)
                    continue
                self.take(call, answer, perf_counter() - connection.started, count % THOROUGH == 0)
                count += 1
                break
            if self.over or broken >= 10:
                return

    def take(self, call: Call, answer: Answer, latency: float, thorough: bool) -> None:
        """Count one answer: only 2xx that are right have a latency."""
        if not 200 <= answer.status < 300:
            self.failed[str(answer.status)] += 1
        elif reason := call.judge(answer, thorough):
            self.wrong[reason] += 1
        else:
            self.window.latencies.append(latency)
            self.window.units += call.units

    def silent(self, overdue: float) -> bool:
        """A window without any answer says nothing: it stays open, as long as patience lasts."""
        return overdue < self.plan.patience and not (
            self.window.latencies or self.failed or self.wrong or self.throttled
        )

    async def rest(self, seconds: float) -> None:
        """Sleep as long as the server asked for, but not past the end of the run."""
        end = perf_counter() + seconds
        while not self.over and (left := end - perf_counter()) > 0:
            await asyncio.sleep(min(left, 0.25))

    async def conduct(self, workers: asyncio.Future[list[None]], connections: Sequence[Connection]) -> None:
        """Open and close the windows, and give up on answers that take too long."""
        for seconds in [self.plan.warm_up] + [self.plan.seconds] * self.plan.repetitions:
            end = perf_counter() + seconds
            while not workers.done() and ((left := end - perf_counter()) > 0 or self.silent(-left)):
                await asyncio.wait([workers], timeout=min(max(left, 0.01), 1.0))
                for connection in connections:
                    connection.abort_if_older(self.plan.patience)
            self.roll()
            if workers.done():
                break
        self.over = True

    def measured(self) -> list[Window]:
        """The windows that count: whole ones after the warm-up, else (the script ended early) the fullest one."""
        whole = [w for w in self.windows[1:] if w.elapsed >= self.plan.seconds / 2]
        return whole or [max(self.windows, key=lambda w: len(w.latencies))]


def retry_after(answer: Answer) -> float | None:
    """The seconds of a Retry-After header, None without one (or with a date, which nobody sends for this)."""
    with suppress(TypeError, ValueError):
        return max(0.0, float(answer.header("retry-after") or ""))
    return None


async def run(
    name: str, target: Target, scripts: Sequence[Script], plan: Plan, used: Callable[[], Usage]
) -> Measurement:
    """Run each script on a connection of its own and measure; ends within the plan's time plus its patience."""
    connections = [Connection(target) for _ in scripts]
    load = Load(plan, used)
    workers = asyncio.gather(*(load.work(c, s) for c, s in zip(connections, scripts, strict=True)))
    try:
        await load.conduct(workers, connections)
        with suppress(TimeoutError):
            await asyncio.wait_for(workers, plan.patience)  # answers on their way
    finally:
        workers.cancel()
        for connection in connections:
            connection.close()
    return summary(name, len(connections), load)


def summary(name: str, connections: int, load: Load) -> Measurement:
    """The figures of a run that is over."""
    windows = load.measured()
    last = load.windows[-1].after

    def middle(value: Callable[[Window], float]) -> float:
        return median(value(window) for window in windows)

    return Measurement(
        name=name,
        connections=connections,
        requests=sum(len(w.latencies) for w in windows),
        rate=middle(lambda w: len(w.latencies) / w.elapsed),
        units=middle(lambda w: w.units / w.elapsed),
        p50=middle(lambda w: 1000 * percentile(w.latencies, 50)),
        p99=middle(lambda w: 1000 * percentile(w.latencies, 99)),
        server_cpu=middle(lambda w: 1000 * w.per_unit(w.after.server_cpu - w.before.server_cpu)),
        database_cpu=middle(lambda w: 1000 * w.per_unit(w.after.database_cpu - w.before.database_cpu)),
        client_cpu=middle(lambda w: 1000 * w.per_unit(w.client_cpu)),
        client_busy=middle(lambda w: w.client_cpu / w.elapsed),
        others_busy=middle(lambda w: w.others / w.elapsed),
        server_rss=last.server_rss,
        database_rss=last.database_rss,
        throttled=load.throttled,
        failed=dict(load.failed),
        wrong=dict(load.wrong),
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of all are not above; 0 without values."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100).__trunc__() - 1)] if ordered else 0.0
