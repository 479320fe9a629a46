"""`python -m scripts.definitions [SOURCE [TARGET]]`: the published R4 bundles in, the package data out.

The same input gives the same bytes: nothing depends on time, order of files or hash seeds.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from fhir_server.definitions.shapes import Manifest, TypeDefinition
from scripts.definitions.conformance import compartment, operation, search_parameter
from scripts.definitions.errata import Errata
from scripts.definitions.profiles import concept_map, structure_definitions
from scripts.definitions.structures import compile_structure
from scripts.definitions.terminology import code_system, value_set
from scripts.definitions.valuesets import NotEnumerable, Terminology

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT.parent / "shared" / "fhir-r4"
TARGET = ROOT / "fhir_server" / "definitions" / "data"
STRUCTURES = ("profiles-types", "profiles-resources")
PROFILES = ("profiles-others", "extension-definitions")
SEARCH = ("search-parameters",)
TERMINOLOGY = ("valuesets", "v3-codesystems", "v2-tables")
CONCEPT_MAPS = ("conceptmaps",)
FHIR_VERSION = "4.0.1"

Json = dict[str, Any]


def compile_all(source: Path) -> dict[str, bytes]:
    """File name → content, uncompressed, of everything in the package data, manifest.json included."""
    errata = Errata()
    conformance = list(_resources(source, *STRUCTURES, *SEARCH))
    types = [
        compiled
        for resource in conformance
        if resource["resourceType"] == "StructureDefinition"
        for compiled in compile_structure(resource, errata)
    ]
    compartments = {
        r["code"]: compartment(r, errata) for r in conformance if r["resourceType"] == "CompartmentDefinition"
    }
    parameters = [search_parameter(r) for r in conformance if r["resourceType"] == "SearchParameter"]
    operations = [operation(r) for r in conformance if r["resourceType"] == "OperationDefinition"]
    structures = structure_definitions([*conformance, *_resources(source, *PROFILES)], errata)
    concept_maps = {r["url"]: concept_map(r) for r in _resources(source, *CONCEPT_MAPS)}
    terminology = sorted(_resources(source, *TERMINOLOGY), key=lambda r: str(r["url"]))
    encode = msgspec.json.Encoder().encode
    content = {
        "types.json": encode({t.name: t for t in sorted(types, key=lambda t: t.name)}),
        "codes.json": encode(_required_codes(terminology, types)),
        "code-systems.json": encode(
            {r["url"]: code_system(r) for r in terminology if r["resourceType"] == "CodeSystem"}
        ),
        "value-sets.json": encode({r["url"]: value_set(r) for r in terminology if r["resourceType"] == "ValueSet"}),
        "structures.json": encode(structures),
        "concept-maps.json": encode(dict(sorted(concept_maps.items()))),
        "search-parameters.json": encode(sorted(parameters, key=lambda p: p.url)),
        "compartments.json": encode(dict(sorted(compartments.items()))),
        "operations.json": encode(sorted(operations, key=lambda o: o.url)),
    }
    errata.check_used()
    digest = hashlib.sha256(b"".join(content[name] for name in sorted(content))).hexdigest()
    manifest = Manifest(
        fhir_version=FHIR_VERSION,
        digest=digest,
        resource_types=tuple(sorted(t.name for t in types if t.kind == "resource" and not t.abstract)),
        data_types=tuple(sorted(t.name for t in types if t.kind in ("complex", "primitive"))),
        sources={
            f"{name}.json": hashlib.sha256(_published(source, name)).hexdigest()
            for name in (*STRUCTURES, *PROFILES, *SEARCH, *TERMINOLOGY, *CONCEPT_MAPS)
        },
    )
    content["manifest.json"] = msgspec.json.format(encode(manifest), indent=2) + b"\n"
    return content


def write(content: dict[str, bytes], target: Path) -> None:
    """Write the files, compressed except for the manifest, which people read."""
    target.mkdir(parents=True, exist_ok=True)
    for name, data in content.items():
        if name == "manifest.json":
            (target / name).write_bytes(data)
        else:
            (target / f"{name}.gz").write_bytes(gzip.compress(data, 9, mtime=0))


def _published(source: Path, name: str) -> bytes:
    return gzip.decompress((source / f"{name}.json.gz").read_bytes())


def _resources(source: Path, *names: str) -> Iterator[Json]:
    for name in names:
        for entry in json.loads(_published(source, name))["entry"]:
            yield entry["resource"]


def _required_codes(resources: list[Json], types: list[TypeDefinition]) -> dict[str, dict[str, list[str]]]:
    terminology = Terminology(resources)
    bindings = {e.binding for t in types for e in t.properties if e.binding}
    required = {b.value_set for b in bindings if b.strength == "required"} | {b.maximum for b in bindings if b.maximum}
    result: dict[str, dict[str, list[str]]] = {}
    for url in sorted(required):
        try:
            codes = terminology.codes(url)
        except NotEnumerable:
            continue  # Checked by a lexical rule, if at all: fhir_server/validation/
        result[url] = {system: sorted(codes[system]) for system in sorted(codes)}
    return result


if __name__ == "__main__":
    write(compile_all(Path(sys.argv[1]) if sys.argv[1:] else SOURCE), Path(sys.argv[2]) if sys.argv[2:] else TARGET)
