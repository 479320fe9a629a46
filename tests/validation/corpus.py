"""Resources for the tests of validation: our own sample, and the published ones where they are at hand."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_server.json import decode

Json = dict[str, Any]
CASES = Path(__file__).parents[1] / "cases"
SHARED = Path(__file__).parents[3] / "shared"

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the published definitions and data are not at ../shared")


@cache
def sample() -> list[Json]:
    """Our own valid resources, decoded as a request body is."""
    return [decode(json.dumps(resource)) for resource in yaml.safe_load((CASES / "valid_resources.yaml").read_text())]


def examples() -> Iterator[Json]:
    """The published example resources."""
    with gzip.open(SHARED / "fhir-r4" / "examples.ndjson.gz") as lines:
        for line in lines:
            yield decode(line)


def synthea() -> Iterator[Json]:
    """The Synthea transaction Bundles."""
    for path in sorted((SHARED / "synthea").glob("*.json.gz")):
        yield decode(gzip.decompress(path.read_bytes()))
