"""`$validate-code`: whether a code is in a value set or a code system, without listing either.

https://hl7.org/fhir/R4/valueset-operation-validate-code.html · https://hl7.org/fhir/R4/codesystem-operation-validate-code.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fhir_server import json
from fhir_server.access import Principal
from fhir_server.outcomes import FhirError, Issue, operation_outcome
from fhir_server.storage.repository import Repository
from fhir_server.terminology.codesystem import Concept
from fhir_server.terminology.coding import Coding
from fhir_server.terminology.effort import Effort
from fhir_server.terminology.expansion import ExpandRequest, in_language
from fhir_server.terminology.judge import Answer, Judge, entered
from fhir_server.terminology.resolve import Resolver, read_value_set
from fhir_server.terminology.resources import ValueSetResource
from fhir_server.terminology.system import System, find
from fhir_server.terminology.versions import Versions

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`result` None: this server cannot tell, since it does not have the codes (issue `not-found`).

    `coding` is the one that is in it (of a CodeableConcept), with the code system's version and display.
    """

    result: bool | None
    coding: Coding | None = None
    message: str = ""
    issues: tuple[Issue, ...] = ()

    def to_fhir(self) -> Json:
        """Parameters result (false where it cannot be told), message, display, code, system, version, issues."""
        listed: list[Json] = [{"name": "result", "valueBoolean": bool(self.result)}]
        if self.message:
            listed.append({"name": "message", "valueString": self.message})
        if self.coding is not None:
            kinds = {"display": "valueString", "code": "valueCode", "system": "valueUri", "version": "valueString"}
            texts = self.coding.to_fhir()
            listed += [{"name": name, kind: texts[name]} for name, kind in kinds.items() if name in texts]
        if self.issues:
            listed.append({"name": "issues", "resource": operation_outcome(self.issues)})
        return {"resourceType": "Parameters", "parameter": listed}


@dataclass(frozen=True, slots=True)
class ValidateRequest:
    """`infer_system`: a code without its system may be of any system of the value set (the type `code`)."""

    display_language: str = ""
    abstract: bool = True  # whether a code that is abstract may be used
    date: str = ""
    lenient_display: bool = False  # lenient-display-validation: a wrong display is a warning
    infer_system: bool = False
    active_only: bool = False
    expand: ExpandRequest = field(default_factory=ExpandRequest)  # the versions of systems asked for


_PLAIN = ValidateRequest()


async def validate_in_value_set(
    repository: Repository,
    principal: Principal,
    base_url: str,
    value_set: str | Json,
    codings: Sequence[Coding],
    request: ValidateRequest = _PLAIN,
) -> Verdict:
    """Whether any of the codings is in the value set (reference, canonical or inline resource).

    Raises Invalid (400, not-found), naming it, for a value set that is not here.
    """
    resolver = Resolver(repository, principal, base_url, request.date)
    if isinstance(value_set, str):
        name, definition = value_set, (await resolver.value_set(value_set)).definition
    else:
        name, definition = "sent with the request", read_value_set(json.encode(value_set).decode())
    versions = Versions(resolver, _with_versions(request.expand, codings))
    judge = Judge(resolver, versions, Effort())
    within = entered(definition, name, ())
    if request.infer_system and any(not one.system for one in codings):
        systems = await judge.systems(definition, within)
        codings = [made for one in codings for made in ([one] if one.system else _of_each(one, systems))]
    answer = await judge.definition(definition, {(one.system, one.code) for one in codings}, within)
    inside = [one for one in codings if (one.system, one.code) in answer.yes]
    if inside:
        names = _own_names(definition)
        verdicts = [await _judged(judge, one, names.get((one.system, one.code), ()), request) for one in inside]
        return next((one for one in verdicts if one.result), verdicts[0])
    return await _outside(judge, within[-1], codings, answer, request.infer_system)


async def validate_in_code_system(
    repository: Repository,
    principal: Principal,
    base_url: str,
    code_system: str | Json,
    codings: Sequence[Coding],
    request: ValidateRequest = _PLAIN,
) -> Verdict:
    """Whether any of the codings is a code of the code system (canonical, "CodeSystem/id" or inline resource)."""
    resolver = Resolver(repository, principal, base_url, request.date)
    if isinstance(code_system, str):
        system = await resolver.code_system_at(code_system)
        name = code_system[:200]
    else:
        system = resolver.give(code_system)
        name = system.url or "sent with the request"
    if system is None:
        return _refused(None, "not-found", f"Code system {name} is not known to this server.", codings)
    judge = Judge(resolver, Versions(resolver, request.expand), Effort())
    verdicts = [await _in_system(judge, system, one, request) for one in codings]
    if not verdicts:
        return Verdict(False, None, "There is no code to look for.")
    return next((one for wanted in (True, None, False) for one in verdicts if one.result is wanted), verdicts[0])


