"""`$lookup`: https://hl7.org/fhir/R4/codesystem-operation-lookup.html"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fhir_server.access import Principal
from fhir_server.outcomes import NotFound
from fhir_server.storage.concepts import Designation
from fhir_server.storage.repository import Repository
from fhir_server.terminology.codesystem import Concept
from fhir_server.terminology.coding import Coding
from fhir_server.terminology.expansion import in_language
from fhir_server.terminology.resolve import Resolver, canonical
from fhir_server.terminology.system import System, find

Json = dict[str, Any]

MAX_CHILDREN = 200  # that are named


@dataclass(frozen=True, slots=True)
class Lookup:
    """What is known of a concept; `properties` as (code, value with its type: {"valueCode": …})."""

    name: str  # of the code system
    version: str
    display: str
    definition: str = ""
    designations: tuple[Designation, ...] = ()
    properties: tuple[tuple[str, Json], ...] = ()

    def to_fhir(self) -> Json:
        """Parameters of the operation's answer."""
        texts = [("name", self.name), ("version", self.version), ("display", self.display)]
        listed: list[Json] = [{"name": name, "valueString": text} for name, text in texts if text]
        for one in self.designations:
            parts: list[Json] = [{"name": "language", "valueCode": one.language}] if one.language else []
            if one.use_code:
                parts.append({"name": "use", "valueCoding": {"system": one.use_system, "code": one.use_code}})
            listed.append({"name": "designation", "part": [*parts, {"name": "value", "valueString": one.value}]})
        for code, value in self.properties:
            part = [{"name": "code", "valueCode": code}, {"name": "value", **value}]
            listed.append({"name": "property", "part": part})
        return {"resourceType": "Parameters", "parameter": listed}


async def lookup(
    repository: Repository,
    principal: Principal,
    base_url: str,
    coding: Coding,
    *,
    properties: Sequence[str] = (),
    display_language: str = "",
    date: str = "",
) -> Lookup:
    """The concept of this system, version and code; with no properties named, all.

    Raises NotFound (404): code `not-found` for the system, `code-invalid` for the code; NotSupported (400) for a
    system whose codes are not here.
    """
    resolver = Resolver(repository, principal, base_url, date)
    system = await resolver.known_code_system(coding.system, coding.version)
    if system is None:
        name = canonical(coding.system, coding.version)[:200]
        raise NotFound(f"Code system {name} is not known to this server.")
    system.check_listed()
    concept = await find(system, coding.code)
    if concept is None:
        raise NotFound(f"Code system {system.url} has no code '{coding.code[:64]}'.", code="code-invalid")
    designations, own = list(concept.designations), dict(concept.properties)
    for supplement in await resolver.supplements(system.url):
        more = supplement.concepts.get(concept.code)
        if more is not None:
            designations += more.designations
            own |= more.properties
    display = in_language(concept.display, designations, display_language)
    return Lookup(
        system.name or system.url,
        system.version,
        display or concept.code,
        concept.definition,
        tuple(_designations(designations, properties)),
        tuple(await _properties(system, concept, own, properties)),
    )


def _designations(known: Sequence[Designation], asked: Sequence[str]) -> list[Designation]:
    if not asked or "designation" in asked:
        return list(known)
    languages = {name.removeprefix("lang.") for name in asked if name.startswith("lang.")}
    return [one for one in known if one.language in languages]


async def _properties(
    system: System, concept: Concept, own: Mapping[str, Sequence[str]], asked: Sequence[str]
) -> list[tuple[str, Json]]:
    """What every code system says of a concept, and its own properties."""
    found: list[tuple[str, Json]] = []
    if concept.definition:
        found.append(("definition", {"valueString": concept.definition}))
    found.append(("inactive", {"valueBoolean": concept.inactive}))
    if concept.abstract:
        found.append(("abstract", {"valueBoolean": True}))
    for name in {"parent", "child"} - own.keys():
        if not asked or name in asked:
            walk = system.parents(concept.code) if name == "parent" else system.children(concept.code, MAX_CHILDREN)
            found += [(name, {"valueCode": code}) for code in await walk]
    for name, values in own.items():
        found += [(name, _typed(system.value_type(name), value)) for value in values]
    return sorted((one for one in found if not asked or one[0] in asked), key=lambda one: one[0])


def _typed(kind: str, value: str) -> Json:
    try:
        match kind:
            case "boolean" if value in ("true", "false"):
                return {"valueBoolean": value == "true"}
            case "integer":
                return {"valueInteger": int(value)}
            case "decimal":
                return {"valueDecimal": Decimal(value)}
            case "dateTime":
                return {"valueDateTime": value}
            case "code" | "Coding":
                return {"valueCode": value}
    except (ValueError, ArithmeticError):
        pass
    return {"valueString": value}
