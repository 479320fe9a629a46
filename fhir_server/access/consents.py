"""What the patients' Consents forbid and open: https://hl7.org/fhir/R4/consent.html and docs/access.md

Consents are compiled for one caller at one moment; what that comes to is kept in `Principal.consents`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from fhir_server.access.compartment import patient_numbers
from fhir_server.access.formulas import Document, Formula, all_of, among, any_of, none_of
from fhir_server.access.principal import Principal
from fhir_server.access.provisions import (
    LEVELS,
    MAX_PATIENT_WEIGHT,
    MAX_PROVISIONS,
    MAX_WEIGHT,
    Caller,
    Provision,
    Reader,
    levels,
    period,
    provisions,
    weight,
)
from fhir_server.search.fields import fields
from fhir_server.search.types import date, reference, token

Json = dict[str, Any]

__all__ = ["Caller", "Rule", "compile_consents", "emergencies", "next_change", "panel_of", "restriction", "shared"]

OFFICER = "privacy-officer"  # the role
# Of $break-glass (ig/input/fsh/record.fsh): category of its Consent, category of its Communication, whom that and the
# Task are for, and the Task's code.
PRIVACY = "http://fhir-server.example/ig/CodeSystem/privacy"
BREAK_GLASS, ALERT, FOR_OFFICERS = (PRIVACY, "break-glass"), (PRIVACY, "alert"), (PRIVACY, "privacy-officer")
REVIEW = ("http://fhir-server.example/ig/CodeSystem/task-kind", "review-emergency-access")

_SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
_OTHER_SCOPES = frozenset({"research", "adr"})
_OPT_OUT = frozenset({"OPTOUT", "OPTOUTE"})
# The patient's Consent is about the record, and not about the trail of who saw it or the Consents themselves.
_UNTOUCHED = frozenset({"AuditEvent", "Consent"})
# How the privacy officer's own work is told apart: (search parameter, code, who broke the glass).
_OVERSIGHT = {"Task": ("code", REVIEW, "requester"), "Communication": ("category", ALERT, "sender")}
_EVERYTHING = Provision(True, certain=True, names_caller=False)


@dataclass(frozen=True, slots=True)
class Rule:
    """What Consents of these patients say to the caller; `consents` ("Consent/1") are as many and in their order."""

    patients: tuple[str, ...]
    consents: tuple[str, ...]
    root: Provision
    opted_out: bool = False  # what no provision permits is denied
    level: str = "limited"  # how much it opens

    def denied(self, type_: str, action: str) -> Formula:
        """What of the patients' resources may not be acted on."""
        return self.root.denied(type_, action, self.opted_out)

    @property
    def is_against_caller(self) -> bool:
        """Whether the caller is denied something by name."""
        return any(one.denies and one.names_caller for one in self.root.walk())


# ---- compiling --------------------------------------------------------------------------------------------


def compile_consents(
    resources: Iterable[Json],
    caller: Caller,
    now: datetime | None = None,
    *,
    base_url: str = "",
    links: Mapping[str, Iterable[str]] | None = None,
) -> tuple[Rule, ...]:
    """What these Consents say to the caller at this moment; those that say the same become one rule.

    `links` tells what resources refer to ("Type/id" → "Type/id"s), for provisions about data "related" to one; where
    it does not, a denial reaches everything of the patient that its other criteria fit.
    """
    reader = Reader(caller, date.micros(now or datetime.now(UTC)), f"{base_url}/" if base_url else "\0", links)
    rules: list[Rule] = []
    weights: Counter[str] = Counter()
    for resource in resources:
        found = _rule(resource, reader)
        if found is not None:
            rules.append(found)
            weights[found.patients[0]] += weight(resource.get("provision", {}))
    together: dict[Rule, list[tuple[str, str]]] = {}
    for rule in rules:
        kept = rule if weights[rule.patients[0]] <= MAX_PATIENT_WEIGHT else _too_much(rule)
        if kept is not None:
            source = kept.patients[0], kept.consents[0]
            together.setdefault(replace(kept, patients=(), consents=()), []).append(source)
    made = []
    for rule, sources in together.items():
        patients, consents = zip(*sorted(set(sources)), strict=True)
        made.append(replace(rule, patients=patients, consents=consents))
    return tuple(made)


