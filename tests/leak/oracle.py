"""Who may see what: an independent, slow and direct reading of JSON, to hold the server against.

Nothing of `fhir_server.access`, `search`, `joins` or `storage` is used. Membership in a patient's compartment is read
from the published CompartmentDefinition and SearchParameter expressions, which the search oracle's own small
interpreter evaluates; scopes, roles and granular criteria are read here.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fhir_server.access import Principal
from fhir_server.definitions import RESOURCE_TYPES, compartments
from tests.leak.world import BASE, TEAM
from tests.oracle.parameters import parameters_of, select

Json = dict[str, Any]

POLICY: Json = tomllib.loads(
    (Path(__file__).resolve().parents[2] / "fhir_server" / "access" / "roles.toml").read_text()
)
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
_SCOPE = re.compile(r"(patient|user|system)/(\*|[A-Za-z]+)\.([a-z*]+)(?:\?(\S+))?")
_VERSION_1 = {"read": "rs", "write": "cud", "*": "cruds"}
# Where the parameters of the granular scopes of this test look. Codes by their system, or any.
_TOKENS = {"category": "category", "clinical-status": "clinicalStatus", "status": "status", "code": "code"}
_TOKENS |= {"class": "class", "priority": "priority", "performer": "performerType", "type": "type"}
CONFIDENTIAL = [
    (f"{TERMINOLOGY}/v3-Confidentiality", "R"),
    (f"{TERMINOLOGY}/v3-Confidentiality", "V"),
    (f"{TERMINOLOGY}/v3-ActCode", "HIV"),
]
# In no compartment of R4, and a patient's all the same: docs/access.md.
_DECIDED = {"Task": "for", "Device": "patient", "GuidanceResponse": "subject", "Contract": "subject"}
_NEVER_TALK = {"Patient", "Consent", "AuditEvent"}  # a label takes none of these from the patient
# What tells of no patient: open to whoever is signed in, as far as the scopes go, for reading.
SHARED = {
    "ActivityDefinition",
    "CapabilityStatement",
    "ChargeItemDefinition",
    "CodeSystem",
    "CompartmentDefinition",
    "ConceptMap",
    "Endpoint",
    "EventDefinition",
    "ExampleScenario",
    "GraphDefinition",
    "HealthcareService",
    "ImplementationGuide",
    "InsurancePlan",
    "Library",
    "Location",
    "Measure",
    "Medication",
    "MedicationKnowledge",
    "MessageDefinition",
    "NamingSystem",
    "ObservationDefinition",
    "OperationDefinition",
    "Organization",
    "OrganizationAffiliation",
    "PlanDefinition",
    "Practitioner",
    "PractitionerRole",
    "Questionnaire",
    "SearchParameter",
    "Slot",
    "SpecimenDefinition",
    "StructureDefinition",
    "StructureMap",
    "Substance",
    "TerminologyCapabilities",
    "ValueSet",
}


# ---- whose a resource is -----------------------------------------------------------------------------


def patients_of(resource: Json) -> set[str]:
    """The patients ("Patient/a") whose a resource is: the team's own talk is nobody's."""
    is_talk = resource["resourceType"] not in _NEVER_TALK and has_label(resource, TEAM)
    return set() if is_talk else all_patients_of(resource)


def all_patients_of(resource: Json) -> set[str]:
    """The patients in whose compartments it is, the team's talk included."""
    type_ = resource["resourceType"]
    found: set[str] = set()
    for value in _listed(resource.get(_DECIDED.get(type_, "-"))):
        found |= _patient(value)
    for code in compartments()["Patient"].get(type_, ()):
        if code == "{def}":
            found.add(f"Patient/{resource.get('id')}")
            continue
        for node in select(parameters_of(type_)[code], resource):
            if node.type == "Reference":
                found |= _patient(node.value)
    return found


def _local(reference: Json) -> str:
    return str(reference.get("reference", "")).removeprefix(f"{BASE}/").partition("/_history/")[0]


def _patient(reference: Json) -> set[str]:
    text = _local(reference)
    return {text} if re.fullmatch(r"Patient/[A-Za-z0-9\-.]{1,64}", text) else set()


def has_label(resource: Json, label: Json) -> bool:
    """Whether the resource carries the security label."""
    labels = resource.get("meta", {}).get("security", ())
    return any((one.get("system"), one.get("code")) == (label["system"], label["code"]) for one in labels)


# ---- what a caller may do ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Rule:
    """One scope, read from its text."""

    level: str
    type: str
    actions: str
    criteria: tuple[tuple[str, str], ...]

    def speaks_of(self, type_: str, action: str) -> bool:
        return self.type in ("*", type_) and action in self.actions


def rules(scopes: str) -> Iterator[Rule]:
    """The scopes for resources in a list of scopes."""
    for text in scopes.split():
        found = _SCOPE.fullmatch(text)
        if found:
            level, type_, actions, query = found.groups()
            pairs = [pair.partition("=") for pair in (query or "").split("&") if pair]
            criteria = tuple((name, value) for name, _, value in pairs)
            yield Rule(level, type_, _VERSION_1.get(actions, actions), criteria)


