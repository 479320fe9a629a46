"""A population as files for `fhir-server load`, and over HTTP."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path

import httpx

from benchmarks.copies import Population
from benchmarks.population import send, write

PATIENTS = 2


def test_files_hold_the_patients_as_transactions(tmp_path: Path) -> None:
    population = Population(None)
    write(population, PATIENTS, tmp_path)
    bundles = [json.loads(gzip.decompress(path.read_bytes())) for path in sorted(tmp_path.iterdir())]
    assert [bundle["type"] for bundle in bundles] == ["transaction"] * PATIENTS
    assert sum(len(bundle["entry"]) for bundle in bundles) == population.count(PATIENTS)


def test_transactions_over_http_keep_the_ids(client: httpx.Client, server: str) -> None:
    population = Population(None)
    asyncio.run(send(population, PATIENTS, server))
    for number in range(PATIENTS):
        patient = next(r for r in population.patient(number) if r["resourceType"] == "Patient")
        found = client.get(f"/Patient/{patient['id']}")
        assert found.status_code == 200
        assert found.json()["name"] == patient["name"]
