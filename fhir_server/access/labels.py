"""Security labels as search keys, and what lies below a code in its code system.

https://hl7.org/fhir/R4/security-labels.html
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec

from fhir_server.definitions import code_system
from fhir_server.search.fields import fields
from fhir_server.search.types.token import coded

Json = dict[str, Any]
Pair = tuple[str, str]  # system and code

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
# From open to closed: who may not see one level may not see those behind it.
_LEVELS = ("U", "L", "M", "N", "R", "V")


def label_keys(type_: str, labels: Iterable[Pair]) -> tuple[str, ...]:
    """The search keys of resources of the type with any of these labels ("": without a system)."""
    return coded(fields(type_)["_security"], labels).keys


@cache
def with_below(system: str, code: str) -> tuple[Pair, ...]:
    """The code and all below it; of a confidentiality the stricter ones; the code alone where nothing is known."""
    if system == CONFIDENTIALITY and code in _LEVELS:
        return tuple((system, one) for one in _LEVELS[_LEVELS.index(code) :])
    return tuple((system, one) for one in (code, *_below(system).get(code, ())))


@cache
def _below(system: str) -> dict[str, tuple[str, ...]]:
    """Code → the codes below it."""
    published = code_system(system)
    content: Json = msgspec.json.decode(published) if published is not None else {}
    found: dict[str, tuple[str, ...]] = {}

    def walk(concepts: Iterable[Json]) -> tuple[str, ...]:
        codes: list[str] = []
        for concept in concepts:
            below = walk(concept.get("concept", ()))
            found[concept["code"]] = below
            codes += [concept["code"], *below]
        return tuple(codes)

    walk(content.get("concept", ()))
    return found
