"""Dates and times that may be partial: https://hl7.org/fhirpath/N1/#date · #time · #datetime"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.quantities import CALENDAR, CODES, Quantity

DATE, DATE_TIME, TIME = "Date", "DateTime", "Time"
_TIME = r"(\d{2})(?::(\d{2})(?::(\d{2}(?:\.\d+)?))?)?"
_OFFSET = r"(Z|[+-]\d{2}:\d{2})"
_DATE_TEXT = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", re.ASCII)
_DATE_TIME_TEXT = re.compile(rf"{_DATE_TEXT.pattern}(?:T(?:{_TIME}{_OFFSET}?)?)?", re.ASCII)
_TIME_TEXT = re.compile(rf"T?{_TIME}", re.ASCII)

_WORDS = {code: word for word, code in CODES.items()}
# Calendar word → seconds, for durations that always have as many.
_SECONDS: dict[str, int | Decimal] = {
    "millisecond": Decimal("0.001"),
    **{"week": 604800, "day": 86400, "hour": 3600, "minute": 60, "second": 1},
}
_PLACES = (4, 6, 8, 10, 12, 14)  # digits of year, month … second; milliseconds are three more
_EARLIEST, _LATEST = 14 * 60, -12 * 60  # minutes from UTC in which it is earliest and latest anywhere


@dataclass(frozen=True, slots=True)
class Moment:
    """A Date, DateTime or Time: as many of year … second, or hour … second, as are known.

    Seconds are a Decimal, with the digits they were written with; `offset` is minutes from UTC, "Z" written so.
    """

    kind: str
    parts: tuple[int | Decimal, ...]
    offset: int | None = None
    zulu: bool = False

    def __str__(self) -> str:
        shown = [_shown(part) for part in self.parts]
        if self.kind == TIME:
            return ":".join(shown)
        shown[0] = shown[0].zfill(4)
        text = "-".join(shown[:3])
        if len(shown) > 3:
            text += "T" + ":".join(shown[3:])
        return text if self.offset is None else text + ("Z" if self.zulu else _shown_offset(self.offset))

    @property
    def precision(self) -> int:
        """Digits as written: 4 for a year, 8 for a day, 17 for a moment to the millisecond, 9 for such a time."""
        first = 3 if self.kind == TIME else 0
        digits = _PLACES[first + len(self.parts) - 1] - (8 if first else 0)
        return digits + (3 if isinstance(self.parts[-1], Decimal) and self.parts[-1].as_tuple().exponent != 0 else 0)


def _shown(part: int | Decimal) -> str:
    whole, point, fraction = str(part).partition(".")
    return whole.zfill(2) + point + fraction


def _shown_offset(offset: int) -> str:
    hours, minutes = divmod(abs(offset), 60)
    return f"{'-' if offset < 0 else '+'}{hours:02}:{minutes:02}"


# ---- reading -----------------------------------------------------------------------------------------


def literal(text: str) -> Moment | None:
    """What follows the @: "2020-01" is a Date, "2020-01T" a DateTime, "T10:30" a Time; None when there is no such."""
    if text.startswith("T"):
        return time(text)
    return date_time(text) if "T" in text else date(text)


def date(text: str) -> Moment | None:
    match = _DATE_TEXT.fullmatch(text)
    return _moment(DATE, match) if match else None


def date_time(text: str) -> Moment | None:
    match = _DATE_TIME_TEXT.fullmatch(text)
    return _moment(DATE_TIME, match) if match else None


def time(text: str) -> Moment | None:
    match = _TIME_TEXT.fullmatch(text)
    return _moment(TIME, match) if match else None


def _moment(kind: str, match: re.Match[str]) -> Moment | None:
    found = [part for part in match.groups() if part is not None]
    offset, zulu = None, bool(found) and found[-1] == "Z"
    if found and (found[-1] == "Z" or found[-1][0] in "+-"):
        offset = _minutes(found.pop())
    seconds = 2 if kind == TIME else 5
    parts = tuple(Decimal(part) if i == seconds else int(part) for i, part in enumerate(found))
    if kind == DATE_TIME and len(match.groups()) > 3 and match[4] and len(parts) < 4:
        return None
    return Moment(kind, parts, offset, zulu) if _exists(kind, parts) else None


def _minutes(offset: str) -> int:
    if offset == "Z":
        return 0
    minutes = int(offset[1:3]) * 60 + int(offset[4:6])
    return -minutes if offset[0] == "-" else minutes


def _exists(kind: str, parts: tuple[int | Decimal, ...]) -> bool:
    clock = parts
    if kind != TIME:
        clock = parts[3:]
        year, month, day = (int(part) for part in (*parts[:3], *(1, 1, 1)[len(parts) :]))
        if not (year and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]):
            return False
    return all(part < most for part, most in zip(clock, (24, 60, 61), strict=False))


# ---- comparing ---------------------------------------------------------------------------------------


def compare(left: Moment, right: Moment) -> int | None:
    """-1, 0 or 1; None when their precision leaves it open."""
    if left.offset != right.offset and _has_time(left) and _has_time(right):
        if left.offset is None or right.offset is None:
            return _compare_apart(left, right)
        left, right = _to_utc(left), _to_utc(right)
    for one, other in zip(left.parts, right.parts, strict=False):
        if one != other:
            return -1 if one < other else 1
    return 0 if len(left.parts) == len(right.parts) else None


def _has_time(moment: Moment) -> bool:
    return moment.kind == DATE_TIME and len(moment.parts) > 3


def _to_utc(moment: Moment) -> Moment:
    return replace(_shifted(moment, timedelta(minutes=-(moment.offset or 0))), offset=0)


def _shifted(moment: Moment, by: timedelta) -> Moment:
    """The moment moved by whole seconds, with the precision it has."""
    year, month, day, hour, minute, second = (int(p) for p in (*moment.parts, *(1, 1, 1, 0, 0, 0)[len(moment.parts) :]))
    leap = 1 if second == 60 else 0
    try:
        moved = datetime(year, month, day, hour, minute, second - leap) + by
    except (OverflowError, ValueError):
        raise FhirPathError("A date is outside of the years 1 to 9999.") from None
    parts: tuple[int | Decimal, ...] = (moved.year, moved.month, moved.day, moved.hour, moved.minute)
    if len(moment.parts) == 6:
        parts = (*parts, moved.second + leap + Decimal(moment.parts[5]) % 1)
    return replace(moment, parts=parts[: len(moment.parts)])


def _compare_apart(left: Moment, right: Moment) -> int | None:
    """One of them says no time zone: it is certain only when they are more than all time zones apart."""
    (a, b), (c, d) = _range(left), _range(right)
    return -1 if b < c else 1 if a > d else None


def _range(moment: Moment) -> tuple[datetime, datetime]:
    low, high = boundary(moment, 17, high=False), boundary(moment, 17, high=True)
    assert low is not None
    assert high is not None
    return _instant(_to_utc(low)), _instant(_to_utc(high))


def _instant(moment: Moment) -> datetime:
    year, month, day, hour, minute, second = (int(part) for part in moment.parts)
    return datetime(year, month, day, hour, minute, min(second, 59), int(Decimal(moment.parts[5]) % 1 * 1_000_000))


# ---- arithmetic --------------------------------------------------------------------------------------


def add(moment: Moment, quantity: Quantity, sign: int = 1) -> Moment:
    """A moment later (sign 1) or earlier (-1) by a duration, with the precision it has.

    A duration in smaller units than those known is cut to whole ones. Raises FhirPathError for what is no duration.
    """
    word = CALENDAR.get(quantity.unit) or _WORDS.get(quantity.unit)
    if word is None:
        raise FhirPathError("Only a duration in calendar units or in weeks or less can be added to a date.")
    value = sign * quantity.value
    if moment.kind == TIME:
        return _add_to_time(moment, word, value)
    if word in ("year", "month"):
        return _add_months(moment, int(value) * (12 if word == "year" else 1))
    known = len(moment.parts)
    if known < 3:
        return _add_months(moment, _whole(word, value, 365) * 12 if known == 1 else _whole(word, value, 30))
    if word not in ("second", "millisecond"):
        value = Decimal(int(value))
    seconds = value * _SECONDS[word]
    if abs(seconds) > 400_000_000_000:
        raise FhirPathError("A date is outside of the years 1 to 9999.")
    if known < 6:
        unit = {3: 86400, 4: 3600, 5: 60}[known]
        return _shifted(moment, timedelta(seconds=int(seconds / unit) * unit))
    second = moment.parts[5] + seconds
    whole = second.to_integral_value("ROUND_FLOOR")
    moved = _shifted(replace(moment, parts=(*moment.parts[:5], Decimal(0))), timedelta(seconds=int(whole)))
    return replace(moved, parts=(*moved.parts[:5], moved.parts[5] + second - whole))


def _whole(word: str, value: Decimal, days: int) -> int:
    """A duration in whole years or months of so many days."""
    seconds = int(value) * _SECONDS[word] if word not in ("second", "millisecond") else value * _SECONDS[word]
    return int(seconds / (days * 86400))


def _add_months(moment: Moment, months: int) -> Moment:
    known = moment.parts
    if len(known) == 1:
        months = int(months / 12) * 12
    year, month = divmod(int(known[0]) * 12 + int(known[1] if len(known) > 1 else 1) - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise FhirPathError("A date is outside of the years 1 to 9999.")
    day = min(int(known[2]), monthrange(year, month + 1)[1]) if len(known) > 2 else 1
    return replace(moment, parts=(year, month + 1, day, *known[3:])[: len(known)])


def _add_to_time(moment: Moment, word: str, value: Decimal) -> Moment:
    if word not in ("hour", "minute", "second", "millisecond"):
        raise FhirPathError("Only hours and what is shorter can be added to a time.")
    if word in ("hour", "minute"):
        value = Decimal(int(value))
    known = len(moment.parts)
    unit = (3600, 60, 1)[known - 1]
    start = sum(part * size for part, size in zip(moment.parts, (3600, 60, 1), strict=False))
    change = value * _SECONDS[word]
    total = (start + (change if known == 3 else int(change / unit) * unit)) % 86400
    if total < 0:
        total += 86400
    parts = (int(total // 3600), int(total // 60 % 60), Decimal(total) % 60)
    return replace(moment, parts=parts[:known])


# ---- boundaries --------------------------------------------------------------------------------------


def boundary(moment: Moment, precision: int | None, *, high: bool) -> Moment | None:
    """The earliest or latest moment, in so many digits, that this one may be; None for a precision that is none."""
    is_time = moment.kind == TIME
    if precision is None:
        precision = {DATE: 8, DATE_TIME: 17, TIME: 9}[moment.kind]
    steps = (2, 4, 6, 9) if is_time else (4, 6, 8, 10, 12, 14, 17)
    if precision not in steps:
        return None
    parts = list(moment.parts) + _rest(moment, high)
    length = min(steps.index(precision) + 1, 3 if is_time else 6)
    if precision == steps[-1]:
        parts[length - 1] = _milliseconds(Decimal(parts[length - 1]), moment, high)
    elif len(parts) >= length and precision == steps[-2]:
        parts[length - 1] = Decimal(int(parts[length - 1]))
    kind = DATE_TIME if moment.kind == DATE and length > 3 else moment.kind
    offset = moment.offset
    if kind == DATE_TIME:
        offset = None if length <= 3 else (_LATEST if high else _EARLIEST) if offset is None else offset
    return Moment(kind, tuple(parts[:length]), offset, moment.zulu and length > 3)


def _rest(moment: Moment, high: bool) -> list[int | Decimal]:
    """The parts that are not known, as low or high as they can be."""
    if moment.kind == TIME:
        return list(((59, Decimal(59)) if high else (0, Decimal(0)))[len(moment.parts) - 1 :])
    if not high:
        return list((1, 1, 0, 0, Decimal(0))[len(moment.parts) - 1 :])
    year, month = int(moment.parts[0]), int(moment.parts[1]) if len(moment.parts) > 1 else 12
    return list((12, monthrange(year, month)[1], 23, 59, Decimal(59))[len(moment.parts) - 1 :])


def _milliseconds(second: Decimal, moment: Moment, high: bool) -> Decimal:
    exponent = second.as_tuple().exponent
    if high and exponent == 0:
        return second + Decimal("0.999")
    return second.quantize(Decimal("0.001"), rounding="ROUND_DOWN")