def _rule(resource: Json, reader: Reader) -> Rule | None:
    """What one Consent says; None when that is nothing."""
    patient = _patient(resource, reader.base)
    if patient is None or resource.get("status") != "active" or not _is_about_records(resource):
        return None
    provision = resource.get("provision", {})
    opted_out = _opts_out(resource)
    untyped = "type" not in provision
    if untyped and not _is_current(provision, reader.now):
        return None  # the period of the whole
    if "modifierExtension" in resource or is_too_large(resource):
        named = any(reader.names_caller(one) for one in provisions(provision))
        root: Provision | None = replace(_EVERYTHING, names_caller=named) if is_denial(resource) else None
    else:
        root = reader.read(provision)
    if root is None and opted_out:
        root = _EVERYTHING
    if root is None or not (opted_out or any(one.denies is not None for one in root.walk())):
        return None
    return Rule((patient,), (f"Consent/{resource.get('id', '')}",), root, opted_out, _level(resource))


def _too_much(rule: Rule) -> Rule | None:
    """What is left of a patient's Consents that are too many to tell apart: denials, of everything."""
    denies = rule.opted_out or any(one.denies for one in rule.root.walk())
    everything = replace(_EVERYTHING, names_caller=rule.is_against_caller)
    return Rule(rule.patients, rule.consents, everything) if denies else None


def is_too_large(resource: Json) -> bool:
    """Whether a Consent says more than is read of one."""
    root = resource.get("provision", {})
    return sum(1 for _ in provisions(root)) > MAX_PROVISIONS or weight(root) > MAX_WEIGHT


def is_denial(resource: Json) -> bool:
    """Whether a Consent says anywhere that something is denied."""
    return _opts_out(resource) or any(one.get("type") == "deny" for one in provisions(resource.get("provision", {})))


def _patient(resource: Json, base: str) -> str | None:
    here = reference.local(resource.get("patient", {}).get("reference", ""), base)
    return here[0] if here is not None and here[0].startswith("Patient/") else None


def _is_about_records(resource: Json) -> bool:
    """Research and advance directives are other matters; a scope that nobody knows may be about records."""
    codings = resource.get("scope", {}).get("coding", [])
    others = [one for one in codings if one.get("system") == _SCOPE and one.get("code") in _OTHER_SCOPES]
    return not codings or len(others) < len(codings)


def _opts_out(resource: Json) -> bool:
    return any(one.get("code") in _OPT_OUT for one in resource.get("policyRule", {}).get("coding", ()))


def _is_current(provision: Json, now: int) -> bool:
    span = period(provision.get("period"))
    return span is None or span[0] <= now <= span[1]


def _level(resource: Json) -> str:
    """The least that it names."""
    found = levels(resource.get("provision", {}))
    return next((level for level in reversed(LEVELS) if level in found), "limited")


def _is_emergency(resource: Json) -> bool:
    codings = (coding for concept in resource.get("category", ()) for coding in concept.get("coding", ()))
    return any((one.get("system"), one.get("code")) == BREAK_GLASS for one in codings)


def next_change(resources: Iterable[Json], now: datetime | None = None) -> datetime | None:
    """When a period of these Consents next begins or ends: until then what was compiled from them stays true."""
    moment = date.micros(now or datetime.now(UTC))
    spans = (period(one.get("period")) for resource in resources for one in provisions(resource.get("provision", {})))
    ends = (end for span in spans if span is not None for end in (span[0], span[1] + 1))
    later = [end for end in ends if moment < end < 2**62]
    return datetime.fromtimestamp(min(later) / 1_000_000, UTC) if later else None


# ---- what is opened ---------------------------------------------------------------------------------------


def panel_of(
    resources: Iterable[Json], user: str | Caller, now: datetime | None = None, *, base_url: str = ""
) -> dict[str, str]:
    """The patients whose whole record is shared with the user, and how much of it: patient → level.

    Shares of a part (one resource, one type, reading only) are not here but in the rules: `shared`. Consents of
    $break-glass are `emergencies`.
    """
    caller = user if isinstance(user, Caller) else Caller(frozenset({user}) if user else frozenset())
    given = [one for one in resources if not _is_emergency(one)]
    panel: dict[str, str] = {}
    for rule in compile_consents(given, caller, now, base_url=base_url):
        if _shares_all(rule.root):
            for patient in rule.patients:
                panel[patient] = min(rule.level, panel.get(patient, rule.level), key=LEVELS.index)
    return panel


def _shares_all(provision: Provision, named: bool = False) -> bool:
    """Whether the caller is permitted everything by name, what a denial within takes back aside."""
    if not provision.certain or not provision.is_whole():
        return False
    named = named or provision.names_caller
    return (named and provision.denies is False) or any(_shares_all(one, named) for one in provision.parts)


