"""What became of a package, and the words for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from fhir_server.packages.dependencies import Canonical, Need

OUTCOMES = ("created", "updated", "unchanged", "shared", "deleted", "refused")
MAX_LISTED = 20  # of a kind, before the rest is counted


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file of the package whose resource was not written, and the rules that it breaks."""

    path: str
    reasons: tuple[str, ...]


@dataclass(slots=True)
class Report:
    """What installing a package did. `already` says that all of it was there and nothing was looked at again."""

    name: str
    version: str
    title: str = ""
    already: bool = False
    before: str = ""  # the version that it took the place of
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)  # (resource type, outcome) → how many
    refused: list[Refusal] = field(default_factory=list)
    moved: list[tuple[str, str, str]] = field(default_factory=list)  # "Type/id" of the package, where it went, why
    left_out: Counter[str] = field(default_factory=Counter)  # role → how many resources were not to be written
    needs: list[Need] = field(default_factory=list)
    unknown: dict[Canonical, int] | None = field(default_factory=dict)  # None: could not be found out
    search: Counter[str] = field(default_factory=Counter)  # state of a search parameter → pairs of type and code

    def total(self, outcome: str) -> int:
        """How many resources had this outcome."""
        return sum(count for (_, found), count in self.counts.items() if found == outcome)

    def lines(self) -> Iterator[str]:
        """The report for people, refusals apart."""
        label = f"{self.name} {self.version}"
        if self.already:
            yield f"{label} is installed already; nothing was changed."
            yield from self._dependencies()
            return
        now = ", ".join(f"{self.total(one):,} {one}" for one in OUTCOMES if self.total(one)) or "nothing to write"
        yield f"{label}{f' in place of {self.before}' if self.before else ''}: {now}."
        for kind in sorted({kind for kind, _ in self.counts}):
            each = ", ".join(f"{self.counts[kind, one]:,} {one}" for one in OUTCOMES if self.counts[kind, one])
            yield f"  {kind}: {each}"
        yield from self._details()
        yield from self._dependencies()
        yield from self._unknown()

    def _details(self) -> Iterator[str]:
        for proper, key, why in self.moved[:MAX_LISTED]:
            yield f"  {proper} is stored as {key}: {why}."
        if len(self.moved) > MAX_LISTED:
            yield f"  … and {len(self.moved) - MAX_LISTED} more under another id."
        if self.left_out["example"]:
            yield f"  {self.left_out['example']:,} examples were not loaded; --examples loads them."
        if self.left_out["other"]:
            yield f"  {self.left_out['other']:,} resources that define nothing were not loaded."
        if self.search:
            yield "  Search parameters: " + ", ".join(f"{n} {_SEARCH[state]}" for state, n in self.search.items()) + "."

    def _dependencies(self) -> Iterator[str]:
        if self.needs:
            yield "Depends on:"
        for need in self.needs:
            yield f"  {need.name} {need.version}: {need.state}"

    def _unknown(self) -> Iterator[str]:
        if self.unknown is None:
            yield "What it refers to was not looked for, because the search index is being rebuilt."
            return
        for kind, plural in _KINDS.items():
            urls = {url: count for (found, url), count in self.unknown.items() if found == kind}
            if urls:
                yield f"Refers to {len(urls)} {plural} not here:"
            for url, count in list(urls.items())[:MAX_LISTED]:
                yield f"  {url} ({count} resource{'s' if count > 1 else ''})"
            if len(urls) > MAX_LISTED:
                yield f"  … and {len(urls) - MAX_LISTED} more."


_KINDS = {
    "StructureDefinition": "profiles or extensions",
    "ValueSet": "value sets",
    "CodeSystem": "code systems whose codes are",
}
_SEARCH = {
    "same": "as R4 has them",
    "complete": "ready",
    "indexing": "to be searched by once the server has reindexed",
    "conflict": "not used, since another parameter has their code",
    "unusable": "not used, since their expressions cannot be",
}