async def _in_system(judge: Judge, system: System, coding: Coding, request: ValidateRequest) -> Verdict:
    if coding.system and coding.system != system.url:
        return _refused(False, "code-invalid", f"The coding is not of code system {system.url}.", [coding])
    if coding.version and system.version and coding.version != system.version:
        text = f"Code system {system.url} is here in version {system.version}, not in {coding.version[:50]}."
        return _refused(None, "not-found", text, [coding])
    try:
        system.check_listed()
    except FhirError as reason:
        return _refused(None, "not-found", str(reason), [coding])
    concept = await find(system, coding.code)
    if concept is None:
        text = f"Code system {system.url} has no code '{coding.code[:64]}'"
        if system.is_partial:
            return _refused(None, "not-found", f"{text} in the part that is on this server.", [coding])
        return _refused(False, "code-invalid", f"{text}.", [coding])
    return _checked(system, concept, coding, (), request)


async def _judged(judge: Judge, coding: Coding, own: Sequence[str], request: ValidateRequest) -> Verdict:
    """The verdict on a code that is in the value set: its display, and whether it may be chosen."""
    system, concept = await judge.concept((coding.system, coding.code))
    return _checked(system, concept, coding, own, request)


def _checked(
    system: System | None, concept: Concept | None, coding: Coding, own: Sequence[str], request: ValidateRequest
) -> Verdict:
    if concept is not None and concept.abstract and not request.abstract:
        return _refused(False, "business-rule", f"Code '{coding.code[:64]}' is abstract, not to be chosen.", [coding])
    if concept is not None and concept.inactive and request.active_only:
        return _refused(False, "business-rule", f"Code '{coding.code[:64]}' is not active.", [coding])
    known = list(own)
    if concept is not None:
        known += [concept.display, *(one.value for one in concept.designations)]
    known = [one for one in known if one]
    display = known[0] if known else ""
    if concept is not None:
        display = in_language(display, concept.designations, request.display_language)
    version = system.version if system is not None else coding.version
    found = Coding(coding.system or (system.url if system else ""), coding.code, version, display)
    if coding.display and known and _folded(coding.display) not in {_folded(one) for one in known}:
        text = f"The display is not one of code '{coding.code[:64]}'; it is '{display[:100]}'."
        severity = "warning" if request.lenient_display else "error"
        return Verdict(request.lenient_display, found, text, (Issue("invalid", text, severity=severity),))
    return Verdict(True, found)


async def _outside(judge: Judge, name: str, codings: Sequence[Coding], answer: Answer, inferred: bool) -> Verdict:
    """The verdict when none of the codes is in the value set, or nobody can tell."""
    if not codings:
        return Verdict(False, None, f"Value set {name} has no such code.")
    for one in codings:
        reason = answer.unknown.get((one.system, one.code))
        if reason is not None:
            return _refused(None, "not-found", str(reason), [one])
    if not all(one.system for one in codings):
        text = f"A code without its code system cannot be found in value set {name}."
        return _refused(False, "invalid", text, codings)
    issues: list[Issue] = []
    for one in codings if not inferred else ():
        system, concept = await judge.concept((one.system, one.code))
        if system is None:
            issues.append(Issue("not-found", f"Code system {one.system[:200]} is not known to this server."))
        elif concept is None and not system.is_partial:
            issues.append(Issue("code-invalid", f"Code system {system.url} has no code '{one.code[:64]}'."))
    text = f"Code '{codings[0].code[:64]}' is not in value set {name}."
    return Verdict(False, None, text, (Issue("code-invalid", text), *issues))


def _refused(result: bool | None, code: str, text: str, codings: Sequence[Coding]) -> Verdict:
    return Verdict(result, codings[0] if len(codings) == 1 else None, text, (Issue(code, text),))


def _of_each(coding: Coding, systems: Iterable[str]) -> list[Coding]:
    return [replace(coding, system=system) for system in systems] or [coding]


def _with_versions(expand: ExpandRequest, codings: Sequence[Coding]) -> ExpandRequest:
    """The versions that the codings state count where the value set and the caller name none."""
    stated = [f"{one.system}|{one.version}" for one in codings if one.system and one.version]
    return replace(expand, system_version=(*stated, *expand.system_version)) if stated else expand


def _own_names(value_set: ValueSetResource) -> dict[tuple[str, str], list[str]]:
    """The displays that the value set itself gives to its codes."""
    names: dict[tuple[str, str], list[str]] = {}
    for include in value_set.compose.include if value_set.compose else ():
        for one in include.concept:
            texts = [one.display, *(each.value for each in one.designation)]
            names.setdefault((include.system, one.code), []).extend(filter(None, texts))
    return names


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
