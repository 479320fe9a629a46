"""The package cache that SUSHI reads: R4 from the published bundles, and what is borrowed from R5."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.ig.borrowed import EXTENSIONS, PACKAGE, VERSION
from scripts.ig.sushi import Unavailable

Json = dict[str, Any]

CORE = "hl7.fhir.r4.core"
FHIR = "4.0.1"
BUNDLES = (
    "profiles-types",
    "profiles-resources",
    "extension-definitions",
    "profiles-others",
    "valuesets",
    "v3-codesystems",
    "v2-tables",
)
KINDS = {"StructureDefinition", "ValueSet", "CodeSystem"}  # all that SUSHI looks up
MARK = ".complete"


def prepare(home: Path, definitions: Path) -> None:
    """Fill `home`/.fhir/packages unless it is there; raises Unavailable without the published bundles."""
    packages = home / ".fhir" / "packages"
    core = packages / f"{CORE}#{FHIR}" / "package"
    if not (core / MARK).exists():
        if not definitions.is_dir():
            raise Unavailable(f"the published R4 bundles are needed: {definitions} is not there (--definitions)")
        _write(core, CORE, FHIR, _published(definitions))
        (core / MARK).touch()
    extension = json.loads((core / "StructureDefinition-Extension.json").read_text())
    borrowed = packages / f"{PACKAGE}#{VERSION}" / "package"
    _write(borrowed, PACKAGE, VERSION, (one.definition(extension) for one in EXTENSIONS))


def _published(definitions: Path) -> Iterator[Json]:
    for name in BUNDLES:
        bundle = json.loads(gzip.decompress((definitions / f"{name}.json.gz").read_bytes()))
        for entry in bundle["entry"]:
            if (resource := entry["resource"])["resourceType"] in KINDS:
                resource.pop("text", None)
                yield resource


def _write(folder: Path, name: str, version: str, resources: Iterator[Json]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {"name": name, "version": version, "fhirVersions": [FHIR], "type": "Core" if name == CORE else "IG"}
    (folder / "package.json").write_text(json.dumps(manifest))
    for resource in resources:
        path = folder / f"{resource['resourceType']}-{resource['id']}.json"
        path.write_text(json.dumps(resource))