def emergencies(
    resources: Iterable[Json], user: str, now: datetime | None = None, *, base_url: str = ""
) -> frozenset[str]:
    """The patients whose glass the user has broken, as of now: by Consents that only $break-glass writes."""
    given = [one for one in resources if _is_emergency(one)]
    rules = compile_consents(given, Caller(frozenset({user}), purpose="BTG"), now, base_url=base_url)
    broken = (rule for rule in rules if rule.root.denies is False and rule.root.names_caller and rule.root.certain)
    return frozenset(patient for rule in broken for patient in rule.patients)


def shared(principal: Principal, type_: str, action: str) -> list[tuple[str, tuple[str, ...], Formula]]:
    """What of the type is shared in parts: level, patients, and which of their resources."""
    found = []
    for rule in principal.consents:
        opened = False if _shares_all(rule.root) else rule.root.opened(type_, action)
        if opened is not False:
            found.append((rule.level, rule.patients, opened))
    return found


# ---- what is forbidden ------------------------------------------------------------------------------------


def restriction(principal: Principal, type_: str, action: str) -> Document:
    """What the resources of a type must fit for the action not to be forbidden by a Consent; {} when none is.

    However many patients deny the same, that is one flat list of search keys.
    """
    untouched: Formula = _untouched(principal, type_) if action in "cud" else True
    allowed = all_of((untouched, _undenied(principal, type_, action)))
    return allowed if isinstance(allowed, dict) else {}


def _undenied(principal: Principal, type_: str, action: str) -> Formula:
    if type_ in _UNTOUCHED:
        return True
    denied: list[tuple[Formula, list[str]]] = []
    for rule in principal.consents:
        patients = [one for one in rule.patients if _binds(rule, one, principal)]
        formula = rule.denied(type_, action) if patients else False
        if formula is not False:
            denied.append((formula, patients))
    allowed = _without(type_, denied)
    if type_ in _OVERSIGHT and allowed is not True:
        return any_of((allowed, among(_code_keys(type_, *_OVERSIGHT[type_][:2]))))
    return allowed


def _binds(rule: Rule, patient: str, principal: Principal) -> bool:
    """Nobody is shut out of their own record; who acts for a patient only by name. Emergencies override."""
    if patient in principal.emergency or patient == principal.user:
        return False
    return patient not in principal.own or rule.is_against_caller


def _without(type_: str, denied: Iterable[tuple[Formula, Collection[str]]]) -> Formula:
    """What is not denied: whole patients in one list, and the patients of each other denial together."""
    numbers = patient_numbers(type_)
    whole: list[str] = []
    partly: list[tuple[Formula, list[str]]] = []
    for formula, patients in denied:
        keys = [f"{number}>{patient}" for number in numbers for patient in patients]
        if formula is True:
            whole += keys
            continue
        same = next((one for one in partly if one[0] == formula), None)
        if same is None:
            partly.append((formula, keys))
        else:
            same[1].extend(keys)
    outside: Formula = {"k": {"$nin": list(dict.fromkeys(whole))}} if whole else True
    return all_of((outside, none_of(all_of((among(keys), formula)) for formula, keys in partly)))


def denying(principal: Principal, type_: str, action: str) -> Iterator[tuple[str, Formula]]:
    """Each Consent that denies something of the type ("Consent/1"), with what it denies."""
    for rule in principal.consents:
        formula = rule.denied(type_, action)
        for patient, consent in zip(rule.patients, rule.consents, strict=True):
            if formula is not False and _binds(rule, patient, principal):
                keys = among(f"{number}>{patient}" for number in patient_numbers(type_))
                yield consent, all_of((keys, formula))


@cache
def _code_keys(type_: str, parameter: str, code: tuple[str, str]) -> tuple[str, ...]:
    return token.coded(fields(type_)[parameter], [code]).keys


def _untouched(principal: Principal, type_: str) -> Formula:
    """No Consent of $break-glass, which are the server's own; its reviews and alerts are the privacy officers'.

    Nobody looks after an emergency of their own.
    """
    if type_ == "Consent":
        return none_of([among(_code_keys("Consent", "category", BREAK_GLASS))])
    if type_ not in _OVERSIGHT:
        return True
    parameter, code, breaker = _OVERSIGHT[type_]
    theirs: Formula = True
    if OFFICER in principal.roles:
        names = [name for name in (principal.user, *sorted(principal.organizations)) if name]
        theirs = among(f"{source.number}>{name}" for source in fields(type_)[breaker].sources for name in names)
    return none_of([all_of((among(_code_keys(type_, parameter, code)), theirs))])
