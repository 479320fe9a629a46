"""A real server's validator for tests: what it knows is stored in its database, and others' resources are given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from fhir_server.definitions.package import Package
from fhir_server.main import Server
from fhir_server.outcomes import Issue
from fhir_server.validation import Level
from tests.terminology.storing import put
from tests.validation.corpus import SHARED

Json = dict[str, Any]
US_CORE = SHARED / "packages" / "hl7.fhir.us.core-6.1.0.tgz"
_DEFINE = ("CodeSystem", "ValueSet", "StructureDefinition")


class Judge:
    """`others` are the resources that references are followed to, by Type/id."""

    def __init__(self, parts: Server) -> None:
        self._parts = parts
        self.others: Mapping[str, Json] = {}

    async def learn(self, definitions: Iterable[Json]) -> None:
        """Store these definitions."""
        for one in definitions:
            await put(self._parts, one)

    async def learn_package(self, path: Path) -> None:
        """Store what a package has of definitions that validation asks for."""
        items = [item for item in Package.from_file(path).items if item.role == "conformance"]
        for type_ in _DEFINE:
            await self.learn(item.resource() for item in items if item.type == type_)

    async def issues(
        self, resource: Json, level: Level = Level.PROFILES, profiles: Sequence[str] = (), thorough: bool = False
    ) -> list[Issue]:
        """What the server's validator says of it."""
        return await self._parts.validator.check(
            resource, self._read, level=level, profiles=profiles, thorough=thorough
        )

    async def _read(self, type_: str, id_: str) -> Json | None:
        return self.others.get(f"{type_}/{id_}")


@cache
def us_core_examples() -> dict[str, Json]:
    """The examples of US Core 6.1.0, by Type/id."""
    items = Package.from_file(US_CORE).items if US_CORE.is_file() else ()
    return {f"{item.type}/{item.id}": item.resource() for item in items if item.role == "example"}
