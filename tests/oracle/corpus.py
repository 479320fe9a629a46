"""Corpora: the Synthea bundles and the published examples beside the project, or any folder of JSON."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.oracle.expressions import Json

SHARED = Path(__file__).resolve().parents[3] / "shared"


def synthea(folder: Path = SHARED / "synthea", bundles: int | None = None) -> dict[str, Json]:
    """The resources of (the first) Synthea bundles, their urn:uuid references rewritten to Type/uuid."""
    files = sorted(folder.glob("*.json.gz"))[:bundles]
    entries = [entry for file in files for entry in _decoded(file.read_bytes())["entry"]]
    keys = {each["fullUrl"]: f"{each['resource']['resourceType']}/{each['resource']['id']}" for each in entries}
    return {keys[each["fullUrl"]]: _rewritten(each["resource"], keys) for each in entries}


def examples(file: Path = SHARED / "fhir-r4" / "examples.ndjson.gz") -> dict[str, Json]:
    """The published example resources that have an id."""
    return _keyed(_decoded(line) for line in gzip.decompress(file.read_bytes()).splitlines())


def folder(path: Path) -> dict[str, Json]:
    """The resources in the .json and .ndjson files of a folder, gzipped or not; bundles are opened."""
    found: dict[str, Json] = {}
    for file in sorted(path.rglob("*json*")):
        data = file.read_bytes()
        plain = gzip.decompress(data) if file.suffix == ".gz" else data
        documents = plain.splitlines() if ".ndjson" in file.name else [plain]
        for document in map(_decoded, filter(None, documents)):
            inside = [entry["resource"] for entry in document.get("entry", ()) if "resource" in entry]
            transport = document["resourceType"] == "Bundle" and document.get("type") in (
                "transaction", "batch", "searchset", "collection",
            )  # fmt: skip
            found |= _keyed(inside if transport else [document])
    return found


def _keyed(resources: Any) -> dict[str, Json]:
    kept = (each for each in resources if each.get("id") and each["resourceType"] != "Parameters")
    return {f"{each['resourceType']}/{each['id']}": each for each in kept}


def _decoded(data: bytes) -> Any:
    plain = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    return json.loads(plain, parse_float=Decimal)


def _rewritten(value: Any, keys: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _rewritten(each, keys) for name, each in value.items()}
    if isinstance(value, list):
        return [_rewritten(each, keys) for each in value]
    return keys.get(value, value) if isinstance(value, str) else value
