"""Which parameters a resource has values for, as one short text beside it.

Resources with the same parameters share the text, and a type has few different ones: so `birthdate:missing=true`
becomes an `$in` over those that lack it (docs/decisions/0004-search-keys.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from fhir_server.search.fields import fields
from fhir_server.search.keys import Circle, Criterion, Draft, beginning, wide
from fhir_server.search.registry import FIRST_CUSTOM, NUMBER_WIDTH, find, parameters, type_number
from fhir_server.search.types.special import EARTH


@dataclass(frozen=True, slots=True)
class Writer:
    """How the set of one type is written: bits of its numbers, and of keys that only count to certain targets."""

    number: str
    bits: dict[str, int]
    limited: tuple[tuple[int, str], ...]  # (bit, beginning of the key)
    point: int

    def write(self, draft: Draft) -> str:
        """The type's number, the bits in base 16, and the numbers of custom parameters behind dots."""
        mask, custom = 0, []
        bits = self.bits
        numbers = {key[:NUMBER_WIDTH] for key in draft.keys}
        numbers.update([one[0][:NUMBER_WIDTH] for one in draft.ranges])
        for number in numbers:
            bit = bits.get(number)
            if bit is not None:
                mask |= bit
            elif _is_custom(number):
                custom.append(number)
        for bit, prefix in self.limited:
            if any(key.startswith(prefix) for key in draft.keys):
                mask |= bit
        if draft.point is not None:
            mask |= self.point
        text = f"{self.number}{mask:x}"
        return ".".join([text, *sorted(custom)]) if custom else text


def writer(resource_type: str) -> Writer:
    """The writer of a type, as its parameters are now."""
    limited: list[tuple[int, str]] = []
    for field in fields(resource_type).values():
        if not field.own and any(source.target for source in field.sources):
            bit = _bit(resource_type, field.parameter.number)
            limited += [(bit, f"{source.number}>{source.target}/") for source in field.sources]
    bits = {
        p.number: _bit(resource_type, p.number) for p in parameters(resource_type).values() if not _custom(p.number)
    }
    near = find(resource_type, "near")
    return Writer(type_number(resource_type), bits, tuple(limited), bits[near.number] if near else 0)


def chosen(resource_type: str, code: str, missing: bool, sets: Iterable[str]) -> tuple[str, ...]:
    """Those of the type's sets whose resources have (or lack) a value for the parameter."""
    has = _reader(resource_type, code)
    return tuple(text for text in sets if has(text) is not missing)


def _reader(resource_type: str, code: str) -> Callable[[str], bool]:
    field = fields(resource_type).get(code)
    parameter = parameters(resource_type)[code]
    if field is None or field.own or any(source.target for source in field.sources):
        numbers = [parameter.number]
    else:
        numbers = [source.number for source in field.sources]
    custom = {number for number in numbers if _custom(number)}
    mask = sum(_bit(resource_type, number) for number in numbers if number not in custom)

    def has(text: str) -> bool:
        bits, *others = text[NUMBER_WIDTH:].split(".")
        return bool(int(bits or "0", 16) & mask) or not custom.isdisjoint(others)

    return has


def written(resource_type: str, code: str) -> Criterion:
    """Any value at all: all keys of the parameter, or any of its ranges. For where the sets are not known."""
    parameter = parameters(resource_type)[code]
    if parameter.type == "special":
        return Criterion(circles=(Circle(0.0, 0.0, math.pi * EARTH),))
    field = fields(resource_type).get(code)
    every = Criterion()
    for source in field.sources if field is not None else ():
        if parameter.type in ("date", "number", "quantity"):
            every |= Criterion(range_keys=(source.number, wide(source.number)))
        else:
            mark = f">{source.target}/" if source.target else ""
            every |= Criterion(between=(beginning(source.number + mark),))
    return every


def limits(resource_type: str) -> tuple[str, str]:
    """All sets of the type lie from the first up to, not including, the second."""
    number = type_number(resource_type)
    return number, number + "\x7f"


@cache
def _custom(number: str) -> bool:
    return int(number, 36) >= FIRST_CUSTOM


def _is_custom(number: str) -> bool:
    return number >= _FIRST and _custom(number)


_FIRST = "h00"


def _bit(resource_type: str, number: str) -> int:
    """Published numbers follow that of their type one by one; custom ones have no bit."""
    if _custom(number):
        return 0
    return int(1 << (int(number, 36) - int(type_number(resource_type), 36) - 1))
