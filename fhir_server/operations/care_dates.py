"""Dates of care: a span of them as a condition on each type's main date (the one that it is sorted by).

The births of people are no care. What has no such date, be it the type or the resource, is within every span.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from fhir_server.outcomes import ValueWrong
from fhir_server.search.fields import DATE_SLOT, fields
from fhir_server.search.keys import wide
from fhir_server.search.types.date import period

Json = dict[str, Any]
Span = tuple[int | None, int | None]  # first and last microsecond since 1970, both inclusive; None is open


def span(start: str | None, end: str | None) -> Span:
    """The span from the beginning of `start` to the end of `end`, FHIR dates or dateTimes."""
    return (moments("start", start)[0] if start else None, moments("end", end)[1] if end else None)


def moments(name: str, text: str) -> tuple[int, int]:
    """First and last microsecond of the parameter's date; ValueWrong (400) where the calendar has no such time."""
    try:
        return period(text)
    except (ValueError, OverflowError):
        raise ValueWrong(f"Parameter '{name}' is no time of the calendar.") from None


def within(types: Iterable[str], dates: Span) -> list[Json]:
    """The MongoDB conditions that together keep what reaches into the span; none where it has no ends."""
    numbers = [number for name in types for number in care_numbers(name)]
    return out_of_span(numbers, dates)


def out_of_span(numbers: list[str], dates: Span) -> list[Json]:
    """That no date under these keys ends before the span or begins after it."""
    start, end = dates
    limits: list[Json] = []
    if start is not None:
        limits.append({"hi": {"$lt": start}})
    if end is not None:
        limits.append({"lo": {"$gt": end}})
    # A resource has one such date, so "not outside" is "within, or without a date".
    return [{"$nor": [{"r": {"$elemMatch": {"k": {"$in": numbers}, **limit}}}]} for limit in limits]


@cache
def care_numbers(resource_type: str) -> tuple[str, ...]:
    """The keys under which the ranges of the type's date of care are stored."""
    for field in fields(resource_type).values():
        if field.parameter.type == "date" and field.ascending == DATE_SLOT and field.parameter.code != "birthdate":
            return tuple(key for source in field.sources for key in (source.number, wide(source.number)))
    return ()
