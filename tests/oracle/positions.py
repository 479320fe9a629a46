"""Location's `near`: https://hl7.org/fhir/R4/location.html#search"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import asin, cos, radians, sin, sqrt
from typing import NamedTuple

from tests.oracle.expressions import Node
from tests.oracle.query import NotASearch

EARTH = 6371.0088  # the mean radius in km
KILOMETRES = {"": 1.0, "km": 1.0, "m": 0.001, "[mi_us]": 1.609347, "[mi_i]": 1.609344, "mi": 1.609344}


class Position(NamedTuple):
    """Degrees in WGS84."""

    latitude: float
    longitude: float


def positions(node: Node) -> Iterator[Position]:
    """The position of a node."""
    if isinstance(node.value, dict) and {"latitude", "longitude"} <= node.value.keys():
        position = Position(float(node.value["latitude"]), float(node.value["longitude"]))
        if abs(position.latitude) <= 90 and abs(position.longitude) <= 180:
            yield position


def near(parts: list[str]) -> Callable[[Position], bool]:
    """Whether a position is within latitude|longitude|distance|unit; without a distance it is left to the server."""
    latitude, longitude, distance, unit, *rest = [*parts, "", ""]
    if not distance or unit not in KILOMETRES or any(rest):
        raise NotASearch("near is latitude|longitude|distance|unit")
    centre, limit = Position(float(latitude), float(longitude)), float(distance) * KILOMETRES[unit]
    return lambda position: kilometres(centre, position) <= limit


def kilometres(one: Position, other: Position) -> float:
    """The great-circle distance by haversine."""
    south, north = radians(one.latitude), radians(other.latitude)
    east = radians(other.longitude - one.longitude)
    chord = sin((north - south) / 2) ** 2 + cos(south) * cos(north) * sin(east / 2) ** 2
    return 2 * EARTH * asin(min(1.0, sqrt(chord)))
