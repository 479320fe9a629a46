"""One process of a load: takes files from a queue and stores a few of them at a time."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from dataclasses import dataclass
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event as Flag
from typing import TYPE_CHECKING

import structlog

from fhir_server.cli.loading.report import Event, Finished
from fhir_server.cli.loading.sources import Source
from fhir_server.cli.loading.store import Load
from fhir_server.config import Settings

if TYPE_CHECKING:
    from fhir_server.main import Server

LANES = 4  # files under way in a process, so that one waits for the database while another works


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker needs: the settings with the database, the queues, and the flag that says to leave."""

    settings: Settings
    if_none_exist: bool
    tasks: Queue[Source | None]
    events: Queue[Event]
    leave: Flag


def work(job: Job) -> None:
    """Store files until the queue says None, once per lane."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    _end_with_parent()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("error"))
    asyncio.run(_work(job))


async def _work(job: Job) -> None:
    from fhir_server.main import running  # not at the top: every other command would wait for it

    async with running(job.settings) as server:
        await asyncio.gather(*(_lane(job, server) for _ in range(LANES)))


async def _lane(job: Job, server: Server) -> None:
    while (source := await asyncio.to_thread(job.tasks.get)) is not None:
        failure = ""
        try:
            load = Load(server, source, job.if_none_exist, job.events.put, job.leave.is_set)
            if job.leave.is_set() or not await load.run():
                failure = "not finished"
        # Whatever it is, it concerns this file; the others go on, and the load is not complete.
        except Exception as error:
            failure = f"it failed ({type(error).__name__})"
        job.events.put(Finished(source.path, failure))


def _end_with_parent() -> None:
    """Do not go on without the process that was asked to load."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
