"""What the workloads share: the server, the resources to send, and which resources of ours are there."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from benchmarks import checks
from benchmarks.client import Answer, Connection
from benchmarks.corpus import TYPES, Corpus, Refs
from benchmarks.load import THROTTLED, Call, retry_after
from benchmarks.target import Target

Json = dict[str, Any]
UNKNOWN = -1
PATIENTS, PRACTITIONERS = 50, 5
# What each anchor patient has: enough for every search to find something on an empty server.
CHART = {"Observation": 20, "Condition": 3, "MedicationRequest": 2}
DECK = tuple(kind for kind, weight in TYPES.items() for _ in range(weight))


class Unusable(Exception):
    """The server cannot be measured: it does not answer, or refuses what every measurement needs."""


@dataclass(slots=True)
class Owned:
    """A resource of ours on the server, with the serial number of its content (UNKNOWN while it changes)."""

    kind: str
    id: str
    serial: int


Share = dict[str, list[Owned]]  # one worker's resources by type; nobody else touches them


class Session:
    """One measurement of one server."""

    def __init__(self, target: Target, seed: int = 1, patience: float = 60.0) -> None:
        self.target, self.seed, self.patience = target, seed, patience
        self.corpus = Corpus(seed)
        self.serials = itertools.count()
        self.anchors: list[Refs] = [Refs("", "", "")]
        self.pool: Share = {kind: [] for kind in TYPES}

    # Requests outside the measurements

    async def fetch(self, path: str) -> Answer:
        """GET a path relative to the base (or absolute on the server)."""
        answers: list[Answer] = []
        await self.perform([Call(self.target.request("GET", path), lambda answer, _: answers.append(answer))], 1)
        return answers[0]

    async def perform(self, calls: Iterable[Call], connections: int = 8, expect: str | None = None) -> None:
        """Send calls as fast as they go, unmeasured; Unusable at the first that is not right.

        `expect` names what fails when a status is not 2xx; without it any status is left to the judge.
        """
        queue = deque(calls)

        async def work() -> None:
            connection = Connection(self.target)
            try:
                while queue:
                    await self._perform(connection, queue.popleft(), expect)
            finally:
                connection.close()

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(connections, len(queue))):
                    group.create_task(work())
        except* OSError as errors:
            raise Unusable(f"{expect or 'GET'}: {errors.exceptions[0]}") from None
        except* Unusable as errors:
            raise errors.exceptions[0] from None

    async def _perform(self, connection: Connection, call: Call, expect: str | None) -> None:
        for _ in range(20):
            async with asyncio.timeout(self.patience):
                answer = await connection.exchange(call.request)
            if answer.status not in THROTTLED or (wait := retry_after(answer)) is None:
                break
            await asyncio.sleep(min(wait, self.patience))
        if expect and not 200 <= answer.status < 300:
            raise Unusable(f"{expect}: the server answers {answer.status}")
        if reason := call.judge(answer, True):
            raise Unusable(reason)

    # Resources

    def refs(self, serial: int) -> Refs:
        return self.anchors[serial % len(self.anchors)]

    def expected(self, owned: Owned) -> Json | None:
        """The content that was sent last, None while unknown."""
        if owned.serial == UNKNOWN:
            return None
        body = self.corpus.body(owned.kind, owned.serial, self.refs(owned.serial))
        found: Json = msgspec.json.decode(body)
        return found

    def create(self, kind: str, into: list[Owned], refs: Refs | None = None) -> Call:
        """Create the next resource of a type; when it is there, it is added to `into`."""
        serial = next(self.serials)
        body = self.corpus.body(kind, serial, refs or self.refs(serial))

        def judge(answer: Answer, thorough: bool) -> str | None:
            reason = checks.created(answer, kind)
            if reason is None:
                owned = Owned(kind, checks.located(answer.header("location"))[1], serial)
                into.append(owned)
                if thorough and answer.body and refs is None:
                    return checks.resource(answer, kind, owned.id, "create", self.expected(owned))
            return reason

        return Call(self.target.request("POST", kind, body), judge)

    async def anchor(self) -> None:
        """Create the patients that everything else refers to, with an encounter and a small chart each."""
        practitioners: list[Owned] = []
        patients: list[Owned] = []
        encounters: list[Owned] = []
        nobody = Refs("", "", "")
        calls = [self.create("Practitioner", practitioners, nobody) for _ in range(PRACTITIONERS)]
        await self.perform(calls, expect="create Practitioner")
        calls = [self.create("Patient", patients, nobody) for _ in range(PATIENTS)]
        await self.perform(calls, expect="create Patient")
        found = []
        for i, patient in enumerate(patients):
            practitioner = f"Practitioner/{practitioners[i % len(practitioners)].id}"
            refs = Refs(f"Patient/{patient.id}", "", practitioner)
            into: list[Owned] = []
            await self.perform([self.create("Encounter", into, refs)], expect="create Encounter")
            encounters += into
            found.append(refs._replace(encounter=f"Encounter/{into[0].id}"))
        self.anchors = found
        chart = [self.create(kind, [], refs) for refs in found for kind, n in CHART.items() for _ in range(n)]
        await self.perform(chart, expect="create a chart")

    async def ensure(self, count: int, each: int = 1) -> None:
        """Create until the pool has `count` resources in the mix's weights, and `each` of every type."""
        calls = []
        for kind, weight in TYPES.items():
            missing = max(each, count * weight // 100) - len(self.pool[kind])
            calls += [self.create(kind, self.pool[kind]) for _ in range(missing)]
        await self.perform(calls, 16, expect="create")

    def shares(self, workers: int) -> list[Share]:
        """The pool dealt out to workers; `gather` brings it back."""
        dealt = [{kind: owned[i::workers] for kind, owned in self.pool.items()} for i in range(workers)]
        self.pool = {kind: [] for kind in TYPES}
        return dealt

    def gather(self, shares: Iterable[Share]) -> None:
        for share in shares:
            for kind, owned in share.items():
                self.pool[kind] += owned

    def dice(self, name: str, worker: int = 0) -> random.Random:
        """A random generator of its own for each worker of each workload, the same every time."""
        return random.Random(f"{self.seed}/{name}/{worker}")

    async def read_back(self, interaction: str, sample: Iterable[Owned]) -> Counter[str]:
        """Read resources and count, by reason, those that are not what was sent last."""
        wrong: Counter[str] = Counter()
        for owned in sample:
            answer = await self.fetch(f"{owned.kind}/{owned.id}")
            if answer.status != 200:
                wrong[f"{interaction}: read back gives {answer.status}"] += 1
            elif reason := checks.resource(answer, owned.kind, owned.id, interaction, self.expected(owned)):
                wrong[reason] += 1
        return wrong
