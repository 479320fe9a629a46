"""Arranges what SUSHI wrote as an HL7 package: conformance resources in the folder, examples below it.

https://confluence.hl7.org/display/FHIR/NPM+Package+Specification
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def arrange(compiled: Path, target: Path) -> int:
    """Write the package into `target`, remove what it no longer holds; the number of resources."""
    wanted = files(compiled)
    for path in [one for one in target.rglob("*.json") if str(one.relative_to(target)) not in wanted]:
        path.unlink()
    for name, text in wanted.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return len(wanted) - 1  # beside package.json


def differences(compiled: Path, target: Path) -> list[str]:
    """A line for each file that is missing, left over or another one."""
    wanted = files(compiled)
    there = {str(path.relative_to(target)): path.read_text() for path in target.rglob("*.json")}
    lines = [f"missing: {name}" for name in sorted(wanted.keys() - there.keys())]
    lines += [f"left over: {name}" for name in sorted(there.keys() - wanted.keys())]
    return lines + [f"differs: {name}" for name in sorted(wanted) if there.get(name, wanted[name]) != wanted[name]]


def files(compiled: Path) -> dict[str, str]:
    """Name within the package → text, for all of them."""
    resources = [json.loads(path.read_text()) for path in sorted(compiled.glob("*.json"))]
    guide = next(one for one in resources if one["resourceType"] == "ImplementationGuide")
    examples = {
        one["reference"]["reference"]
        for one in guide["definition"]["resource"]
        if one.get("exampleBoolean") or "exampleCanonical" in one
    }
    guide["definition"].pop("parameter", None)  # for the IG Publisher; R4's required value set has none of these codes
    found = {"package.json": _text(_manifest(guide))}
    for resource in resources:
        if "url" in resource:
            resource = _stamped(resource, guide)
        name = f"{resource['resourceType']}-{resource['id']}.json"
        folder = "example/" if f"{resource['resourceType']}/{resource['id']}" in examples else ""
        found[folder + name] = _text(resource)
    return found


def _stamped(resource: Json, guide: Json) -> Json:
    """With what all definitions of the guide share, which SUSHI leaves to the IG Publisher."""
    head = {key: resource[key] for key in ("resourceType", "id", "meta", "url") if key in resource}
    shared = {"version": guide["version"], "publisher": guide["publisher"], "experimental": False}
    return head | {"version": shared.pop("version")} | resource | shared


def _manifest(guide: Json) -> Json:
    dependencies = {one["packageId"]: one["version"] for one in guide.get("dependsOn", ())}
    return {
        "name": guide["packageId"],
        "version": guide["version"],
        "type": "IG",
        "license": guide["license"],
        "canonical": guide["url"].partition("/ImplementationGuide/")[0],
        "title": guide["title"],
        "description": guide["description"],
        "fhirVersions": guide["fhirVersion"],
        "dependencies": {"hl7.fhir.r4.core": guide["fhirVersion"][0], **dependencies},
        "author": guide["publisher"],
        "directories": {"lib": "package", "example": "example"},
    }


def _text(content: Json) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
