"""What a package needs and whether it is here: other packages, and definitions by their canonical URLs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from fhir_server import definitions
from fhir_server.context import Context
from fhir_server.definitions.package import Item
from fhir_server.outcomes import Unavailable
from fhir_server.packages.records import Record
from fhir_server.search.compile import compile
from fhir_server.search.parse import parse

Json = dict[str, Any]
Canonical = tuple[str, str]  # resource type, URL without version

# What the server knows without any package: https://hl7.org/fhir/R4/downloads.html
_BUILT_IN = {
    "hl7.fhir.r4.core": "built in",
    "hl7.fhir.r4.expansions": "built in",
    "hl7.terminology": "partly built in: the code systems and value sets published with R4",
    "hl7.terminology.r4": "partly built in: the code systems and value sets published with R4",
    "hl7.fhir.uv.extensions": "partly built in: the extensions published with R4",
    "hl7.fhir.uv.extensions.r4": "partly built in: the extensions published with R4",
}
_MAXIMUM = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet"


class _CodeSystem(msgspec.Struct):
    content: str = ""


@dataclass(frozen=True, slots=True)
class Need:
    """A package that is needed, and how that stands: installed, installed as another version, built in, missing."""

    name: str
    version: str
    state: str

    @property
    def missing(self) -> bool:
        return self.state == "missing"


def needs(wanted: Mapping[str, str], records: Iterable[Record]) -> list[Need]:
    """How it stands with each dependency, by name."""
    present = {record.name: record.version for record in records}
    return [Need(name, version, _state(name, version, present)) for name, version in sorted(wanted.items())]


def _state(name: str, version: str, present: Mapping[str, str]) -> str:
    if name in present:
        found = present[name]
        return "installed" if _fits(found, version) else f"installed as {found}"
    if name == "hl7.fhir.r4.core" and not _fits("4.0.1", version):
        return "missing"
    return _BUILT_IN.get(name, "missing")


def _fits(found: str, wanted: str) -> bool:
    """Whether a version is one that is asked for: "4.0.1", "4.0.x", "current"."""
    if wanted in ("current", "dev", "latest", "*", ""):
        return True
    pattern = re.escape(wanted).replace(r"\.x", r"\.[0-9]+")
    return re.fullmatch(pattern, found) is not None


async def unknown(ctx: Context, items: Iterable[Item]) -> dict[Canonical, int] | None:
    """The definitions that profiles and value sets refer to and nobody has: how many resources do.

    None when that cannot be found out now.
    """
    listed = list(items)
    own = {(item.type, item.url) for item in listed}
    counts: Counter[Canonical] = Counter()
    for item in listed:
        if item.type in ("StructureDefinition", "ValueSet"):
            counts.update(set(referred(item.resource())) - own)
    wanted = {one: count for one, count in counts.items() if not _is_published(*one)}
    try:
        return {one: wanted[one] for one in sorted(wanted) if not await _is_stored(ctx, *one)}
    except Unavailable:
        return None


def _is_published(kind: str, url: str) -> bool:
    """Whether R4 defines it; of a code system, whether R4 has its codes."""
    if kind == "CodeSystem":
        text = definitions.code_system(url)
        return text is not None and msgspec.json.decode(text, type=_CodeSystem).content != "not-present"
    return (definitions.value_set(url) if kind == "ValueSet" else definitions.structure(url)) is not None


async def _is_stored(ctx: Context, kind: str, url: str) -> bool:
    value = re.sub(r"([\\,$|])", r"\\\1", url)
    asked = compile(parse(kind, [("url", value)], base_url=ctx.base_url))
    return bool(await ctx.repository.ids(ctx.principal, asked.filter, limit=1))


def referred(resource: Json) -> Iterator[Canonical]:
    """The definitions that a valid StructureDefinition or ValueSet refers to."""
    if resource["resourceType"] == "ValueSet":
        compose = resource.get("compose", {})
        for part in (*compose.get("include", ()), *compose.get("exclude", ())):
            yield from _canonicals("CodeSystem", [part.get("system")])
            yield from _canonicals("ValueSet", part.get("valueSet", ()))
        return
    yield from _canonicals("StructureDefinition", [resource.get("baseDefinition")])
    for view in ("snapshot", "differential"):
        for element in resource.get(view, {}).get("element", ()):
            yield from _of_element(element)


def _of_element(element: Json) -> Iterator[Canonical]:
    for type_ in element.get("type", ()):
        yield from _canonicals("StructureDefinition", type_.get("profile", ()))
        yield from _canonicals("StructureDefinition", type_.get("targetProfile", ()))
    binding = element.get("binding", {})
    yield from _canonicals("ValueSet", [binding.get("valueSet")])
    maximum = (one.get("valueCanonical") for one in binding.get("extension", ()) if one.get("url") == _MAXIMUM)
    yield from _canonicals("ValueSet", maximum)


def _canonicals(kind: str, values: Iterable[Any]) -> Iterator[Canonical]:
    for value in values:
        if isinstance(value, str) and not value.startswith("#"):
            yield kind, value.partition("|")[0]
