"""Every shape finds values in Synthea's data, and its query finds the resource that they are from."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks.copies import Population
from benchmarks.shapes import GROUPS, SHAPES, Missing, Sample, queries

LEAST = 23  # shapes that the mix has


def test_names_are_told_apart_and_can_be_listed() -> None:
    names = [shape.name for shape in SHAPES]
    assert len(set(names)) == len(names)
    assert not any("," in name or name in GROUPS for name in names)
    assert {shape.group for shape in SHAPES} == set(GROUPS)
    assert sum(shape.group == "mix" for shape in SHAPES) >= LEAST


def test_every_shape_has_queries_on_synthea(shared: Path) -> None:
    from datetime import UTC, datetime, timedelta

    now = datetime.now(UTC)
    population = Population(shared / "synthea")
    resources = [resource for number in range(30) for resource in population.patient(number)]
    sample = Sample(resources, random.Random(1), (now - timedelta(hours=1), now))
    for shape in SHAPES:
        assert queries(shape, sample, 5), shape.name


def test_queries_are_the_same_for_the_same_dice() -> None:
    resources = Population(None).patient(0)
    for shape in SHAPES:
        first, second = (queries(shape, Sample(resources, random.Random(3)), 5) for _ in range(2))
        assert first == second, shape.name


def test_a_shape_without_values_has_no_queries() -> None:
    empty = Sample([], random.Random(1))
    with pytest.raises(Missing):
        empty.any("Patient")
    assert queries(SHAPES[0], empty, 5) == []
