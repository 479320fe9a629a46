"""What this server can do, generated from what is registered.

https://hl7.org/fhir/R4/http.html#capabilities · https://hl7.org/fhir/R4/capabilitystatement.html
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, NamedTuple

from fhir_server import __version__, json, model
from fhir_server.access.principal import SYSTEM
from fhir_server.config import Settings
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import FHIR_VERSION, RESOURCE_TYPES, compartments, operations
from fhir_server.interactions.guides import Guides, stored_guides
from fhir_server.interactions.terminology_capabilities import Known, stored_code_systems, terminology_capabilities
from fhir_server.interactions.urls import UNALTERABLE
from fhir_server.outcomes import Invalid
from fhir_server.registry import Operation, interaction, registry
from fhir_server.search.registry import SearchParameter, changes, declared, parameters

Json = dict[str, Any]
Told = tuple[tuple[str, bytes], ...]

ENDPOINTS = tuple(sorted(RESOURCE_TYPES - {"Parameters"}))  # Parameters is never stored
TYPE_INTERACTIONS = (
    "read",
    "vread",
    "update",
    "patch",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
)
# https://hl7.org/fhir/R4/versions.html#std-process: the resources whose content is normative in R4
NORMATIVE = frozenset(
    {
        "Binary",
        "Bundle",
        "CapabilityStatement",
        "CodeSystem",
        "Observation",
        "OperationDefinition",
        "OperationOutcome",
        "Patient",
        "StructureDefinition",
        "ValueSet",
    }
)
NO_GUIDES = Guides()
MAX_BUILT = 12  # statements that are kept
_BASE = "http://base.invalid/fhir"  # stands for the base URL in the cached text
_ORIGIN = "http://base.invalid"  # stands for what the base URL begins with
_SMART = "http://fhir-registry.smarthealthit.org"
_OAUTH_URIS = {
    "authorize": "authorize",
    "token": "token",
    "introspect": "introspect",
    "revoke": "revoke",
    "manage": "apps",
}
_STRICT = "An unknown or unsupported search parameter is refused, unless Prefer: handling=lenient asks to ignore it."
_LENIENT = "An unknown or unsupported search parameter is ignored, unless Prefer: handling=strict asks to refuse it."
_OPEN_MODE = "Open mode: there is no sign-in, and everyone who reaches the server may read and change everything."


class Choices(NamedTuple):
    """The settings that the statement tells about."""

    open: bool
    multiple_delete: bool
    strict_search: bool
    parameters: int  # which state of the custom search parameters
    guides: Guides
    told: Told = ()  # what others say of a type, as JSON


@interaction("capabilities")
async def capabilities(ctx: Context, request: FhirRequest) -> FhirResponse:
    """The CapabilityStatement, or TerminologyCapabilities for `mode=terminology`."""
    mode = dict(request.query).get("mode", "full")
    if mode not in ("full", "normative", "terminology"):
        raise Invalid("mode is full, normative or terminology.")
    ctx = replace(ctx, principal=SYSTEM)  # the statement is told to everybody, and alike
    if mode == "terminology":
        built = await asyncio.to_thread(terminology_text, await stored_code_systems(ctx))
        return FhirResponse(text=built.replace(_BASE.encode(), ctx.base_url.encode()))
    told = tuple([(name, json.encode(await tell(ctx))) for name, tell in sorted(registry.tellers.items())])
    return FhirResponse(text=await text_of(ctx.settings, ctx.base_url, mode, await stored_guides(ctx), told))


async def text_of(
    settings: Settings, base_url: str, mode: str = "full", guides: Guides = NO_GUIDES, told: Told = ()
) -> bytes:
    """The JSON for callers who know the server as `base_url`; built in a thread the first time (0.8 s), then kept."""
    choices = Choices(settings.open, settings.multiple_delete, settings.strict_search, changes(), guides, told)
    text = _built.get((mode, choices))
    if text is None:
        for old in [key for key in _built if key[1].parameters != choices.parameters or len(_built) > MAX_BUILT]:
            del _built[old]
        text = _built[mode, choices] = await asyncio.to_thread(_build, mode, choices)
    return _at(text, base_url)


def _at(text: bytes, base_url: str) -> bytes:
    """The text with the true base URL in place of what stands for it."""
    origin = base_url.removesuffix("/fhir")
    return text.replace(_BASE.encode(), base_url.encode()).replace(_ORIGIN.encode(), origin.encode())


_built: dict[tuple[str, Choices], bytes] = {}


def _build(mode: str, choices: Choices) -> bytes:
    return model.build(capability_statement(choices, normative=mode == "normative"))


def capability_statement(choices: Choices, *, normative: bool = False) -> Json:
    """The statement with a placeholder for the base URL."""
    shown = [name for name in ENDPOINTS if not normative or name in NORMATIVE]
    return {
        "resourceType": "CapabilityStatement",
        "id": "fhir-server",
        **_head("FhirServer"),
        "kind": "instance",
        "fhirVersion": FHIR_VERSION,
        "format": ["application/fhir+json", "json", "application/fhir+xml", "xml"],
        "patchFormat": ["application/json-patch+json", "application/fhir+json", "application/fhir+xml"],
        **_some("implementationGuide", list(choices.guides.guides)),
        "rest": [
            {
                "mode": "server",
                "documentation": _STRICT if choices.strict_search else _LENIENT,
                "security": {"cors": False, "description": _OPEN_MODE} if choices.open else _smart(),
                "resource": [_resource(name, choices) for name in shown],
                **_some("interaction", _system_interactions()),
                **_some("searchParam", [_search_param(p, "Resource") for p in _common()]),
                **_some("operation", [_operation(o) for o in registry.operations.values() if o.system]),
                "compartment": [
                    f"http://hl7.org/fhir/CompartmentDefinition/{name[0].lower()}{name[1:]}" for name in compartments()
                ],
            }
        ],
    }


def _smart() -> Json:
    """https://hl7.org/fhir/smart-app-launch/conformance.html#declaring-support-for-oauth2-endpoints"""
    uris = [{"url": name, "valueUri": f"{_ORIGIN}/auth/{path}"} for name, path in _OAUTH_URIS.items()]
    return {
        "extension": [{"url": f"{_SMART}/StructureDefinition/oauth-uris", "extension": uris}],
        "cors": True,
        "service": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                        "code": "SMART-on-FHIR",
                        "display": "SMART-on-FHIR",
                    }
                ],
                "text": "OAuth 2 as SMART App Launch 2.2 profiles it",
            }
        ],
        "description": "Sign-in is required: see [base]/.well-known/smart-configuration.",
    }