class Oracle:
    """Judges for one caller over one state of the world: `current` has today's content by "Type/id"."""

    def __init__(self, principal: Principal, scopes: str, current: Mapping[str, Json]) -> None:
        self.principal = principal
        self.rules = list(rules(scopes))
        self.current = current
        self.roles = [Role(principal, name, self) for name in principal.roles]

    def allows(self, resource: Json, action: str) -> bool:
        """Whether the action ("c", "r", "u", "d" or "s") on a resource of this content is the caller's to do."""
        if resource["resourceType"] == "Binary" and action == "s" and not self._sees_everything():
            return False
        if not any(self._within(rule, resource, action) for rule in self.rules):
            return False
        return resource["resourceType"] != "Binary" or self._context_is_open(resource, action)

    def _sees_everything(self) -> bool:
        """A query cannot tell what the context of a Binary hides, so only they find Binaries from whom nothing is."""
        return all(self.opens_all(type_, "r") for type_ in RESOURCE_TYPES if type_ != "Binary")

    def opens(self, type_: str, action: str) -> bool:
        """Whether any resource of the type could be open."""
        if type_ == "Binary" and action == "s" and not self._sees_everything():
            return False
        return any(self._level_opens(rule, type_, action) for rule in self.rules if rule.speaks_of(type_, action))

    def opens_all(self, type_: str, action: str) -> bool:
        """Whether every resource of the type is."""
        return any(self._is_all(rule, type_, action) for rule in self.rules if rule.speaks_of(type_, action))

    def patients_of(self, resource: Json) -> set[str]:
        """Whose a resource is; a Binary is whose its context is: https://hl7.org/fhir/R4/binary.html#security"""
        if resource["resourceType"] != "Binary":
            return patients_of(resource)
        context = self._context(resource)
        return patients_of(context) if context else set()

    def is_of(self, resource: Json, patients: Iterable[str], action: str, *, team: bool = False) -> bool:
        """Whether it is of these patients; to be written it is no other patient's as well."""
        everybody = all_patients_of(resource) | self.patients_of(resource)
        theirs = everybody if team else self.patients_of(resource)
        if theirs.isdisjoint(patients):
            return False
        return action in "rs" or everybody <= set(patients)

    # ---- of one rule

    def _within(self, rule: Rule, resource: Json, action: str) -> bool:
        type_ = resource["resourceType"]
        if not rule.speaks_of(type_, action) or not all(fits(resource, *pair) for pair in rule.criteria):
            return False
        who = self.principal
        if rule.level == "system":
            return not who.user
        by_role = bool(who.user) and any(role.allows(resource, action) for role in self.roles)
        if rule.level == "user":
            return by_role
        if not who.patient:
            return False
        theirs = action in "rs" if type_ in SHARED else self.is_of(resource, {who.patient}, action)
        return theirs and (by_role or not who.user)

    def _level_opens(self, rule: Rule, type_: str, action: str) -> bool:
        who = self.principal
        if rule.level == "system":
            return not who.user
        by_role = bool(who.user) and any(role.opens(type_, action) for role in self.roles)
        if rule.level == "user":
            return by_role
        if not who.patient or (who.user and not by_role):
            return False
        return action in "rs" if type_ in SHARED else is_personal(type_)

    def _is_all(self, rule: Rule, type_: str, action: str) -> bool:
        who = self.principal
        if rule.criteria or not self._level_opens(rule, type_, action):
            return False
        by_role = any(role.opens_all(type_, action) for role in self.roles)
        if rule.level == "patient":
            return type_ in SHARED and (by_role or not who.user)
        return rule.level == "system" or by_role

    def _context(self, binary: Json) -> Json | None:
        reference = binary.get("securityContext", {}).get("reference", "")
        return self.current.get(reference.removeprefix(f"{BASE}/").partition("/_history/")[0])

    def _context_is_open(self, binary: Json, action: str) -> bool:
        """To read it is to read its context, and to write it is to change that."""
        if not binary.get("securityContext", {}).get("reference"):
            return True
        context = self._context(binary)
        return (
            context is not None
            and context["resourceType"] != "Binary"
            and self.allows(context, "r" if action in "rs" else "u")
        )


