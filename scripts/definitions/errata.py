"""Declared corrections of the published text: each is applied where the text is exactly as published, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Json = dict[str, Any]
OVERLAY = Path(__file__).with_name("errata.json")


class Errata:
    """The overlay errata.json: every entry has a reason and a source, and must be used at least once."""

    def __init__(self, path: Path = OVERLAY) -> None:
        self.entries: dict[str, list[Json]] = json.loads(path.read_text())
        self._unused = {id(entry): entry for entries in self.entries.values() for entry in entries}

    def expression(self, path: str, key: str, published: str) -> str:
        """The corrected FHIRPath expression of this constraint, or the published one."""
        for entry in self.entries["constraints"]:
            if entry["path"] == path and entry["key"] == key and entry["published"] == published:
                return str(self._use(entry)["corrected"])
        for entry in self.entries["expressions"]:
            if entry["published"] == published:
                return str(self._use(entry)["corrected"])
        return published

    def type(self, base_path: str, published: str) -> str:
        """The corrected type of the element that is declared at this path."""
        for entry in self.entries["types"]:
            if entry["path"] == base_path and entry["published"] == published:
                return str(self._use(entry)["corrected"])
        return published

    def strength(self, path: str, value_set: str, published: str) -> str:
        """The corrected strength of a profile's binding of this element to this value set."""
        for entry in self.entries["bindings"]:
            if (entry["path"], entry["valueSet"], entry["published"]) == (path, value_set, published):
                return str(self._use(entry)["corrected"])
        return published

    def compartment(self, compartment: str, resource: str, params: tuple[str, ...]) -> tuple[str, ...]:
        """The search parameters by which this resource type is in this compartment."""
        for entry in self.entries["compartments"]:
            if (entry["compartment"], entry["resource"]) == (compartment, resource) and entry["add"] not in params:
                params = (self._use(entry)["add"], *params)
        return params

    def check_used(self) -> None:
        """Raise ValueError if an entry no longer matches the published text."""
        if self._unused:
            raise ValueError(f"errata that match nothing published: {list(self._unused.values())}")

    def _use(self, entry: Json) -> Json:
        self._unused.pop(id(entry), None)
        return entry