@lru_cache(4)
def terminology_text(stored: tuple[Known, ...]) -> bytes:
    """The TerminologyCapabilities with a placeholder for the base URL."""
    shown = {
        "resourceType": "TerminologyCapabilities",
        "id": "fhir-server-terminology",
        **_head("FhirServerTerminology"),
        "kind": "instance",
        **terminology_capabilities(stored),
    }
    return model.build(shown)


def _head(name: str) -> Json:
    return {
        "name": name,
        "title": "FHIR server",
        "status": "active",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "publisher": "The operator of this server",
        "software": {"name": "fhir-server", "version": __version__},
        "implementation": {"description": "FHIR R4 on MongoDB", "url": _BASE},
    }


def _resource(name: str, choices: Choices) -> Json:
    done = registry.interactions.keys() - UNALTERABLE.get(name, set())
    own = [o for o in registry.operations.values() if {name, "*"} & {*o.types, *o.instances}]
    deletes = "multiple" if choices.multiple_delete else "single"
    found = served(name) if "search-type" in done else []
    every = _reverse_includes(choices.parameters)
    reverse = every.get(name, []) + every["*"] if found else []
    shown: Json = {
        "type": name,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{name}",
        **_some("supportedProfile", choices.guides.profiles_of(name)),
        **_some("interaction", [{"code": code} for code in TYPE_INTERACTIONS if code in done]),
        "versioning": "versioned-update" if "update" in done else "versioned",
        "readHistory": "vread" in done,
        "updateCreate": "update" in done,
        "conditionalCreate": "create" in done,
        "conditionalRead": "full-support" if "read" in done else "not-supported",
        "conditionalUpdate": "update" in done,
        "conditionalDelete": deletes if "delete" in done else "not-supported",
        **_some("searchInclude", [f"{name}:{p.code}" for p in found if p.type == "reference"]),
        **_some("searchRevInclude", reverse),
        **_some("searchParam", [_search_param(p, name) for p in found]),
        **_some("operation", [_operation(o, name) for o in own]),
        **_being_indexed(name),
    }
    for element, value in json.decode(dict(choices.told).get(name, b"{}")).items():
        shown[element] = shown.get(element, []) + value if isinstance(value, list) else value
    return shown


