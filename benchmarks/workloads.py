"""The workloads over single resources: create, read, update, delete and their mix."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator

from benchmarks import checks
from benchmarks.client import Answer
from benchmarks.load import Call, Plan, Script
from benchmarks.session import DECK, UNKNOWN, Owned, Session, Share

SAMPLE = 20  # resources read back after a workload
MIX_CONNECTIONS = 64
MIX = {"create": 0.10, "read": 0.60, "update": 0.25, "delete": 0.05}


class Workload(ABC):
    """One thing to measure: prepare (unmeasured), one endless script per connection, verify (unmeasured)."""

    name: str

    def __init__(self, session: Session, plan: Plan, connections: int) -> None:
        self.session, self.plan, self.connections = session, plan, connections

    @abstractmethod
    async def prepare(self) -> None:
        """Bring the server to the state the scripts need."""

    @abstractmethod
    def scripts(self) -> list[Script]:
        """One script for each connection."""

    async def verify(self) -> Counter[str]:
        """Look at a sample of what is there now: wrong ones by reason."""
        return Counter()


class Pooled(Workload):
    """A workload over resources of ours, each worker on its own share of them."""

    need = 1000  # resources that must be there

    async def prepare(self) -> None:
        await self.session.ensure(self.need, each=4 * self.connections)

    def scripts(self) -> list[Script]:
        self.dealt = self.session.shares(self.connections)
        return [self.script(worker, share) for worker, share in enumerate(self.dealt)]

    @abstractmethod
    def script(self, worker: int, share: Share) -> Iterator[Call]: ...

    async def verify(self) -> Counter[str]:
        self.session.gather(self.dealt)
        return await self.session.read_back(self.name, self.sample())

    def sample(self) -> list[Owned]:
        everything = [owned for kind in self.session.pool.values() for owned in kind]
        dice = self.session.dice(self.name, -1)
        return dice.sample(everything, min(SAMPLE, len(everything)))

    # Calls

    def read(self, owned: Owned) -> Call:
        """Read one: its type and id, and now and then all of its content."""

        def judge(answer: Answer, thorough: bool) -> str | None:
            sent = self.session.expected(owned) if thorough else None
            return checks.resource(answer, owned.kind, owned.id, "read", sent)

        return Call(self.session.target.request("GET", f"{owned.kind}/{owned.id}"), judge)

    def update(self, owned: Owned) -> Call:
        """Put new content under the same id."""
        serial = next(self.session.serials)
        refs = self.session.refs(serial)
        body = self.session.corpus.body(owned.kind, serial, refs, owned.id)
        owned.serial = UNKNOWN

        def judge(answer: Answer, thorough: bool) -> str | None:
            sent = self.session.expected(Owned(owned.kind, owned.id, serial)) if thorough else None
            reason = checks.updated(answer, owned.kind, owned.id, sent)
            owned.serial = UNKNOWN if reason else serial
            return reason

        return Call(self.session.target.request("PUT", f"{owned.kind}/{owned.id}", body), judge)

    def delete(self, owned: Owned, gone: list[Owned]) -> Call:
        """Delete one; any 2xx will do, `verify` looks whether it is really gone."""

        def judge(answer: Answer, thorough: bool) -> str | None:
            gone.append(owned)
            return None

        return Call(self.session.target.request("DELETE", f"{owned.kind}/{owned.id}"), judge)


class Create(Pooled):
    name, need = "create", 0

    def script(self, worker: int, share: Share) -> Iterator[Call]:
        dice = self.session.dice(self.name, worker)
        while True:
            kind = dice.choice(DECK)
            yield self.session.create(kind, share[kind])


class Read(Pooled):
    name = "read"

    def script(self, worker: int, share: Share) -> Iterator[Call]:
        dice = self.session.dice(self.name, worker)
        while True:
            yield self.read(dice.choice(share[dice.choice(DECK)]))


class Update(Pooled):
    name = "update"

    def script(self, worker: int, share: Share) -> Iterator[Call]:
        dice = self.session.dice(self.name, worker)
        while True:
            yield self.update(dice.choice(share[dice.choice(DECK)]))


class Removing(Pooled):
    """A workload that deletes, and so looks whether the deleted are gone."""

    def scripts(self) -> list[Script]:
        self.gone: list[Owned] = []
        return super().scripts()

    async def verify(self) -> Counter[str]:
        wrong = await super().verify()
        for owned in self.session.dice(self.name, -2).sample(self.gone, min(SAMPLE, len(self.gone))):
            status = (await self.session.fetch(f"{owned.kind}/{owned.id}")).status
            if status not in (404, 410):
                wrong[f"delete: read afterwards gives {status}"] += 1
        return wrong


class Delete(Removing):
    """Deletes what earlier workloads created (or what it creates first); ends early when nothing is left."""

    name = "delete"

    async def prepare(self) -> None:
        seconds = self.plan.warm_up + self.plan.seconds * self.plan.repetitions
        have = sum(map(len, self.session.pool.values()))
        await self.session.ensure(max(have, int(seconds * 500)))

    def script(self, worker: int, share: Share) -> Iterator[Call]:
        while any(share.values()):
            for owned in share.values():
                if owned:
                    yield self.delete(owned.pop(), self.gone)


class Mix(Removing):
    """C10 R60 U25 D5 over five types in the weights of the mock.health benchmark, 64 connections."""

    name, need = "mix", 4000

    def __init__(self, session: Session, plan: Plan, connections: int) -> None:
        super().__init__(session, plan, MIX_CONNECTIONS)

    def script(self, worker: int, share: Share) -> Iterator[Call]:
        dice = self.session.dice(self.name, worker)
        kinds, weights = list(MIX), list(MIX.values())
        deck = dice.choices(kinds, weights, k=10_000)
        while True:
            owned = share[kind := dice.choice(DECK)]
            match dice.choice(deck):
                case "create":
                    yield self.session.create(kind, owned)
                case "update":
                    yield self.update(dice.choice(owned))
                case "delete" if len(owned) > 1:
                    yield self.delete(owned.pop(), self.gone)
                case _:
                    yield self.read(dice.choice(owned))
