"""Populations: the same for the same seed, whole in their references, and alike per patient whatever their size."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.copies import Population, bundle, template
from fhir_server.validation import validate

Json = dict[str, Any]
_REFERENCE = re.compile(r'"reference": ?"([^"#]+)"')
_DAY = re.compile(r'"((?:19|20)\d\d-\d\d-\d\d)["T]')
ROUND = 60  # patients of the Synthea folder; its two Bundles without a patient bring nobody


@pytest.fixture(scope="module")
def sample() -> Population:
    return Population(None)


@pytest.fixture(scope="module")
def synthea(shared: Path) -> Population:
    return Population(shared / "synthea")


def keys(resources: list[Json]) -> list[str]:
    return [f"{resource['resourceType']}/{resource['id']}" for resource in resources]


def text(value: Any) -> str:
    return json.dumps(value, default=str)


def several(population: Population, count: int = 2 * ROUND) -> Iterator[list[Json]]:
    yield from (population.patient(number) for number in range(count))


def test_a_hole_is_an_id_a_reference_or_a_day_and_nothing_else() -> None:
    id = "00000000-0000-4000-8000-000000000001"
    resource = {
        "id": id,
        "subject": {"reference": f"urn:uuid:{id}"},
        "issued": "2020-02-28T10:00:00Z",
        "birthDate": "2020-02-28",
        "value": "999-20-2020 2020-02-28 x",
    }
    (copy,) = json.loads(template([resource], {id: "Patient"}).text({id: "new"}, 2))
    assert copy == {
        "id": "new",
        "subject": {"reference": "Patient/new"},
        "issued": "2020-03-01T10:00:00Z",
        "birthDate": "2020-03-01",
        "value": "999-20-2020 2020-02-28 x",
    }


@pytest.mark.parametrize("source", ["sample", "synthea"])
def test_ids_are_fresh_and_references_lead_to_what_is_there(source: str, request: pytest.FixtureRequest) -> None:
    population: Population = request.getfixturevalue(source)
    every: set[str] = set()
    referred: set[str] = set()
    count = 0
    for resources in several(population):
        every.update(keys(resources))
        referred.update(_REFERENCE.findall(text(resources)))
        count += len(resources)
    assert len(every) == count == population.count(2 * ROUND)
    assert referred
    assert referred <= every


@pytest.mark.parametrize("source", ["sample", "synthea"])
def test_every_resource_is_valid(source: str, request: pytest.FixtureRequest) -> None:
    population: Population = request.getfixturevalue(source)
    for resources in several(population, 3):
        for resource in resources:
            assert [i for i in validate(resource) if i.severity == "error"] == []


def test_the_same_for_the_same_seed_and_others_for_another(sample: Population) -> None:
    assert Population(None).patient(7) == sample.patient(7)
    assert not set(keys(Population(None, seed=2).patient(7))) & set(keys(sample.patient(7)))


def test_rounds_are_alike_and_share_nothing(synthea: Population) -> None:
    first, second = (
        [r for number in range(start, start + ROUND) for r in synthea.patient(number)] for start in (0, ROUND)
    )
    assert Counter(r["resourceType"] for r in first) == Counter(r["resourceType"] for r in second)
    assert not set(keys(first)) & set(keys(second))


def test_organizations_are_shared_within_a_round(synthea: Population) -> None:
    types = Counter(r["resourceType"] for number in range(ROUND) for r in synthea.patient(number))
    assert 0 < types["Organization"] < 2 * ROUND  # the source has 195 entries of 53 that are referred to
    assert types["Location"] == types["Organization"]


def test_names_identifiers_and_dates_differ_from_copy_to_copy(synthea: Population) -> None:
    copies = [
        next(r for r in synthea.patient(number) if r["resourceType"] == "Patient") for number in (0, ROUND, 2 * ROUND)
    ]
    for what in ("name", "identifier", "birthDate"):
        assert len({text(copy[what]) for copy in copies}) == 3, what


def test_all_dates_of_a_patient_move_together(synthea: Population) -> None:
    from datetime import date

    def days(number: int) -> list[date]:
        own = [r for r in synthea.patient(number) if r["resourceType"] not in ("Organization", "Practitioner")]
        return [date.fromisoformat(day) for day in _DAY.findall(text(own))]

    moved = {b - a for a, b in zip(days(0), days(ROUND), strict=True)}
    assert len(moved) == 1


def test_a_bundle_puts_each_resource_under_its_id(sample: Population) -> None:
    resources = sample.patient(1)
    found = json.loads(bundle(resources))
    assert (found["resourceType"], found["type"]) == ("Bundle", "transaction")
    assert [entry["request"]["url"] for entry in found["entry"]] == keys(resources)
