"""Where a user stands in the hospital, read from its resources: who they are and work for, and who is in their care.

Everything that ends by itself (a period) says when: nothing made of it may be kept any longer.
https://hl7.org/fhir/R4/practitionerrole.html · https://hl7.org/fhir/R4/careteam.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from math import inf
from typing import Any

import structlog

from fhir_server.access.principal import SYSTEM
from fhir_server.access.roles import policy
from fhir_server.search.compile import compile
from fhir_server.search.fields import fields
from fhir_server.search.parse import conditional
from fhir_server.search.types.date import period
from fhir_server.search.types.reference import local
from fhir_server.storage.repository import Repository

log = structlog.get_logger(__name__)

Json = dict[str, Any]

MOST = 10_000  # resources of a kind that are looked at for one user; who has more in their care does not see the rest
PEOPLE = frozenset({"Patient", "RelatedPerson", "Person", "Practitioner", "PractitionerRole"})
STAFF = frozenset({"Practitioner", "PractitionerRole"})
_CERTAIN = frozenset({"level3", "level4"})  # that someone's Person is the same human being


@dataclass(frozen=True, slots=True)
class Bearings:
    """What a principal is made of beside the token; `until` is in microseconds since 1970."""

    own: frozenset[str] = frozenset()
    # What else they are (PractitionerRole/1), and the Organizations, HealthcareServices and CareTeams they belong to
    organizations: frozenset[str] = frozenset()
    panel: Mapping[str, str] = field(default_factory=dict)  # patient → why
    until: float = inf
    gone: bool = False  # the user's own resource is deleted or inactive: nothing is open


async def bearings(repository: Repository, fhir_user: str, *, now: int, base_url: str, with_panel: bool) -> Bearings:
    """The bearings of who is `fhir_user` ("Practitioner/1") at a moment; those of "" are empty."""
    return await _View(repository, now, base_url).of(fhir_user, with_panel=with_panel)


def sees_panel(role: str) -> bool:
    """Whether what the role opens depends on who is in the user's care."""
    found = policy().roles.get(role)
    return found is not None and any("panel" in line.filters for lines in found.types.values() for line in lines)


