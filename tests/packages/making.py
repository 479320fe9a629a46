"""A small made-up guide as an HL7 package: a code system, a value set, a profile, a search parameter, examples."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

Json = dict[str, Any]

BASE = "http://example.org/guide"
EYES = f"{BASE}/StructureDefinition/eye-colour"


def manifest(name: str = "org.example.eyes", version: str = "1.0.0", **more: Any) -> Json:
    made: Json = {"name": name, "version": version, "title": "Eyes", "canonical": BASE, "fhirVersions": ["4.0.1"]}
    return made | {"dependencies": {"hl7.fhir.r4.core": "4.0.1", "org.example.missing": "2.0.0"}} | more


def canonical(type_: str, id_: str, version: str = "1.0.0", **more: Any) -> Json:
    head: Json = {"resourceType": type_, "id": id_, "url": f"{BASE}/{type_}/{id_}", "version": version}
    return head | {"name": id_.replace("-", "_"), "status": "active"} | more


def code_system(id_: str = "eye-colours", version: str = "1.0.0", **more: Any) -> Json:
    concepts = [{"code": "green"}, {"code": "blue"}]
    return canonical("CodeSystem", id_, version, content="complete", concept=concepts, **more)


def value_set(id_: str = "eye-colours", version: str = "1.0.0", **more: Any) -> Json:
    return canonical("ValueSet", id_, version, compose={"include": [{"system": f"{BASE}/CodeSystem/{id_}"}]}, **more)


def profile(id_: str = "seeing-patient", version: str = "1.0.0", value_set_url: str = "") -> Json:
    bound = value_set_url or f"{BASE}/ValueSet/eye-colours"
    element = {"id": "Patient.gender", "path": "Patient.gender", "min": 1}
    coloured = {
        "id": "Patient.maritalStatus",
        "path": "Patient.maritalStatus",
        "binding": {"strength": "extensible", "valueSet": bound},
    }
    return canonical(
        "StructureDefinition",
        id_,
        version,
        kind="resource",
        abstract=False,
        type="Patient",
        baseDefinition="http://hl7.org/fhir/StructureDefinition/Patient",
        derivation="constraint",
        differential={"element": [element, coloured]},
    )


def search_parameter(version: str = "1.0.0") -> Json:
    expression = f"Patient.extension('{EYES}').value"
    more = {"description": "The colour of the eyes", "code": "eye-colour", "base": ["Patient"], "type": "token"}
    return canonical("SearchParameter", "patient-eye-colour", version, expression=expression, **more)


def patient(id_: str = "example", **more: Any) -> Json:
    extension = [{"url": EYES, "valueCode": "green"}]
    return {"resourceType": "Patient", "id": id_, "extension": extension, "gender": "female", **more}


def observation(subject: str = "Patient/example") -> Json:
    made: Json = {"resourceType": "Observation", "id": "example-sight", "status": "final", "code": {"text": "Sight"}}
    return made | {"subject": {"reference": subject}}


def eyes(version: str = "1.0.0", **about: Any) -> dict[str, Any]:
    """The files of the guide."""
    return {
        "package/package.json": manifest(version=version, **about),
        "package/CodeSystem-eye-colours.json": code_system(version=version),
        "package/ValueSet-eye-colours.json": value_set(version=version),
        "package/StructureDefinition-seeing-patient.json": profile(version=version),
        "package/SearchParameter-patient-eye-colour.json": search_parameter(version=version),
        "package/example/Patient-example.json": patient(),
        "package/example/Observation-example-sight.json": observation(),
        "package/other/notes.json": {"resourceType": "Patient", "id": "not-read"},
    }


def packed(path: Path, files: dict[str, Any], *entries: tarfile.TarInfo) -> Path:
    """The files as a .tgz; `entries` are others that it shall have, without content."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, file in files.items():
            text = file if isinstance(file, bytes) else json.dumps(file).encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
        for entry in entries:
            tar.addfile(entry)
    path.write_bytes(gzip.compress(content.getvalue(), mtime=0))
    return path
