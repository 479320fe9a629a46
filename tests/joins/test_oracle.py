"""The server's searches against the brute-force oracle: tests/oracle judges the resources, MongoDB the keys.

Here some thousand queries, more by ORACLE_QUERIES, ORACLE_SEED and ORACLE_BUNDLES in the environment;
`python -m tests.oracle` asks a running server as many as are wanted.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from fhir_server import json
from fhir_server.access.principal import SYSTEM
from fhir_server.joins import Joins
from fhir_server.outcomes import FhirError
from fhir_server.search.compile import compile
from fhir_server.search.parse import parse
from fhir_server.storage.clock import Clock
from fhir_server.storage.database import Database
from fhir_server.storage.repository import Repository
from tests.oracle import Oracle, compare, complete, generate, synthea
from tests.search.finder import envelope

Json = dict[str, Any]
BASE = "http://localhost/fhir"
SEED = int(os.environ.get("ORACLE_SEED", "20261121"))
QUERIES = int(os.environ.get("ORACLE_QUERIES", "3000"))
BUNDLES = int(os.environ.get("ORACLE_BUNDLES", "2"))


class Server:
    """Parse, look up, compile, and ask the database."""

    def __init__(self, mongo_uri: str, database: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._database = Database(mongo_uri, database)
        self._loop.run_until_complete(self._database.prepare())
        self._repository = Repository(self._database, Clock(), query_seconds=60, max_pending=100)

    def load(self, resources: dict[str, Json]) -> None:
        # The oracle's decimals are decimals, as the server's own.
        texts = [json.encode(resource).decode() for resource in resources.values()]
        documents = [
            {**envelope(json.decode(text), base=BASE, stamp=number), "j": text} for number, text in enumerate(texts)
        ]
        self._loop.run_until_complete(self._database.resource.insert_many(documents))

    def search(self, path: str, pairs: list[tuple[str, str]]) -> set[str]:
        return self._loop.run_until_complete(self._search(path, pairs))

    async def _search(self, path: str, pairs: list[tuple[str, str]]) -> set[str]:
        *compartment, type_ = path.split("/")
        inside = (compartment[0], compartment[1]) if compartment else None
        query = parse(None if type_ in ("", "*") else type_, pairs, base_url=BASE, compartment=inside)
        asked = await Joins(self._repository, SYSTEM, BASE).resolve(query)
        find = compile(asked)
        rows = await self._repository.find(SYSTEM, find.filter, sort=list(find.sort), limit=100_000)
        return {row.key for row in rows}

    def close(self) -> None:
        self._loop.run_until_complete(self._database.close())
        self._loop.close()


@pytest.fixture(scope="module")
def corpus() -> dict[str, Json]:
    """Resources with a value for every parameter of every type, and two Synthea patients where they are there."""
    there = Path(__file__).resolve().parents[3] / "shared" / "synthea"
    patients = synthea(bundles=BUNDLES) if there.is_dir() else {}
    found = complete(patients, Random(SEED))
    # A variant that ends before it starts is no segment: the server does not find it.
    for resource in found.values():
        for variant in resource.get("variant", ()) if resource["resourceType"] == "MolecularSequence" else ():
            if "start" in variant and "end" in variant:
                variant["start"], variant["end"] = sorted((variant["start"], variant["end"]))
    # What is stored has a time, and each its own.
    for number, resource in enumerate(found.values()):
        moment = f"2020-{number % 12 + 1:02}-{number % 28 + 1:02}T10:{number % 60:02}:00.{number % 1000:03}Z"
        resource["meta"] = {**resource.get("meta", {}), "lastUpdated": moment}
    return found


@pytest.fixture(scope="module")
def searched(mongo_uri: str, database: str, corpus: dict[str, Json]) -> Iterator[Server]:
    server = Server(mongo_uri, database)
    server.load(corpus)
    yield server
    server.close()


def refused(error: str) -> bool:
    return "not supported" in error or "NotSupported" in error or "needs a code behind the system" in error


def test_the_server_agrees_with_the_oracle(searched: Server, corpus: dict[str, Json]) -> None:
    oracle = Oracle(corpus, BASE)
    print(f"seed {SEED}: {QUERIES} queries over {len(corpus)} resources")
    found = compare(searched.search, oracle, generate(Random(SEED), oracle, QUERIES))
    wrong = [one for one in found if not refused(one.error)]
    assert not wrong, "\n".join(map(str, wrong[:20]))
    assert len(found) < QUERIES / 20, "too much is refused"


def test_a_wrong_answer_is_noticed(searched: Server, corpus: dict[str, Json]) -> None:
    oracle = Oracle(corpus, BASE)

    def forgetful(path: str, pairs: list[tuple[str, str]]) -> set[str]:
        return set(sorted(searched.search(path, pairs))[1:])

    assert len(compare(forgetful, oracle, generate(Random(SEED), oracle, 50))) > 10


def test_what_cannot_be_searched_is_refused(searched: Server) -> None:
    with pytest.raises(FhirError):
        searched.search("Patient", [("nonsense", "1")])
