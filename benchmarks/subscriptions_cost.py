"""What a write that no subscription wants costs the process that leads: `python -m benchmarks.subscriptions_cost`.

Microseconds of processor time for each write, in the engine alone: the stream's own work, the engine's for a type that
nobody watches, and for one that so many subscriptions for other patients watch.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from fhir_server.storage.clock import Clock
from fhir_server.storage.database import Database
from fhir_server.storage.embedded import PrivateMongod
from fhir_server.storage.repository import Repository
from fhir_server.storage.unit_of_work import UnitOfWork, Write
from subscriptions import store
from subscriptions.feed import Feed
from subscriptions.filters import compile_criteria, conditions
from subscriptions.index import Entry
from subscriptions.lease import Lease
from subscriptions.listeners import Listeners
from subscriptions.rights import Everybody
from subscriptions.signals import Signals
from subscriptions.term import Term
from subscriptions.topics import Topics

BASE = "http://127.0.0.1/fhir"
WRITES = 3000
Rows = list[list[dict[str, Any]]]


async def fill(repository: Repository) -> None:
    """Write the Observations, many at a time."""

    async def one(number: int) -> None:
        observation = {
            "resourceType": "Observation",
            "id": f"o{number}",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
            "subject": {"reference": f"Patient/other{number % 100}"},
            "effectiveDateTime": "2026-01-01",
            "valueQuantity": {"value": 120, "unit": "mmHg"},
        }
        write = Write("PUT", "Observation", f"o{number}", observation)
        write.find_by(BASE)
        write.prepare()
        unit = UnitOfWork()
        unit.add(write)
        await repository.commit(unit)

    for first in range(0, WRITES, 50):
        await asyncio.gather(*(one(number) for number in range(first, first + 50)))


async def streamed(database: Database, token: dict[str, Any]) -> tuple[Rows, float]:
    """All rows in batches, and the seconds of processor time that reading them took."""
    began, found, count = time.process_time(), [], 0
    async with Feed(database, token) as feed:
        async for batch in feed.batches():
            found.append(batch.rows)
            count += len(batch.rows)
            if count >= WRITES:
                break
    return found, time.process_time() - began


async def cost(term: Term, batches: Rows) -> float:
    """Seconds of processor time that the engine takes for these."""
    began = time.process_time()
    for rows in batches:
        await term.follow(rows)
    return time.process_time() - began


def say(what: str, seconds: float) -> None:
    """One line of the result."""
    print(f"{what:<60} {seconds / WRITES * 1e6:8.1f} µs a write")


async def measure(uri: str) -> None:
    """Print a line for each."""
    database = Database(uri, "bench")
    await database.prepare()
    await store.prepare(database, event_days=1)
    repository = Repository(database, Clock(), query_seconds=10, max_pending=10_000)
    lease = Lease(database)
    await lease.take()
    topics = Topics(repository, BASE)
    term = Term(database, repository, topics, Everybody(), Signals(database), lease, Listeners(), BASE)
    async with Feed(database, None) as feed:
        token = feed.start.token
        lease.place = feed.start.fields()
    await fill(repository)
    batches, seconds = await streamed(database, token)
    say("the stream itself", seconds)
    say("nobody watches the type", await cost(term, batches))
    for count in (1, 100, 10_000):
        for number in range(len(term.actives.index), count):
            topic = compile_criteria(f"Observation?patient=Patient/p{number}", BASE)
            entry = Entry(f"s{number}", topic.types, 0, topic, conditions(topic, (), BASE), owner={})
            term.actives.index.add(entry)
        say(f"{count:,} subscriptions for other patients", await cost(term, batches))
    topic = compile_criteria("Observation?status=cancelled", BASE)
    term.actives.index.add(Entry("status", topic.types, 0, topic, conditions(topic, (), BASE), owner={}))
    say("and one for another status", await cost(term, batches))
    topic = compile_criteria("Observation?date=lt2000", BASE)
    term.actives.index.add(Entry("date", topic.types, 0, topic, conditions(topic, (), BASE), owner={}))
    say("and one that keys do not tell: every version is read", await cost(term, batches))
    await database.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, PrivateMongod(Path(folder), cache_gb=0.5) as address:
        asyncio.run(measure(address))
