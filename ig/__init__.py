"""The implementation guide: profiles, extensions, value sets, search parameters, operations, topics and examples.

`input/` holds the sources in FHIR Shorthand, `package/` what `make ig` compiles from them, as an HL7 package.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

__all__ = ["archive", "manifest", "package_folder", "package_name", "pages_folder"]


def package_folder() -> Traversable:
    """The compiled package: package.json, one JSON file per conformance resource, and `example/` with the examples."""
    return files(__name__) / "package"


def pages_folder() -> Traversable:
    """The narrative: one Markdown file per page, index.md first."""
    return files(__name__) / "input" / "pagecontent"


def manifest() -> dict[str, Any]:
    """What package.json says: name, version, canonical, title, dependencies."""
    found: dict[str, Any] = json.loads((package_folder() / "package.json").read_bytes())
    return found


def package_name() -> str:
    """Name and version, as the file is called without .tgz: "fhir-server.telemedicine-0.1.0"."""
    return "{name}-{version}".format(**manifest())


def archive() -> bytes:
    """The package as the .tgz that `fhir-server package install` reads; the same content gives the same bytes.

    https://confluence.hl7.org/display/FHIR/NPM+Package+Specification
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in sorted(_contents().items()):
            entry = tarfile.TarInfo(f"package/{name}")  # no time, no owner: nothing that changes from build to build
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)


def _contents() -> dict[str, bytes]:
    folder = package_folder()
    found = {one.name: one.read_bytes() for one in folder.iterdir() if one.name.endswith(".json")}
    examples = {one.name: one.read_bytes() for one in (folder / "example").iterdir() if one.name.endswith(".json")}
    indexes = {".index.json": _index(found), "example/.index.json": _index(examples)}
    return found | {f"example/{name}": content for name, content in examples.items()} | indexes


def _index(resources: dict[str, bytes]) -> bytes:
    rows = []
    for name, content in sorted(resources.items()):
        resource = json.loads(content)
        if "resourceType" in resource:
            shown = ("resourceType", "id", "url", "version", "kind", "type")
            described = {key: resource[key] for key in shown if isinstance(resource.get(key), str)}
            rows.append({"filename": name, **described})
    return json.dumps({"index-version": 2, "files": rows}, indent=1).encode()
