"""https://hl7.org/fhir/R4/search.html#special and https://hl7.org/fhir/R4/location.html#positional: `near`."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from fhir_server.outcomes import FhirError, Invalid, NotSupported
from fhir_server.search.keys import Circle, Criterion, Draft
from fhir_server.search.registry import SearchParameter
from fhir_server.search.types.values import split, unescape

EARTH = 6_378_100.0  # metres, the radius that MongoDB reckons with
DEFAULT_METRES = 50_000.0  # "If the distance is omitted, then the server's own default applies"
# UCUM codes of lengths, in metres
_UNITS = {
    "km": 1000.0,
    "m": 1.0,
    "cm": 0.01,
    "[mi_i]": 1609.344,
    "[mi_us]": 1609.347219,
    "[nmi_i]": 1852.0,
    "[ft_i]": 0.3048,
    "[yd_i]": 0.9144,
    "mi": 1609.344,
    "ft": 0.3048,
}


def finisher(parameter: SearchParameter) -> Callable[[dict[str, Any], Draft], None]:
    """Puts the position of a Location into the draft, as GeoJSON has it."""

    def finish(resource: dict[str, Any], draft: Draft) -> None:
        position = resource.get("position")
        if not position:
            return
        try:
            longitude, latitude = float(position["longitude"]), float(position["latitude"])
        except (KeyError, TypeError, ValueError):
            return
        if abs(longitude) <= 180 and abs(latitude) <= 90:
            draft.point = {"type": "Point", "coordinates": [longitude, latitude]}

    return finish


def criterion(parameter: SearchParameter, modifier: str, value: str) -> Criterion:
    """Places within `latitude|longitude|distance|units` (units are UCUM; km when absent)."""
    if modifier:
        raise NotSupported(f"Modifier ':{modifier[:64]}' is not supported for search parameter '{parameter.code}'.")
    parts = [unescape(part).strip() for part in split(value, "|")]
    if not 2 <= len(parts) <= 4:
        raise _wrong(parameter, "is latitude|longitude|distance|units")
    try:
        latitude, longitude = _number(parts[0]), _number(parts[1])
        distance = _number(parts[2]) if len(parts) > 2 and parts[2] else None
    except ValueError:
        raise _wrong(parameter, "is latitude|longitude|distance|units, the first three decimal numbers") from None
    unit = parts[3] if len(parts) > 3 and parts[3] else "km"
    if unit not in _UNITS:
        raise _wrong(parameter, "has a unit that is no UCUM length this server knows: km, m, [mi_i] …")
    if abs(latitude) > 90 or abs(longitude) > 180 or (distance is not None and distance < 0):
        raise _wrong(parameter, "has a latitude beyond 90, a longitude beyond 180 or a distance below 0")
    metres = DEFAULT_METRES if distance is None else distance * _UNITS[unit]
    return Criterion(circles=(Circle(latitude, longitude, min(metres, math.pi * EARTH)),))


def distance(circle: Circle, point: dict[str, Any]) -> float:
    """Metres along the surface from the circle's middle to the point."""
    longitude, latitude = (math.radians(degree) for degree in point["coordinates"])
    here, there = math.radians(circle.latitude), latitude
    across = math.radians(circle.longitude) - longitude
    half = math.sin((here - there) / 2) ** 2 + math.cos(here) * math.cos(there) * math.sin(across / 2) ** 2
    return 2 * EARTH * math.asin(min(1.0, math.sqrt(half)))


def _number(text: str) -> float:
    try:
        number = float(Decimal(text))
    except InvalidOperation:
        raise ValueError(text) from None
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _wrong(parameter: SearchParameter, rule: str) -> FhirError:
    return Invalid(f"The value of search parameter '{parameter.code}' {rule}.")
