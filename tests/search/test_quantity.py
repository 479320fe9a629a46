"""What is stored of a quantity."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.search.extract import extract
from fhir_server.search.keys import Index
from fhir_server.search.registry import find

UCUM = "http://unitsofmeasure.org"


def stored(resource: dict[str, Any], code: str) -> tuple[Index, list[tuple[str, float, float]]]:
    """The index, and the ranges of one parameter without its number."""
    index = extract(resource)
    parameter = find(resource["resourceType"], code)
    assert parameter is not None
    ranges = [(one["k"][3:], one["lo"], one["hi"]) for one in index.ranges if one["k"].startswith(parameter.number)]
    return index, ranges


def observation(**value: Any) -> list[tuple[str, float, float]]:
    return stored({"resourceType": "Observation", "id": "a", **value}, "value-quantity")[1]


def test_a_unit_that_converts_is_stored_in_base_units() -> None:
    quantity = {"value": Decimal("5.40"), "unit": "milligram", "system": UCUM, "code": "mg"}
    assert observation(valueQuantity=quantity) == [
        ("", 5.4, 5.4),
        ("||mg", 5.4, 5.4),
        ("||milligram", 5.4, 5.4),
        ("^g", 0.0054, 0.0054),
    ]


@pytest.mark.parametrize(("system", "code"), [(UCUM, "[pH]"), ("http://example.org/units", "mg"), (UCUM, "m" * 65)])
def test_others_are_stored_as_they_are(system: str, code: str) -> None:
    ranges = observation(valueQuantity={"value": 7, "unit": code, "system": system, "code": code})
    assert ranges == [("", 7.0, 7.0), (f"|{system}|{code}", 7.0, 7.0), (f"||{code}", 7.0, 7.0)]


def test_a_comparator_opens_the_range_in_base_units_too() -> None:
    ranges = observation(valueQuantity={"value": 5, "comparator": "<=", "system": UCUM, "code": "mg"})
    assert ranges == [("~", -math.inf, 5.0), ("~||mg", -math.inf, 5.0), ("~^g", -math.inf, 0.005)]


def test_sorted_by_the_value_as_it_is_written() -> None:
    resource = {"resourceType": "Observation", "id": "a", "valueQuantity": {"value": 5, "system": UCUM, "code": "mg"}}
    index, _ = stored(resource, "value-quantity")
    parameter = find("Observation", "value-quantity")
    assert parameter is not None
    assert index.sort[parameter.number] == 5.0


def test_each_end_of_a_range_has_its_own_unit() -> None:
    low, high = {"value": 18, "system": UCUM, "code": "mo"}, {"value": 2, "system": UCUM, "code": "a"}
    resource = {"resourceType": "Condition", "id": "a", "onsetRange": {"low": low, "high": high}}
    year = 365.25 * 86400
    assert stored(resource, "onset-age")[1] == [("~", 2.0, 18.0), ("~^s", 1.5 * year, 2 * year)]


@pytest.mark.parametrize(
    ("data", "low", "high"),
    [
        ("1 -2.5 E 3", 5.0, 16.0),
        ("L 3", -math.inf, 16.0),
        ("3 U", 16.0, math.inf),
        ("1e1", 30.0, 30.0),
        ("L E", 1.0, 9.0),
    ],
)
def test_samples_reach_from_the_lowest_to_the_highest(data: str, low: float, high: float) -> None:
    origin = {"value": Decimal(10), "unit": "cm"}
    sampled = {"origin": origin, "factor": 2, "lowerLimit": 1, "upperLimit": 9, "data": data}
    mark = "" if low == high else "~"
    assert observation(valueSampledData=sampled) == [(mark, low, high), (f"{mark}||cm", low, high)]


@pytest.mark.parametrize("data", ["", "E", "nan inf 1_0 ٣ 1.", "1" * 5 + "x"])
def test_what_is_no_sample_is_not_stored(data: str) -> None:
    assert observation(valueSampledData={"origin": {"value": 1}, "data": data}) == []


@pytest.mark.parametrize("digits", ["1E+999999999", "-1E+999999999", "1E-999999999", "9" * 5000, "0." + "3" * 5000])
def test_monstrous_numbers_are_stored_as_well_as_a_float_can(digits: str) -> None:
    value = Decimal(digits)
    for _, low, high in observation(valueQuantity={"value": value, "system": UCUM, "code": "Cel"}):
        assert low == high
        assert math.isinf(low) or abs(low) < 300
    sampled = {"origin": {"value": value, "unit": "m"}, "factor": value, "data": "1 -1"}
    assert len(observation(valueSampledData=sampled)) == 2