def _system_interactions() -> list[Json]:
    codes = [code for code in ("history-system", "search-system") if code in registry.interactions]
    bundle = ["transaction", "batch"] if "bundle" in registry.interactions else []
    return [{"code": code} for code in bundle + codes]


def served(name: str) -> list[SearchParameter]:
    """The search parameters of a type that a search by them is answered for, by code."""
    return sorted((p for p in parameters(name).values() if p.supported), key=lambda p: p.code)


def _being_indexed(name: str) -> Json:
    """Custom parameters that not every resource has its keys for yet are told of, and not listed."""
    codes = sorted(p.code for p in parameters(name).values() if not p.complete)
    return {"documentation": f"Being indexed, and not searched by yet: {', '.join(codes)}."} if codes else {}


def _common() -> list[SearchParameter]:
    """The parameters that every type has."""
    return [p for p in served("Basic") if p.code.startswith("_")]


@lru_cache(1)
def _reverse_includes(_: int) -> dict[str, list[str]]:
    """Target type → "Source:parameter" of what may point to it; under "*" what may point to anything."""
    found: dict[str, list[str]] = defaultdict(list, {"*": []})
    for name in ENDPOINTS:
        for parameter in served(name):
            if parameter.type == "reference":
                everything = not parameter.targets or len(parameter.targets) >= len(ENDPOINTS)
                for target in ("*",) if everything else parameter.targets:
                    found[target].append(f"{name}:{parameter.code}")
    return found


def _search_param(parameter: SearchParameter, name: str) -> Json:
    shown: Json = {"name": parameter.code, "type": parameter.type}
    if url := declared(name, parameter.code) or parameter.url:
        shown["definition"] = url
    about = about_parameter(parameter.description, name)
    return {**shown, "documentation": about} if about else shown


def about_parameter(description: str, name: str) -> str:
    """The sentence for this type: a parameter of several types is described type by type, one line each."""
    for line in description.splitlines():
        if line.startswith("*") and f"[{name}]" in line:
            return line.partition("): ")[2].strip()
    return description.strip() if "* [" not in description else ""


def _operation(operation: Operation, type_: str = "Resource") -> Json:
    return {
        "name": operation.name,
        "definition": operation.definition or _published(operation.name, type_),
        **({"documentation": operation.doc} if operation.doc else {}),
    }


@cache
def _published(name: str, type_: str) -> str:
    """The canonical of the R4 definition: $everything, say, has one for each type."""
    published = [o for o in operations() if o.code == name]
    named = {resource: o.url for o in published for resource in o.resource or ("Resource",)}
    of_system = next((o.url for o in published if o.system), None) if type_ == "Resource" else None
    return named.get(type_) or named.get("Resource") or of_system or f"{_BASE}/OperationDefinition/{name}"


def _some(name: str, values: list[Any]) -> Json:
    """The element, or nothing when it would be empty."""
    return {name: values} if values else {}


def parsed(text: bytes) -> Json:
    """The statement as JSON, for what is generated from it."""
    return dict(json.decode(text))
