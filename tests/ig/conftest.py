"""The compiled guide, and a server that has it installed from its own .tgz."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ig
from fhir_server import json
from fhir_server.config import Settings
from tests.conftest import serve

Json = dict[str, Any]


def read(folder: str = "") -> dict[str, Json]:
    """Type/id → resource: what the guide defines, or with "example" its examples."""
    place = ig.package_folder() / folder if folder else ig.package_folder()
    found = [json.decode(one.read_bytes()) for one in place.iterdir() if one.name.endswith(".json")]
    return {f"{one['resourceType']}/{one['id']}": one for one in found if "resourceType" in one}


DEFINED = read()
EXAMPLES = read("example")


@pytest.fixture(scope="module")
def guide_server(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a server that began empty and installed the guide as any other package."""
    file: Path = tmp_path_factory.mktemp("guide") / f"{ig.package_name()}.tgz"
    file.write_bytes(ig.archive())
    with serve(settings.model_copy(update={"packages": str(file)})) as base:
        yield base
