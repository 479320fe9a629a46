"""The processes of a load, and the order of its files."""

from __future__ import annotations

import queue
import signal
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess

from fhir_server.cli.loading.interruption import Interruption
from fhir_server.cli.loading.report import Event, Finished, Tally
from fhir_server.cli.loading.sources import Source
from fhir_server.cli.loading.worker import LANES, Job, work
from fhir_server.config import Settings

_GRACE_SECONDS = 60.0  # for the chunk that is under way
_LOOK_SECONDS = 0.25  # how often to see whether the workers are alive, and whether it is to end


class Pool:
    """Worker processes for as long as the block lasts; an interruption lets them finish their chunk."""

    def __init__(self, settings: Settings, workers: int, if_none_exist: bool) -> None:
        context = get_context("forkserver")  # the server is imported once for all of them
        context.set_forkserver_preload(["fhir_server.main", work.__module__])
        self._job = Job(settings, if_none_exist, context.Queue(), context.Queue(), context.Event())
        self._processes: list[BaseProcess] = [context.Process(target=work, args=(self._job,)) for _ in range(workers)]

    def __enter__(self) -> Pool:
        # A terminal sends Ctrl-C to them, too, and what it means is decided here: they never see it, from the start.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            for process in self._processes:
                process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._job.leave.set()
        try:
            self._end()
        except BaseException:
            for process in self._processes:
                process.kill()
            raise

    def _end(self) -> None:
        for _process in range(len(self._processes) * LANES):
            self._job.tasks.put(None)
        deadline = time.monotonic() + _GRACE_SECONDS
        for process in self._processes:
            while process.is_alive():
                self._discard()  # a worker ends only once its events are taken
                process.join(0.05)
                if time.monotonic() > deadline:
                    process.kill()  # stuck behind another that was killed; nothing is half because of it

    def load(
        self,
        sources: list[Source],
        tally: Tally,
        show: Callable[[Event, Tally], None],
        interruption: Interruption,
    ) -> None:
        """Store these files and see every one finished, unless it is interrupted.

        A worker that died leaves its files as failures.
        """
        open_ = {source.path for source in sources}
        for source in sorted(sources, key=lambda source: -source.size):  # the largest first, so that none is late
            self._job.tasks.put(source)
        while open_:
            if interruption.noted:
                tally.interrupted = True
                self._job.leave.set()
                return
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
