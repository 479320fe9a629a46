"""The snapshot of a StructureDefinition that has only a differential.

https://hl7.org/fhir/R4/profiling.html#snapshot
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fhir_server.json import Json
from fhir_server.validation.snapshot.errors import SnapshotError
from fhir_server.validation.snapshot.merge import with_source
from fhir_server.validation.snapshot.tree import Node, parse
from fhir_server.validation.snapshot.walk import Walk

__all__ = ["SnapshotError", "generate"]


def generate(differential: Json, base: Callable[[str], Json | None]) -> Json:
    """The StructureDefinition `differential` with the snapshot that its differential makes of its base.

    `base` finds a StructureDefinition by canonical URL, as it is written (perhaps with `|version`) and then without
    version: bases, data types, and profiles on types; those without snapshot are generated as well. A snapshot that
    is there already is replaced. Inputs are not changed. Raises SnapshotError, which names the element.
    """
    elements = list(_Snapshots(base).generated(differential).elements())
    return {**differential, "snapshot": {"element": elements}}


class _Snapshots:
    """The trees of the definitions that one generation needs, each read once."""

    def __init__(self, base: Callable[[str], Json | None]) -> None:
        self._base = base
        self._known: dict[str, Node] = {}
        self._open: list[str] = []

    def generated(self, definition: Json) -> Node:
        """The tree of the snapshot; SnapshotError for a definition that depends on its own snapshot."""
        url = definition.get("url", "")
        if url in self._open:
            raise SnapshotError("is based on itself", url)
        self._open.append(url)
        try:
            return self._generated(definition, url)
        finally:
            self._open.pop()

    def _generated(self, definition: Json, url: str) -> Node:
        if not definition.get("baseDefinition"):
            raise SnapshotError("has no baseDefinition", url)
        root = self.of(definition["baseDefinition"], url)
        elements = definition.get("differential", {}).get("element")
        if not elements:
            return root
        change = parse(elements)
        extends = definition.get("derivation") == "specialization"
        if extends:
            root = replace(root, name=change.name)
        elif root.name != change.name:
            raise SnapshotError(f"is not an element of the base, which is a {root.name}", change.name)
        return Walk(url, root, self.of, extends).constrain(root, change, root.name)

    def of(self, url: str, where: str) -> Node:
        """The tree of the snapshot at this canonical URL, which the element `where` needs."""
        if url not in self._known:
            definition = self._base(url) or self._base(url.partition("|")[0])
            if definition is None:
                raise SnapshotError(f"there is no StructureDefinition {url}", where)
            if definition.get("url") in self._open:
                raise SnapshotError("is based on itself", url)
            elements = definition.get("snapshot", {}).get("element")
            source = definition.get("url", url)
            self._known[url] = (
                parse(with_source(one, source) for one in elements) if elements else self.generated(definition)
            )
        return self._known[url]