class Role:
    """One role of the policy, for one caller: roles.toml read line by line."""

    def __init__(self, principal: Principal, name: str, oracle: Oracle) -> None:
        self.who = principal
        self.oracle = oracle
        self.table = POLICY["roles"].get(name, {})

    def allows(self, resource: Json, action: str) -> bool:
        """Whether some line opens the action on the resource."""
        lines = self._lines(resource["resourceType"], action)
        return any(all(self._fits(one, resource, action) for one in line) for line in lines)

    def opens(self, type_: str, action: str) -> bool:
        """Whether some line could."""
        return any(all(self._is_possible(one, type_) for one in line) for line in self._lines(type_, action))

    def opens_all(self, type_: str, action: str) -> bool:
        """Whether some line opens everything."""
        return any(line == ["all"] for line in self._lines(type_, action))

    def _lines(self, type_: str, action: str) -> list[list[str]]:
        groups = [name for name, types in POLICY["types"].items() if type_ in types and name in self.table]
        names = [type_] if type_ in self.table else groups or ["*"]
        texts = [text for name in names for text in _listed(self.table.get(name))]
        return [text.split()[1:] for text in texts if action in text.split()[0]]

    def _fits(self, name: str, resource: Json, action: str) -> bool:
        who, type_ = self.who, resource["resourceType"]
        match name:
            case "all":
                return True
            case "own":
                return self.oracle.is_of(resource, who.own, action)
            case "emergency":
                return self.oracle.is_of(resource, who.emergency, action, team=True)
            case "panel":
                return self._panel(resource, action)
            case "limited":
                return not is_confidential(resource)
            case "told":
                return not has_label(resource, TEAM)
            case "basic":
                criterion = POLICY["basic"].get(type_)
                return criterion is not None and (not criterion or fits(resource, *criterion.split("=", 1)))
            case "wrote" | "self":
                return self._self(resource, addressed=name == "self")
        return fits(resource, *name.split("=", 1))

    def _panel(self, resource: Json, action: str) -> bool:
        levels = dict.fromkeys(self.who.emergency, "full")
        levels |= {
            patient: why if why in ("limited", "emergency") else "full" for patient, why in self.who.panel.items()
        }
        for level in ("full", "limited", "emergency"):
            of = {patient for patient, why in levels.items() if why == level}
            if level != "full" and action not in "rs":
                continue
            enough = {"full": "all", "limited": "limited", "emergency": "basic"}[level]
            if self.oracle.is_of(resource, of, action, team=True) and self._fits(enough, resource, action):
                return True
        return False

    def _self(self, resource: Json, *, addressed: bool) -> bool:
        who = self.who
        if not who.user:
            return False
        names = {who.user, *who.organizations}
        persons = {name for name in names if not name.startswith(("Organization/", "CareTeam/"))}
        if f"{resource['resourceType']}/{resource.get('id')}" == who.user:
            return True
        wrote = not persons.isdisjoint(_named(resource, POLICY["self"]["wrote"]))
        return wrote or (addressed and not names.isdisjoint(_named(resource, POLICY["self"]["addressed"])))

    def _is_possible(self, name: str, type_: str) -> bool:
        who = self.who
        match name:
            case "own":
                return bool(who.own) and is_personal(type_)
            case "emergency":
                return bool(who.emergency) and is_personal(type_)
            case "panel":
                return bool(who.emergency or who.panel) and is_personal(type_)
            case "basic":
                return type_ in POLICY["basic"]
            case "wrote" | "self":
                codes = POLICY["self"]["wrote"] + (POLICY["self"]["addressed"] if name == "self" else [])
                return bool(who.user) and (
                    who.user.startswith(f"{type_}/") or any(map(parameters_of(type_).get, codes))
                )
        return True


def is_personal(type_: str) -> bool:
    """Whether resources of the type can be a patient's."""
    return type_ in compartments()["Patient"] or type_ in _DECIDED or type_ == "Binary"


def _named(resource: Json, codes: Iterable[str]) -> set[str]:
    """What the resource refers to by these search parameters."""
    known = parameters_of(resource["resourceType"])
    nodes = [
        n for code in codes if code in known and known[code].type == "reference" for n in select(known[code], resource)
    ]
    return {_local(node.value) for node in nodes if node.type == "Reference"}


def is_confidential(resource: Json) -> bool:
    """Whether it carries one of the labels that `limited` leaves out, as far as this test uses them."""
    return any(has_label(resource, {"system": system, "code": code}) for system, code in CONFIDENTIAL)


def fits(resource: Json, name: str, value: str) -> bool:
    """Whether a resource meets `name=value`, one of the criteria of a granular scope or a role."""
    held: set[tuple[str, str]] = set()
    for one in _listed(resource.get(_TOKENS[name])):
        if isinstance(one, str):
            held.add(("", one))
        else:
            held |= {
                (coding.get("system", ""), coding["code"])
                for coding in one.get("coding", [one] if "code" in one else ())
            }
    for wanted in value.split(","):
        system, bar, code = wanted.rpartition("|")
        if any(code == its_code and (not bar or system == its_system) for its_system, its_code in held):
            return True
    return False


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


# ---- which versions ----------------------------------------------------------------------------------


class Chronicle:
    """All versions of everything: "Type/id" → contents in order, None for a deletion."""

    def __init__(self, versions: Mapping[str, list[Json | None]]) -> None:
        self.versions = versions
        self.today = {key: contents[-1] for key, contents in versions.items() if contents[-1] is not None}

    def shown(self, oracle: Oracle, key: str, number: int, action: str) -> bool:
        """Whether a version may be shown: what it says, and what the resource last said, are both open.

        A deletion says what was said before it.
        """
        contents = self.versions[key]
        return _said(oracle, contents[:number], action) and _said(oracle, contents, action)


def _said(oracle: Oracle, contents: list[Json | None], action: str) -> bool:
    last = next((one for one in reversed(contents) if one is not None), None)
    return last is not None and oracle.allows(last, action)
