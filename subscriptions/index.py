"""Which subscriptions a change may concern, found by the search keys of its resource rather than by asking each.

Of 10,000 subscriptions for other patients none is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_server.change import Interaction
from subscriptions.condition import are_of_patients, coarseness
from subscriptions.filters import Condition
from subscriptions.topic import Topic

Json = dict[str, Any]
ANY = "*"  # every type


@dataclass(slots=True, eq=False)
class Entry:
    """What counts events: a subscription with its topic and conditions, or a hook, which has neither and no owner.

    `since` and `end` are times in microseconds since 1970, 0 for no end. `reach` has, by type, keys of which whatever
    the subscriber may see has one (reach.py).
    """

    id: str
    types: frozenset[str]
    count: int  # the number of the last event
    topic: Topic | None = None
    conditions: tuple[Condition, ...] = ()
    owner: Json | None = None
    interactions: frozenset[Interaction] = frozenset(("create", "update", "delete"))
    since: int = 0
    end: int = 0
    reach: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(slots=True)
class _Bucket:
    """The entries that watch one type: those that want one of these keys, and those that no key tells.

    What an entry was put under is remembered: its conditions may tell other keys by the time it is removed.
    """

    keyed: dict[str, dict[str, Entry]] = field(default_factory=dict)
    free: dict[str, Entry] = field(default_factory=dict)
    under: dict[str, frozenset[str]] = field(default_factory=dict)

    def add(self, entry: Entry, keys: frozenset[str] | None) -> None:
        if keys is None:
            self.free[entry.id] = entry
            return
        self.under[entry.id] = keys
        for key in keys:
            self.keyed.setdefault(key, {})[entry.id] = entry

    def remove(self, id_: str) -> None:
        self.free.pop(id_, None)
        for key in self.under.pop(id_, ()):
            del self.keyed[key][id_]
            if not self.keyed[key]:
                del self.keyed[key]


class Index:
    """The entries that count, by id, by resource type and by key."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._buckets: dict[str, _Bucket] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries.values()))

    def get(self, id_: str) -> Entry | None:
        """The entry of a subscription that counts."""
        return self._entries.get(id_)

    def add(self, entry: Entry) -> None:
        """Take it in; an earlier one of the same id is replaced."""
        self.remove(entry.id)
        self._entries[entry.id] = entry
        for type_ in entry.types:
            self._buckets.setdefault(type_, _Bucket()).add(entry, _keys(entry, type_))

    def remove(self, id_: str) -> None:
        """Forget it, if it is there."""
        entry = self._entries.pop(id_, None)
        if entry is None:
            return
        for type_ in entry.types:
            bucket = self._buckets[type_]
            bucket.remove(id_)
            if not bucket.free and not bucket.under:
                del self._buckets[type_]

    def watches(self, type_: str) -> bool:
        """Whether changes of the type may concern anybody."""
        return type_ in self._buckets or ANY in self._buckets

    def needs_content(self, type_: str) -> bool:
        """Whether somebody watches the type whom the search keys of a resource cannot rule out."""
        if ANY in self._buckets:
            return True
        bucket = self._buckets.get(type_)
        return bucket is not None and bool(bucket.free)

    def candidates(self, type_: str, keys: Callable[[], Iterable[str]]) -> list[Entry]:
        """Those that a change of a resource with these search keys may concern; their conditions are still to judge.

        The keys are asked for only when somebody's depend on them.
        """
        found: dict[str, Entry] = {}
        for name in (type_, ANY):
            bucket = self._buckets.get(name)
            if bucket is None:
                continue
            found |= bucket.free
            if keyed := bucket.keyed:
                for key in keys():
                    if key in keyed:
                        found |= keyed[key]
        return list(found.values())


def _keys(entry: Entry, type_: str) -> frozenset[str] | None:
    """Keys of which a resource of the type must have one, those that tell resources apart best; None: no keys do."""
    every = [*(one.keys_of(type_) for one in entry.conditions), entry.reach.get(type_)]
    return min((keys for keys in every if keys is not None), key=_order, default=None)


def _order(keys: frozenset[str]) -> tuple[object, ...]:
    """Best first; a patient has less than most others that resources refer to."""
    kind, many = coarseness(keys)
    return kind, kind == 1 and not are_of_patients(keys), many, sorted(keys)
