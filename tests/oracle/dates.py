"""Dates as periods: https://hl7.org/fhir/R4/search.html#date

A span is [start, end) in nanoseconds; House rules: no time zone means UTC, `ge` is end ≥ the start of what is asked
for and `le` start ≤ its end.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from tests.oracle.expressions import Node, children

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")
FOREVER = 10**30
DAY = 86_400 * 10**9
_FORMAT = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)


class Span(NamedTuple):
    """A time from `start` up to but without `end`, in nanoseconds."""

    start: int
    end: int


@lru_cache(65536)
def span(text: str) -> Span:
    """The period that a date, dateTime or instant stands for; ValueError when it is none."""
    match = _FORMAT.fullmatch(text)
    if match is None:
        raise ValueError("not a date")
    year, month, day = int(match[1]), int(match[2] or 1), int(match[3] or 1)
    start = date(year, month, day).toordinal() * DAY
    if match[2] is None:
        return Span(start, start + (366 if calendar.isleap(year) else 365) * DAY)
    if match[3] is None:
        return Span(start, start + calendar.monthrange(year, month)[1] * DAY)
    if match[4] is None:
        return Span(start, start + DAY)
    start += (int(match[4]) * 60 + int(match[5])) * 60 * 10**9 - _offset(match[8])
    if match[6] is None:
        return Span(start, start + 60 * 10**9)
    start += int(match[6]) * 10**9
    if match[7] is None:
        return Span(start, start + 10**9)
    digits = match[7][:9]
    unit = 10 ** (9 - len(digits))
    return Span(start + int(digits) * unit, start + (int(digits) + 1) * unit)


def _offset(zone: str | None) -> int:
    if zone in (None, "Z"):
        return 0
    assert zone is not None
    minutes = int(zone[1:3]) * 60 + int(zone[4:6])
    return (-minutes if zone[0] == "-" else minutes) * 60 * 10**9


def spans(node: Node) -> Iterator[Span]:
    """The period of a node: an instant has no width, of a Timing only the outer limits count."""
    match node.type:
        case "date" | "dateTime":
            yield span(node.value)
        case "instant":
            start = span(node.value).start
            yield Span(start, start + 1)
        case "Period" if "start" in node.value or "end" in node.value:
            yield _period(node.value)
        case "Timing":
            times = [span(each.value) for each in children(node, "event")]
            bounds = node.value.get("repeat", {}).get("boundsPeriod")
            if bounds and ("start" in bounds or "end" in bounds):
                times.append(_period(bounds))
            if times:
                yield Span(min(each.start for each in times), max(each.end for each in times))


def _period(value: dict[str, str]) -> Span:
    start = span(value["start"]).start if "start" in value else -FOREVER
    end = span(value["end"]).end if "end" in value else FOREVER
    return Span(start, end)


def compares(prefix: str, target: Span, asked: Span) -> bool:
    """Whether the resource's period is in this relation to the one asked for."""
    match prefix:
        case "eq":
            return asked.start <= target.start and target.end <= asked.end
        case "ne":
            return not (asked.start <= target.start and target.end <= asked.end)
        case "gt":
            return target.end > asked.end
        case "lt":
            return target.start < asked.start
        case "ge":
            return target.end > asked.start
        case "le":
            return target.start < asked.end
        case "sa":
            return target.start >= asked.end
        case "eb":
            return target.end <= asked.start
    raise ValueError("unknown prefix")
