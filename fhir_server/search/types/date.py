"""https://hl7.org/fhir/R4/search.html#date: every date is the span of time that its precision leaves open."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fhir_server.search.fields import Field
from fhir_server.search.keys import DAY, OPEN_HIGH, OPEN_LOW, Criterion, Draft, Sink, wide
from fhir_server.search.paths import Leaf
from fhir_server.search.types.values import Indexer, Settings, Visit, compare, prefix, refuse_modifier, wrong

MODIFIERS: frozenset[str] = frozenset()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000
_DATE_TIME = re.compile(
    r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(?P<fraction>\.\d+)?)?(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)


def micros(moment: datetime) -> int:
    """Microseconds since 1970; a moment without a zone counts as UTC."""
    passed = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    return (passed.days * 86400 + passed.seconds) * _SECOND + passed.microseconds


def period(text: str) -> tuple[int, int]:
    """First and last microsecond of a date, dateTime or instant; raises ValueError when it is none."""
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise ValueError("not a date")
    if len(text) <= 10:
        return _of_date(text)
    # A leap second is the second before it, once more.
    leap = text[16:19] == ":60"
    start = micros(datetime.fromisoformat(_readable(text.replace(":60", ":59", 1) if leap else text, match)))
    if text[16:17] != ":":
        return start, start + 60 * _SECOND - 1
    digits = min(len(match["fraction"] or ".") - 1, 6)
    return start, start + 10 ** (6 - digits) - 1


def _readable(text: str, match: re.Match[str]) -> str:
    """At most six digits of a second: what Python reads."""
    fraction = match["fraction"]
    return text if fraction is None or len(fraction) <= 7 else text.replace(fraction, fraction[:7], 1)


def _of_date(text: str) -> tuple[int, int]:
    year = int(text[:4])
    if len(text) == 10:
        start = micros(datetime.fromisoformat(text))
        return start, start + DAY - 1
    month = int(text[5:7]) if len(text) == 7 else 1
    start = micros(datetime(year, month, 1))
    months = year * 12 + month - 1 + (1 if len(text) == 7 else 12)
    if months >= 12 * 10_000:
        return start, micros(datetime.max)
    return start, micros(datetime(months // 12, months % 12 + 1, 1)) - 1


def _add(sink: Sink, draft: Draft, low: int, high: int) -> None:
    draft.ranges[(sink.number if high - low < DAY else wide(sink.number), low, high)] = None
    if sink.ascending:
        sink.sort(draft, low)


def _point(sink: Sink, leaf: Leaf) -> Visit:
    def visit(value: Any, draft: Draft) -> None:
        try:
            low, high = period(value)
        except (ValueError, TypeError, OverflowError):
            return  # what the validator let pass cannot be found by date
        _add(sink, draft, low, high)

    return visit


def _span(start: Any, end: Any) -> tuple[int, int] | None:
    if start is None and end is None:
        return None
    try:
        low = period(start)[0] if start is not None else OPEN_LOW
        high = period(end)[1] if end is not None else OPEN_HIGH
    except (ValueError, TypeError, OverflowError):
        return None
    return (low, high) if low <= high else (high, low)


def _period(sink: Sink, leaf: Leaf) -> Visit:
    def visit(value: Any, draft: Draft) -> None:
        if span := _span(value.get("start"), value.get("end")):
            _add(sink, draft, *span)

    return visit


def _timing(sink: Sink, leaf: Leaf) -> Visit:
    """The outer limits: from the first to the last event, and the bounds of the repetition."""

    def visit(value: Any, draft: Draft) -> None:
        spans = [span for event in value.get("event", ()) if event and (span := _span(event, event))]
        bounds = value.get("repeat", {}).get("boundsPeriod")
        if bounds and (span := _span(bounds.get("start"), bounds.get("end"))):
            spans.append(span)
        if spans:
            _add(sink, draft, min(low for low, _ in spans), max(high for _, high in spans))

    return visit


INDEXERS: Mapping[str, Indexer] = {
    "date": _point,
    "dateTime": _point,
    "instant": _point,
    "Period": _period,
    "Timing": _timing,
}


def searched(text: str, settings: Settings) -> tuple[str, int, int, int]:
    """Comparison, first and last microsecond, and how far `ap` reaches; raises ValueError.

    A `+` of a time zone that arrived as a blank is taken for what it was.
    """
    comparison, rest = prefix(text)
    if rest[-6:-5] == " ":
        rest = f"{rest[:-6]}+{rest[-5:]}"
    try:
        low, high = period(rest)
    except OverflowError:
        raise ValueError("out of range") from None
    return comparison, low, high, abs(settings.now - (low + high) // 2) // 10


def criterion(field: Field, modifier: str, value: str, settings: Settings) -> Criterion:
    """The stored spans that one search value finds, https://hl7.org/fhir/R4/search.html#prefix."""
    if modifier:
        raise refuse_modifier(field, modifier)
    try:
        comparison, low, high, around = searched(value, settings)
    except ValueError:
        raise wrong(field, "is not a date: [prefix]yyyy-mm-ddThh:mm:ss+zz:zz, or as much of it as is known") from None
    found = Criterion()
    for source in field.sources:
        found |= Criterion(bounds=compare(comparison, low, high, around, key=source.number, width=DAY))
    return found