class _View:
    """The hospital at a moment, and until when everything that was asked about time stays as answered."""

    def __init__(self, repository: Repository, now: int, base_url: str) -> None:
        self._repository = repository
        self._now = now
        self._base_url = base_url
        self.until = inf

    async def of(self, fhir_user: str, *, with_panel: bool) -> Bearings:
        kind = fhir_user.partition("/")[0]
        if kind not in PEOPLE:
            return Bearings()
        known = await self._resource(fhir_user)
        if known is not None and not self._in_force(known):
            return Bearings(gone=True, until=self.until)
        if kind in STAFF:
            return await self._of_staff(fhir_user, known, with_panel=with_panel)
        own = frozenset({fhir_user}) if kind == "Patient" else await self._represented(known or {})
        return Bearings(own=own, until=self.until)

    async def _of_staff(self, fhir_user: str, known: Json | None, *, with_panel: bool) -> Bearings:
        if fhir_user.startswith("PractitionerRole/"):
            roles = [known] if known is not None else []
        else:
            found = await self._find("PractitionerRole", f"practitioner={fhir_user}")
            roles = [role for role in found if self._in_force(role)]
        me = {fhir_user, *(f"PractitionerRole/{role['id']}" for role in roles)}
        me |= {self._local(role.get("practitioner"), "Practitioner") for role in roles} - {""}
        houses = {self._local(role.get("organization"), "Organization") for role in roles} - {""}
        services = (one for role in roles for one in role.get("healthcareService", ()))
        houses |= {self._local(service, "HealthcareService") for service in services} - {""}
        teams = await self._teams(me)
        panel: dict[str, str] = {}
        if with_panel:
            panel = dict.fromkeys(set(teams.values()) - {""}, "care-team")
            panel |= dict.fromkeys(await self._referred(me), "referral")
        return Bearings(frozenset(), frozenset((me - {fhir_user}) | houses | set(teams)), panel, self.until)

    async def _represented(self, person: Json) -> frozenset[str]:
        """The patients of a RelatedPerson, or of those whom a Person surely is."""
        if person.get("resourceType") == "RelatedPerson":
            return frozenset({self._local(person.get("patient"), "Patient")} - {""})
        sure = [link.get("target") for link in person.get("link", ()) if link.get("assurance") in _CERTAIN]
        own = {self._local(target, "Patient") for target in sure} - {""}
        for key in sorted({self._local(target, "RelatedPerson") for target in sure} - {""}):
            relation = await self._resource(key)
            if relation is not None and self._in_force(relation):
                own |= await self._represented(relation)
        return frozenset(own)

    async def _teams(self, me: set[str]) -> dict[str, str]:
        """The CareTeams in which someone takes part now, each with its patient ("" without one)."""
        teams: dict[str, str] = {}
        for team in await self._find("CareTeam", f"participant={','.join(sorted(me))}&status=active"):
            mine = [one for one in team.get("participant", ()) if self._local(one.get("member")) in me]
            current = [self._holds(one.get("period")) for one in mine]  # of every one, for when it ends
            if self._holds(team.get("period")) and True in current:
                teams[f"CareTeam/{team['id']}"] = self._local(team.get("subject"), "Patient")
        return teams

    async def _referred(self, me: set[str]) -> list[str]:
        """The patients of the active orders that someone is to perform, read off the search keys."""
        criterion = f"performer={','.join(sorted(me))}&status=active"
        wanted = compile(conditional("ServiceRequest", criterion, self._base_url)).filter
        prefixes = [f"{number}>Patient/" for number in _patient_numbers()]
        keys, whole = await self._repository.keys(SYSTEM, wanted, prefixes, limit=MOST)
        if not whole:
            log.warning("not everybody in someone's care can be told", type="ServiceRequest", most=MOST)
        return [key.partition(">")[2] for key in keys]

    # ---- reading -------------------------------------------------------------------------------------

    async def _resource(self, key: str) -> Json | None:
        """The resource; None when there never was one. A deleted one is one that is not active."""
        stored = (await self._repository.read_many(SYSTEM, [key])).get(key)
        if stored is None:
            return None
        return {"active": False} if stored.deleted else stored.resource()

    async def _find(self, type_: str, criterion: str) -> list[Json]:
        wanted = compile(conditional(type_, criterion, self._base_url)).filter
        found = await self._repository.find(SYSTEM, wanted, limit=MOST)
        if found.cut or len(found) == MOST:
            log.warning("not everybody in someone's care can be told", type=type_, most=MOST)
        return [stored.resource() for stored in found]

    def _in_force(self, resource: Json) -> bool:
        # A Patient who is not active any more may still read what was written of them.
        inactive = resource.get("active") is False and resource.get("resourceType") != "Patient"
        return not inactive and self._holds(resource.get("period"))

    def _holds(self, span: object) -> bool:
        """Whether a Period, absent or open at either end, holds now; one that cannot be read does not."""
        if not isinstance(span, dict):
            return span is None
        try:
            start = period(span["start"])[0] if "start" in span else -inf
            end = period(span["end"])[1] + 1 if "end" in span else inf
        except (ValueError, TypeError, OverflowError):
            return False
        self.until = min([self.until, *(edge for edge in (start, end) if edge > self._now)])
        return start <= self._now < end

    def _local(self, reference: object, type_: str = "") -> str:
        """The "Type/id" of a reference to this type (to any, without one) on this server; "" for anything else."""
        text = reference.get("reference") if isinstance(reference, dict) else None
        here = local(text, f"{self._base_url}/") if isinstance(text, str) else None
        return here[0] if here is not None and here[0].startswith(f"{type_}/" if type_ else "") else ""


@cache
def _patient_numbers() -> tuple[str, ...]:
    """The numbers of the search keys that name the patient of a ServiceRequest."""
    return tuple(source.number for source in fields("ServiceRequest")["patient"].sources)
