"""Who is on duty: https://hl7.org/fhir/R4/practitionerrole.html, read at one moment in the hospital's time zone."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from fhir_server.search.types.date import micros
from fhir_server.search.types.date import period as bounds
from workflow.codes import Json

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def is_on_duty(role: Json, now: datetime) -> bool:
    """Whether a PractitionerRole says that its practitioner works at this moment.

    Who states no hours is not on duty by schedule; nor is who is away (notAvailable), or whose role is over.
    """
    if role.get("active") is False or not covers(role.get("period", {}), now):
        return False
    if any("during" not in away or covers(away["during"], now) for away in role.get("notAvailable", ())):
        return False
    return any(_fits(hours, now) for hours in role.get("availableTime", ()))


def covers(period: Json, now: datetime) -> bool:
    """Whether a Period includes the moment; a date without time is one in the moment's zone, and an end a whole day."""
    start, end = period.get("start"), period.get("end")
    begun = start is None or bounds(start)[0] <= _at(now, start)
    return begun and (end is None or _at(now, end) <= bounds(end)[1])


def _at(now: datetime, date: str) -> int:
    return micros(now if "T" in date else now.replace(tzinfo=None))


def _fits(hours: Json, now: datetime) -> bool:
    if hours.get("allDay"):
        return _on(hours, now)
    start = _clock(hours.get("availableStartTime", "00:00"))
    end = _clock(hours["availableEndTime"]) if "availableEndTime" in hours else None
    clock = now.time()
    if end is None or start < end:
        return _on(hours, now) and start <= clock and (end is None or clock < end)
    # Through the night: it begins on a day of theirs and ends on the next.
    return (_on(hours, now) and start <= clock) or (_on(hours, now - timedelta(days=1)) and clock < end)


def _clock(said: str) -> time:
    return time.fromisoformat(said[:5])  # to the minute: R4 allows a 60th second, Python does not


def _on(hours: Json, day: datetime) -> bool:
    return DAYS[day.weekday()] in hours.get("daysOfWeek", DAYS)
