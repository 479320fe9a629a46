"""Import: rotating transaction Bundles of patients, Synthea's when a directory has them, else generated ones.

https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

import gzip
import itertools
import random
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from benchmarks import checks
from benchmarks.client import Answer
from benchmarks.corpus import Corpus, Refs
from benchmarks.load import Call, Plan, Script
from benchmarks.session import Session
from benchmarks.workloads import SAMPLE, Workload

Json = dict[str, Any]
CONNECTIONS = 4
SIZES = (66, 120, 170, 250, 340, 620)  # entries, as Synthea's patients have them
SHARES = {"Encounter": 0.12, "Condition": 0.05, "Observation": 0.75, "MedicationRequest": 0.05}


class Sent(NamedTuple):
    """A transaction Bundle: its bytes, and the types of its entries in order."""

    body: bytes
    types: list[str]


class Landed(NamedTuple):
    """An entry that was stored: where, and where it came from."""

    location: tuple[str, str]
    bundle: Sent
    entry: int


class Import(Workload):
    """Whole patients, one transaction each; counted in resources as well as in requests."""

    name = "import"

    def __init__(self, session: Session, plan: Plan, connections: int, synthea: Path | None = None) -> None:
        super().__init__(session, plan, min(connections, CONNECTIONS))
        self.synthea = synthea
        self.landed: list[Landed] = []

    async def prepare(self) -> None:
        self.bundles = (patients(self.synthea) if self.synthea else []) or generated(self.session.corpus)
        self.next = itertools.cycle(self.bundles)

    def scripts(self) -> list[Script]:
        return [self.script(worker) for worker in range(self.connections)]

    def script(self, worker: int) -> Iterator[Call]:
        dice = self.session.dice(self.name, worker)
        while True:
            yield self.call(next(self.next), dice)

    def call(self, sent: Sent, dice: random.Random) -> Call:
        def judge(answer: Answer, thorough: bool) -> str | None:
            reason = checks.transaction(answer, sent.types)
            if reason is None:
                index = dice.randrange(len(sent.types))
                location = answer.json()["entry"][index]["response"]["location"]
                self.landed.append(Landed(checks.located(location), sent, index))
            return reason

        return Call(self.session.target.request("POST", "", sent.body), judge, len(sent.types))

    async def verify(self) -> Counter[str]:
        """Read some of the stored entries back and compare them with what was sent."""
        wrong: Counter[str] = Counter()
        dice = self.session.dice(self.name, -1)
        for landed in dice.sample(self.landed, min(SAMPLE, len(self.landed))):
            kind, id = landed.location
            sent = msgspec.json.decode(landed.bundle.body)["entry"][landed.entry]["resource"]
            answer = await self.session.fetch(f"{kind}/{id}")
            if answer.status != 200:
                wrong[f"import: read back gives {answer.status}"] += 1
            elif reason := checks.resource(answer, kind, id, "import", sent):
                wrong[reason] += 1
        return wrong


def patients(folder: Path) -> list[Sent]:
    """The transaction Bundles with a Patient among a folder's .json and .json.gz files, in the order of their names."""
    found = []
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.json.gz")]):
        body = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        bundle = msgspec.json.decode(body)
        types = [entry["resource"]["resourceType"] for entry in bundle.get("entry", [])]
        if bundle.get("type") == "transaction" and "Patient" in types:
            found.append(Sent(body, types))
    return found


def generated(corpus: Corpus, count: int = 30) -> list[Sent]:
    """Bundles of the program's own, of the size and shape of Synthea's."""
    serials = itertools.count(1_000_000_000)
    return [_bundle(corpus, serials, SIZES[i % len(SIZES)], random.Random(f"{corpus.seed}/{i}")) for i in range(count)]


def _bundle(corpus: Corpus, serials: Iterator[int], size: int, dice: random.Random) -> Sent:
    def urn() -> str:
        return uuid.UUID(int=dice.getrandbits(128), version=4).urn

    patient, practitioner = urn(), urn()
    encounters = [urn() for _ in range(int(size * SHARES["Encounter"]))]
    rest = [kind for kind, share in SHARES.items() if kind != "Encounter" for _ in range(int(size * share))]
    entries = [("Practitioner", practitioner), ("Patient", patient)]
    entries += [("Encounter", encounter) for encounter in encounters] + [(kind, urn()) for kind in rest]
    parts = []
    for kind, full_url in entries:
        body = corpus.body(kind, next(serials), Refs(patient, dice.choice(encounters), practitioner))
        parts.append(
            b'{"fullUrl":"%b","resource":%b,"request":{"method":"POST","url":"%b"}}'
            % (full_url.encode(), body, kind.encode())
        )
    bundle = b'{"resourceType":"Bundle","type":"transaction","entry":[%b]}' % b",".join(parts)
    return Sent(bundle, [kind for kind, _ in entries])
