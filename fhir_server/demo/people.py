"""Who works at the demo clinic, and what is told of a patient; every person is invented."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Staff(NamedTuple):
    """One who works here; `role` is a code of practitioner-role, `specialty` a SNOMED CT code."""

    key: str
    prefix: str
    given: str
    family: str
    gender: str
    role: str
    specialty: tuple[str, str]
    department: str


GENERAL = ("394814009", "General practice")
STAFF = (
    Staff("adaeze-nwosu", "Dr.", "Adaeze", "Nwosu", "female", "doctor", GENERAL, "general"),
    Staff("tomas-havel", "Dr.", "Tomáš", "Havel", "male", "doctor", GENERAL, "general"),
    Staff("ingrid-solberg", "Dr.", "Ingrid", "Solberg", "female", "doctor", ("394579002", "Cardiology"), "cardiology"),
    Staff("rafael-pinto", "Dr.", "Rafael", "Pinto", "male", "doctor", ("394537008", "Pediatric specialty"), "children"),
    Staff("mei-tan", "Dr.", "Mei", "Tan", "female", "doctor", ("773568002", "Emergency medicine"), "emergency"),
    Staff("luca-ferri", "Dr.", "Luca", "Ferri", "male", "doctor", ("394915009", "General pathology"), "laboratory"),
    Staff("joan-whitaker", "Ms.", "Joan", "Whitaker", "female", "nurse", GENERAL, "general"),
    Staff("samir-haddad", "Mr.", "Samir", "Haddad", "male", "pharmacist", GENERAL, "general"),
)


DEPARTMENT = {member.key: member.department for member in STAFF}
DISPLAY = {member.key: f"{member.prefix} {member.given} {member.family}" for member in STAFF}


class Visit(NamedTuple):
    """One contact with the clinic: days before the anchor date, what kind, with whom, and because of what."""

    days: int
    kind: str
    doctor: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """One patient: who they are, and what the chart is made from. Days count back from the anchor date."""

    key: str
    given: tuple[str, ...]
    family: str
    gender: str
    age: int
    body: tuple[int, int, int, int]  # cm, kg, systolic, diastolic
    visits: tuple[Visit, ...]
    problems: tuple[tuple[str, int, int | None], ...] = ()  # problem, days since onset, days since it ended
    drugs: tuple[str, ...] = ()
    past_drugs: tuple[str, ...] = ()
    allergies: tuple[str, ...] = ()
    vaccines: tuple[tuple[str, int], ...] = ()  # vaccine, days since
    labs: dict[str, str] = field(default_factory=dict)  # at the first visit of the list
    language: tuple[str, str] | None = None
    nickname: str | None = None
    maiden: str | None = None
    written: str | None = None  # the name as the patient writes it
    married: str = "S"
    contact: tuple[str, str, str] | None = None  # relationship code of v2-0131, given and family name
    deceased: int | None = None  # days since
