"""Where each resource of a package goes: the package's own id, unless something else is there.

A resource is the same as another when both have the same canonical URL; what has none, when it is of the same file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from fhir_server.context import Context
from fhir_server.definitions.package import CONFORMANCE, Item, Package
from fhir_server.interactions.urls import is_id
from fhir_server.packages.records import REMOVING, Owned, Record
from fhir_server.storage.stored import Stored

Json = dict[str, Any]

TOGETHER = 200  # resources looked at in one query
_RANK = {name: rank for rank, name in enumerate(CONFORMANCE)}


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an item goes ("Type/id"), and the version it was planned on: 0 when nothing is there.

    `shared` says that another package brought the same canonical resource already: there is nothing to write.
    """

    item: Item
    key: str
    version: int = 0
    shared: bool = False

    @property
    def owned(self) -> Owned:
        return Owned(self.key, self.item.path, self.item.url, self.item.version)

    @property
    def proper(self) -> str:
        """The "Type/id" that the package gave it."""
        return f"{self.item.type}/{self.item.id}"


@dataclass(slots=True)
class Ownership:
    """Which stored resource belongs to which package, as one package sees it before it is installed."""

    name: str
    mine: dict[str, Owned]
    others: dict[str, str]  # key → name of the package
    same: dict[tuple[str, str, str], str]  # type, URL and version → the key that another package has it under
    preferred: dict[tuple[str, str], str] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, records: Iterable[Record]) -> Ownership:
        """What these records say."""
        made = cls(name, {}, {}, {})
        for record in records:
            for one in record.resources:
                if record.name == name:
                    made.mine[one.key] = one
                    made.preferred[_identity(one.key, one.url, one.path)] = one.key
                    continue
                made.others[one.key] = record.name
                if one.url and record.state != REMOVING:
                    made.same[one.key.partition("/")[0], one.url, one.version] = one.key
        return made

    def candidates(self, item: Item) -> Iterator[str]:
        """The places where an item may go, the best first."""
        identity = _identity(f"{item.type}/", item.url, item.path)
        if identity in self.preferred:
            yield self.preferred[identity]
        if is_id(item.id):
            yield f"{item.type}/{item.id}"
        mark = blake2b(f"{self.name}\0{item.url or item.path}".encode(), digest_size=4).hexdigest()
        stem = item.id[:55] if is_id(item.id) else self.name[:55].replace("_", "-")
        yield f"{item.type}/{stem}-{mark}"

    def allows(self, item: Item, key: str, stored: Stored | None) -> bool:
        """Whether the item may be written there."""
        if key in self.others:
            return False
        if stored is None or stored.deleted:
            return True
        url = url_of(stored)
        if key in self.mine:
            return url in (item.url, self.mine[key].url)
        return bool(item.url) and url == item.url


def chosen(package: Package, examples: bool) -> list[Item]:
    """What of a package is written, in an order in which each finds what it refers to."""
    wanted = [one for one in package.items if one.role == "conformance" or (examples and one.role == "example")]
    return sorted(wanted, key=lambda one: (one.role == "example", _RANK.get(one.type, len(_RANK)), one.path))


async def place(ctx: Context, items: Sequence[Item], ownership: Ownership) -> list[Placement]:
    """A place for every item; `key` is empty for one that finds all its places taken."""
    placements: list[Placement] = []
    taken: set[str] = set()
    for start in range(0, len(items), TOGETHER):
        some = items[start : start + TOGETHER]
        keys = {key for item in some for key in _looked_at(item, ownership)}
        stored = await ctx.repository.read_many(ctx.principal, keys)
        for item in some:
            placement = _place(item, ownership, stored, taken)
            taken.add(placement.key)
            placements.append(placement)
    return placements


def _place(item: Item, ownership: Ownership, stored: Mapping[str, Stored], taken: set[str]) -> Placement:
    theirs = stored.get(ownership.same.get((item.type, item.url, item.version), ""))
    if item.url and theirs is not None and not theirs.deleted and url_of(theirs) == item.url:
        return Placement(item, theirs.key, theirs.version, shared=True)
    for key in ownership.candidates(item):
        there = stored.get(key)
        if key not in taken and ownership.allows(item, key, there):
            return Placement(item, key, state_of(there))
    return Placement(item, "")


def _looked_at(item: Item, ownership: Ownership) -> Iterator[str]:
    yield from ownership.candidates(item)
    if key := ownership.same.get((item.type, item.url, item.version)):
        yield key


def _identity(key: str, url: str, path: str) -> tuple[str, str]:
    return key.partition("/")[0], url or path


def state_of(stored: Stored | None) -> int:
    """The version of what is there; 0 for what is not, or was deleted."""
    return stored.version if stored is not None and not stored.deleted else 0


def url_of(stored: Stored) -> str:
    """The canonical URL of a stored resource; "" for a type that has none."""
    if stored.type not in _RANK or stored.type == "NamingSystem":
        return ""
    url = stored.resource().get("url")
    return url if isinstance(url, str) else ""
