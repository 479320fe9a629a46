"""The processes of a load, and the order of its files."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess

from fhir_server.cli.loading.report import Event, Finished, Tally
from fhir_server.cli.loading.sources import Source
from fhir_server.cli.loading.worker import LANES, Job, work
from fhir_server.config import Settings

_GRACE_SECONDS = 60.0  # for the chunk that is under way
_LOOK_SECONDS = 1.0  # how often to see whether the workers are alive


class Pool:
    """Worker processes for as long as the block lasts; a KeyboardInterrupt in it lets them finish their chunk."""

    def __init__(self, settings: Settings, workers: int, if_none_exist: bool) -> None:
        context = get_context("spawn")
        self._job = Job(settings, if_none_exist, context.Queue(), context.Queue(), context.Event())
        self._processes: list[BaseProcess] = [context.Process(target=work, args=(self._job,)) for _ in range(workers)]

    def __enter__(self) -> Pool:
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._job.leave.set()
        for _process in range(len(self._processes) * LANES):
            self._job.tasks.put(None)
        deadline = time.monotonic() + _GRACE_SECONDS
        for process in self._processes:
            while process.is_alive():
                self._discard()  # a worker ends only once its events are taken
                process.join(0.05)
                if time.monotonic() > deadline:
                    process.kill()  # stuck behind another that was killed; nothing is half because of it

    def load(self, sources: list[Source], tally: Tally, show: Callable[[Event, Tally], None]) -> None:
        """Store these files and see every one finished; a worker that died leaves its files as failures."""
        open_ = {source.path for source in sources}
        for source in sorted(sources, key=lambda source: -source.size):  # the largest first, so that none is late
            self._job.tasks.put(source)
        while open_:
            event = self._next()
            if event is None:
                if all(process.is_alive() for process in self._processes):
                    continue
                for path in sorted(open_):
                    tally.add(Finished(path, "a worker process ended"))
                self._job.leave.set()
                return
            if isinstance(event, Finished):
                open_.discard(event.path)
            tally.add(event)
            show(event, tally)

    def _next(self) -> Event | None:
        try:
            return self._job.events.get(timeout=_LOOK_SECONDS)
        except queue.Empty:
            return None

    def _discard(self) -> None:
        while True:
            try:
                self._job.events.get_nowait()
            except queue.Empty:
                return


def phases(sources: list[Source]) -> list[list[Source]]:
    """The files that others refer to, and the others."""
    first = [source for source in sources if source.comes_first]
    return [phase for phase in (first, [source for source in sources if not source.comes_first]) if phase]
