"""What a role opens: access/roles.toml as conditions on stored documents. docs/access.md has the table."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from importlib.resources import files
from pathlib import Path

from fhir_server.access import consents
from fhir_server.access.compartment import NONE, SUBSCRIPTION, not_team_talk, of_patients, patient_numbers
from fhir_server.access.formulas import Document, Formula, all_of, among, any_of, none_of
from fhir_server.access.labels import label_keys, with_below
from fhir_server.access.policy import Line, Policy, PolicyError, read
from fhir_server.access.principal import Principal
from fhir_server.search.compile import compile
from fhir_server.search.fields import fields
from fhir_server.search.keys import SUBSCRIBER
from fhir_server.search.parse import conditional

_policy = read((files(__package__) / "roles.toml").read_text("utf-8"))
_WRITING = frozenset("cud")


def policy() -> Policy:
    """The policy that this process goes by."""
    return _policy


def install(path: Path) -> None:
    """Go by another file from now on; before the first request only. Raises PolicyError with the file's mistake."""
    global _policy
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"the role policy cannot be read: {error}") from None
    _policy = read(text)
    for kept in (_limited, _basic, _searched):
        kept.cache_clear()


def condition(principal: Principal, role: str, type_: str, action: str) -> Document | None:
    """Which resources of the type a role opens the action on: {} all, None when it is not for the role."""
    lines = explain(principal, role, type_, action)
    opened = any_of(one for _, one in lines)
    if opened is False:
        return NONE if lines else None  # nobody in their care is not the same as no care
    return {} if opened is True else opened


def may_run(principal: Principal, operation: str) -> bool:
    """Whether the policy lets the caller run an operation; one that it does not name is for everybody.

    A backend service has the role `system`.
    """
    roles = _policy.operations.get(operation)
    if principal.is_open or roles is None:
        return True
    own = set(principal.roles) if principal.user else {"system"} if _is_service(principal) else set()
    return not own.isdisjoint(roles)


def _is_service(principal: Principal) -> bool:
    """Whether it is no person's app: only then it may have system/ scopes."""
    return bool(principal.client) and any(scope.level == "system" for scope in principal.scopes)


def explain(principal: Principal, role: str, type_: str, action: str) -> list[tuple[Line, Formula]]:
    """The lines of the role that speak of the action on the type, each with what it opens."""
    found = _policy.roles.get(role)
    lines = found.types.get(type_, ()) if found is not None else ()
    return [(line, _line(principal, line, type_, action)) for line in lines if action in line.actions]


def _line(principal: Principal, line: Line, type_: str, action: str) -> Formula:
    """What fits all filters of a line."""
    return all_of(_filter(principal, name, type_, action) for name in line.filters)


def _filter(principal: Principal, name: str, type_: str, action: str) -> Formula:
    match name:
        case "all":
            return True
        case "own":
            return _within(type_, action, of_patients(type_, principal.own) or False, principal.own)
        case "panel":
            return _panel(principal, type_, action)
        case "emergency":
            return _of(type_, action, principal.emergency)
        case "limited":
            return _limited(type_)
        case "told":
            return not_team_talk(type_)
        case "basic":
            return _basic(type_)
        case "wrote":
            return _self(principal, type_, addressed=False)
        case "self":
            return _self(principal, type_, addressed=True)
    return _searched(type_, name)


# ---- the patients' ----------------------------------------------------------------------------------------


def _panel(principal: Principal, type_: str, action: str) -> Formula:
    """What is of the patients in the user's care, as far as each share goes."""
    levels: dict[str, set[str]] = {"full": set(principal.emergency), "limited": set(), "emergency": set()}
    for patient, why in principal.panel.items():
        levels[why if why in levels else "full"].add(patient)
    whole = [(level, patients, True) for level, patients in levels.items()]
    opened = [*whole, *consents.shared(principal, type_, action)]
    return any_of(
        all_of((_of(type_, action, of), _level(level, type_, action), formula)) for level, of, formula in opened
    )


def _level(level: str, type_: str, action: str) -> Formula:
    """So much as a level of sharing opens: only a full one lets change anything."""
    match level:
        case "limited":
            return _limited(type_) if action not in _WRITING else False
        case "emergency":
            return _basic(type_) if action not in _WRITING else False
    return True


def _of(type_: str, action: str, patients: Collection[str]) -> Formula:
    """What is these patients', the team's talk about them included."""
    theirs = among(f"{number}>{patient}" for number in patient_numbers(type_) for patient in sorted(patients))
    return _within(type_, action, theirs, patients)


def belonging(type_: str, action: str, patients: Collection[str]) -> Document | None:
    """What is these patients' and, to be written, nobody else's; None when there can be nothing."""
    formula = _within(type_, action, of_patients(type_, patients) or False, patients)
    if isinstance(formula, bool):
        return {} if formula else None
    return formula


def _within(type_: str, action: str, theirs: Formula, patients: Collection[str]) -> Formula:
    """To be written, what is theirs may be no other patient's: nobody is put on a record by way of another."""
    if theirs is False or action not in _WRITING:
        return theirs
    others: list[Formula] = []
    for number in patient_numbers(type_):
        keys = [f"{number}>{patient}" for patient in sorted(patients)]
        # A reference to one version of a patient has the plain key beside it, which is what is judged.
        plain = {"$nin": keys, "$not": {"$regex": "/_history/"}}
        others.append({"k": {"$elemMatch": {"$gte": f"{number}>Patient/", "$lt": f"{number}>Patient0", **plain}}})
    return all_of((theirs, none_of(others)))


# ---- the user's own ---------------------------------------------------------------------------------------


def _self(principal: Principal, type_: str, *, addressed: bool) -> Formula:
    """What the user wrote, and with `addressed` what they do, receive or take part in."""
    if not principal.user:
        return False
    names = sorted({principal.user, *principal.organizations})
    houses = ("Organization/", "HealthcareService/", "CareTeam/")
    persons = [name for name in names if not name.startswith(houses)]
    wrote = (SUBSCRIBER,) if type_ == SUBSCRIPTION else _numbers(type_, _policy.wrote)
    keys = [f"{number}>{name}" for number in wrote for name in persons]
    if addressed:
        keys += [f"{number}>{name}" for number in _numbers(type_, _policy.addressed) for name in names]
    in_person = principal.user.partition("/")[0] == type_
    return any_of((among(keys), {"_id": principal.user} if in_person else False))


@cache
def _numbers(type_: str, codes: tuple[str, ...]) -> tuple[str, ...]:
    """The numbers of those of these reference parameters that the type has."""
    found = (fields(type_).get(code) for code in codes)
    own = [one for one in found if one is not None and one.parameter.type == "reference" and not one.parameter.custom]
    return tuple(dict.fromkeys(source.number for one in own for source in one.sources))


# ---- what a resource is like ------------------------------------------------------------------------------


@cache
def _limited(type_: str) -> Formula:
    """Nothing confidential."""
    labels = [pair for system, code in _policy.confidential for pair in with_below(system, code)]
    return {"k": {"$nin": list(label_keys(type_, labels))}}


@cache
def _basic(type_: str) -> Formula:
    """What is needed in an emergency."""
    criterion = _policy.basic.get(type_)
    if criterion is None:
        return False
    return _searched(type_, criterion) if criterion else True


@cache
def _searched(type_: str, criterion: str) -> Formula:
    return compile(conditional(type_, criterion, "")).filter
