"""Where a user stands in the hospital, read from its resources: whom they are, whom they work for, who is in their care.

Everything that ends by itself (a period, broken glass) says when: nothing made of it may be kept any longer.
https://hl7.org/fhir/R4/practitionerrole.html · https://hl7.org/fhir/R4/careteam.html
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import structlog

from fhir_server.access.principal import SYSTEM
from fhir_server.search.compile import compile
from fhir_server.search.fields import fields
from fhir_server.search.parse import conditional
from fhir_server.search.types.date import period
from fhir_server.storage.repository import Repository

log = structlog.get_logger(__name__)

Json = dict[str, Any]

MOST = 10_000  # resources of a kind that are looked at for one user; who has more in their care does not see the rest
_CERTAIN = frozenset({"level3", "level4"})  # that someone's Person is the same human being


@dataclass(frozen=True, slots=True)
class Bearings:
    """What a principal is made of beside the token; `until` is in microseconds since 1970."""

    own: frozenset[str] = frozenset()
    organizations: frozenset[str] = frozenset()
    panel: Mapping[str, str] = field(default_factory=dict)  # patient → why
    until: float = math.inf
    gone: bool = False  # the user's own resource is deleted or inactive: nothing is open


class Moment:
    """Now, and until when everything that was asked of it stays as answered (microseconds since 1970)."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.until = math.inf

    def within(self, span: object) -> bool:
        """Whether a Period, absent or open at either end, holds now; one that cannot be read does not."""
        if span is None:
            return True
        if not isinstance(span, dict):
            return False
        try:
            start = period(span["start"])[0] if "start" in span else -math.inf
            end = period(span["end"])[1] + 1 if "end" in span else math.inf
        except (ValueError, TypeError):
            return False
        self.until = min([self.until, *(edge for edge in (start, end) if edge > self.now)])
        return start <= self.now < end


async def bearings(
    repository: Repository, fhir_user: str, *, now: int, base_url: str, with_panel: bool = True
) -> Bearings:
    """The bearings of who is `fhir_user` ("Practitioner/1") at a moment; those of "" are empty."""
    moment = Moment(now)
    kind, _, id_ = fhir_user.partition("/")
    if not id_ or kind not in ("Patient", "RelatedPerson", "Person", "Practitioner", "PractitionerRole"):
        return Bearings()
    known = await _resource(repository, fhir_user)
    if known is not None and not _in_force(known, moment):
        return Bearings(gone=True, until=moment.until)
    if kind == "Patient":
        return Bearings(own=frozenset({fhir_user}))
    if kind in ("RelatedPerson", "Person"):
        own = await _represented(repository, known or {}, moment)
        return Bearings(own=own, until=moment.until)
    roles = await _practitioner_roles(repository, fhir_user, known, moment, base_url)
    me = {fhir_user, *(f"PractitionerRole/{role['id']}" for role in roles)}
    me |= {one for role in roles if (one := _local(role.get("practitioner"), "Practitioner"))}
    organizations = frozenset(one for role in roles if (one := _local(role.get("organization"), "Organization")))
    panel = await _panel(repository, me, moment, base_url) if with_panel else {}
    return Bearings(organizations=organizations, panel=panel, until=moment.until)


async def _resource(repository: Repository, key: str) -> Json | None:
    """The resource; None when there never was one. A deleted one is one that is not active."""
    stored = (await repository.read_many(SYSTEM, [key])).get(key)
    if stored is None:
        return None
    return {"active": False} if stored.deleted else stored.resource()


def _in_force(resource: Json, moment: Moment) -> bool:
    # A Patient who is not active any more may still read what was written of them.
    inactive = resource.get("active") is False and resource.get("resourceType") != "Patient"
    return not inactive and moment.within(resource.get("period"))


async def _represented(repository: Repository, person: Json, moment: Moment) -> frozenset[str]:
    """The patients of a RelatedPerson, or of those whom a Person surely is."""
    if person.get("resourceType") == "RelatedPerson":
        patient = _local(person.get("patient"), "Patient")
        return frozenset({patient} if patient else ())
    sure = [link.get("target") for link in person.get("link", ()) if link.get("assurance") in _CERTAIN]
    own = {one for target in sure if (one := _local(target, "Patient"))}
    related = {one for target in sure if (one := _local(target, "RelatedPerson"))}
    found = await repository.read_many(SYSTEM, sorted(related))
    for one in (stored.resource() for stored in found.values() if not stored.deleted):
        if _in_force(one, moment):
            own |= await _represented(repository, one, moment)
    return frozenset(own)


async def _practitioner_roles(
    repository: Repository, fhir_user: str, known: Json | None, moment: Moment, base_url: str
) -> list[Json]:
    """The PractitionerRoles that someone has now."""
    if fhir_user.startswith("PractitionerRole/"):
        return [known] if known is not None else []
    found = await _find(repository, "PractitionerRole", f"practitioner={fhir_user}", base_url)
    return [role for role in found if _in_force(role, moment)]


async def _panel(repository: Repository, me: Iterable[str], moment: Moment, base_url: str) -> dict[str, str]:
    """The patients in someone's care, and why: "referral" by an active order, "care-team" as a member."""
    names = ",".join(sorted(me))
    panel: dict[str, str] = {}
    for team in await _find(repository, "CareTeam", f"participant={names}&status=active", base_url):
        patient = _local(team.get("subject"), "Patient")
        if patient and moment.within(team.get("period")) and _takes_part(team, set(me), moment):
            panel[patient] = "care-team"
    criterion = f"performer={names}&status=active"
    numbers = _patient_numbers("ServiceRequest")
    prefixes = [f"{number}>Patient/" for number in numbers]
    filter = compile(conditional("ServiceRequest", criterion, base_url)).filter
    keys, whole = await repository.keys(SYSTEM, filter, prefixes, limit=MOST)
    if not whole:
        log.warning("a panel is cut off", kind="ServiceRequest", most=MOST)
    panel.update({key.partition(">")[2]: "referral" for key in keys})
    return panel


def _takes_part(team: Json, me: set[str], moment: Moment) -> bool:
    mine = [one for one in team.get("participant", ()) if _reference(one.get("member")) in me]
    # Each period is looked at, for when it ends.
    return any([moment.within(one.get("period")) for one in mine])


async def _find(repository: Repository, type_: str, criterion: str, base_url: str) -> list[Json]:
    filter = compile(conditional(type_, criterion, base_url)).filter
    found = await repository.find(SYSTEM, filter, limit=MOST)
    if found.cut or len(found) == MOST:
        log.warning("a panel is cut off", kind=type_, most=MOST)
    return [stored.resource() for stored in found]


@cache
def _patient_numbers(type_: str) -> tuple[str, ...]:
    """The numbers of the search keys that name the patient of a resource."""
    return tuple(source.number for source in fields(type_)["patient"].sources)


def _reference(reference: object) -> str:
    """What a reference says, without a version; "" when it says nothing."""
    text = reference.get("reference") if isinstance(reference, dict) else None
    return text.partition("/_history/")[0] if isinstance(text, str) else ""


def _local(reference: object, type_: str) -> str:
    """The "Type/id" of a reference to this type; "" for anything else."""
    text = _reference(reference)
    return text if text.startswith(f"{type_}/") and text.count("/") == 1 else ""
