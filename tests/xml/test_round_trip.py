"""JSON → XML → JSON gives what it began with, and elements in the order of the published definitions."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server import xml
from tests.validation.corpus import examples, needs_shared, sample, synthea
from tests.xml.test_cases import sorted_json

Json = dict[str, Any]


def round_trip(resource: Json) -> None:
    before = sorted_json(resource)
    assert sorted_json(xml.decode(xml.encode(resource))) == before
    assert sorted_json(resource) == before, "the input was changed"


@pytest.mark.parametrize("resource", sample(), ids=lambda r: f"{r['resourceType']}-{r.get('id')}")
def test_our_own_sample(resource: Json) -> None:
    round_trip(resource)
    assert sorted_json(xml.decode(xml.encode(resource, pretty=True))) == sorted_json(resource)


@needs_shared
def test_the_published_examples() -> None:
    count = 0
    for resource in examples():
        round_trip(resource)
        count += 1
    assert count == 755


@needs_shared
def test_synthea() -> None:
    count = 0
    for bundle in synthea():
        round_trip(bundle)
        count += len(bundle["entry"])
    assert count == 18_294


@pytest.mark.parametrize("lost", [{"active": False}, {"name": [{"given": ["A", "B"]}]}, {"id": "b"}])
def test_a_difference_is_seen(lost: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {"resourceType": "Patient", "id": "a", "active": True, "name": [{"given": ["A"]}]}
    monkeypatch.setattr(xml, "decode", lambda _: {**whole, **lost})
    with pytest.raises(AssertionError):
        round_trip(whole)
