"""What is written straight into the collections is what the server itself would have written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo import MongoClient

from benchmarks import bulk
from benchmarks.bulk import Filled, Source, fill, table
from benchmarks.copies import Population, bundle
from benchmarks.session import Unusable
from fhir_server.config import Settings
from fhir_server.storage.database import INDEXES
from fhir_server.storage.embedded import database_uri

Json = dict[str, Any]
PATIENTS = 2
_STAMP = re.compile(r'"lastUpdated":"[^"]+"')


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Filled]:
    folder = tmp_path_factory.mktemp("filled")
    return folder, fill(folder, Source(None, 1, PATIENTS), workers=2)


@pytest.fixture(scope="module")
def sent(server: str) -> Population:
    """The same patients sent to a server."""
    population = Population(None)
    with httpx.Client(base_url=server, timeout=60, headers={"Content-Type": "application/fhir+json"}) as client:
        for number in range(PATIENTS):
            assert client.post("/", content=bundle(population.patient(number))).status_code == 200
    return population


def documents(uri: str, database: str, name: str) -> dict[str, Json]:
    """The documents of a collection, without what depends on when and by which request they were written."""
    found: dict[str, Json] = {}
    with MongoClient[Json](uri) as client:
        for document in client[database][name].find():
            for stamp in ("t", "u", "n", "m"):
                document.pop(stamp, None)
            document["j"] = _STAMP.sub("", document["j"])
            if "w" in document:
                document["w"].sort()  # words come in no order
            found[document["_id"]] = document
    return found


@pytest.mark.parametrize("name", bulk.COLLECTIONS)
def test_the_documents_are_the_servers(
    filled: tuple[Path, Filled], sent: Population, mongo_uri: str, database: str, name: str
) -> None:
    with database_uri(Settings(data_dir=filled[0], mongodb_uri=None)) as uri:
        directly = documents(uri, "fhir_fhir", name)
    assert len(directly) == sent.count(PATIENTS)
    assert directly == documents(mongo_uri, f"{database}_fhir", name)


def test_every_index_is_there_and_told_of(filled: tuple[Path, Filled]) -> None:
    _, found = filled
    assert found.resources == Population(None).count(PATIENTS)
    told = table(found)
    for name in bulk.COLLECTIONS:
        for index, _, _ in INDEXES[name]:
            assert f"| {name}, index {index} |" in told


def test_a_disk_that_is_too_small_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "BYTES_EACH", 1 << 60)
    with pytest.raises(Unusable, match="free"):
        fill(tmp_path, Source(None, 1, PATIENTS))
    assert list(tmp_path.iterdir()) == []
