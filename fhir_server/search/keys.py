"""The shape of search keys and ranges, and of what a search asks of them.

A key is the parameter's number (three characters), a mark that says what follows, and the value:
`=` code or URI · `|` system and code · `~` string · `>` reference · `@` identifier of a reference · `^` typed
identifier · `$` parts of a composite.
"""

from __future__ import annotations

import math
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from hashlib import blake2b
from itertools import chain
from typing import Any

Document = dict[str, Any]

MAX_KEY = 160  # characters; longer keys keep their beginning and end in a 128-bit hash
_KEPT = MAX_KEY - 23
MAX_BEGINNING = _KEPT  # characters that every key has as they are, so that keys can be found by them
END = "\U0010ffff"  # sorts after every character that a key can have
WIDE = "~"  # behind the number of a range that is wider than its kind's `width`
DAY = 86_400_000_000  # microseconds
# Whose a Subscription is: no search parameter has this number, so only access asks for such keys.
SUBSCRIBER = "@su"
# What every sealed resource has beside the few keys that it keeps (fhir_server/encryption/index.py).
SEALED = "@se"
SUBSCRIBER_EXTENSION = "http://fhir-server.example/ig/StructureDefinition/subscriber"
OPEN_LOW, OPEN_HIGH = -(2**62), 2**62  # of dates that have no beginning or end


@dataclass(slots=True)
class Index:
    """What is stored beside a resource so that searches find it.

    `keys` are for equality and prefixes, `ranges` are {k, lo, hi} (inclusive; dates in microseconds since 1970,
    else numbers), `sort` holds one scalar for each sortable parameter, `presence` says which parameters have a
    value, `words` are those of the text, `point` is a place in GeoJSON, and `contained` are the indexes of the
    contained resources, each with its id and type.
    """

    keys: list[str]
    ranges: list[Document]
    sort: Document
    presence: str = ""
    words: list[str] = field(default_factory=list)
    point: Document | None = None
    contained: list[Document] = field(default_factory=list)

    def document(self) -> Document:
        """The fields of the stored document; what is empty is left out."""
        every = {
            "k": self.keys,
            "r": self.ranges,
            "s": self.sort,
            "f": self.presence,
            "w": self.words,
            "g": self.point,
            "c": self.contained,
        }
        return {name: value for name, value in every.items() if value}


@dataclass(slots=True)
class Draft:
    """An Index being gathered; `base` is the server's own URL with a slash behind."""

    base: str
    keys: dict[str, None] = field(default_factory=dict)
    ranges: dict[tuple[str, float, float], None] = field(default_factory=dict)
    sort: Document = field(default_factory=dict)
    point: Document | None = None
    # Contained resources that are referred to: id → numbers of the parameters whose references do.
    inside: dict[str, list[str]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)  # contained resources: id → type


@dataclass(frozen=True, slots=True)
class Sink:
    """Where a parameter's values go: the number of its keys, and the names of its sort scalars ("" for none).

    The ascending scalar is the smallest of several values, the descending one the largest.
    """

    number: str
    ascending: str = ""
    descending: str = ""

    def sort(self, draft: Draft, value: Any) -> None:
        scalars = draft.sort
        if self.ascending and (self.ascending not in scalars or value < scalars[self.ascending]):
            scalars[self.ascending] = value
        if self.descending and (self.descending not in scalars or value > scalars[self.descending]):
            scalars[self.descending] = value


@dataclass(frozen=True, slots=True)
class Bounds:
    """Ranges under `key` whose ends lie within these limits, all inclusive; None is no limit.

    `width` is how wide the ranges stored under the plain key can be; wider ones are under the WIDE key.
    """

    key: str
    width: float
    low_from: float | None = None
    low_to: float | None = None
    high_from: float | None = None
    high_to: float | None = None

    def within(self, other: Bounds) -> Bounds:
        """Both at once, on one and the same range."""
        return Bounds(
            self.key,
            self.width,
            _largest(self.low_from, other.low_from),
            _smallest(self.low_to, other.low_to),
            _largest(self.high_from, other.high_from),
            _smallest(self.high_to, other.high_to),
        )


@dataclass(frozen=True, slots=True)
class Circle:
    """Places at most `metres` from here, in degrees."""

    latitude: float
    longitude: float
    metres: float


@dataclass(frozen=True, slots=True)
class Criterion:
    """What a parameter's values ask for; a resource fits when any one of the lists has a hit."""

    keys: tuple[str, ...] = ()
    between: tuple[tuple[str, str], ...] = ()  # keys from the first up to, not including, the second
    patterns: tuple[str, ...] = ()  # regular expressions anchored at a parameter's number
    bounds: tuple[Bounds, ...] = ()
    range_keys: tuple[str, ...] = ()  # any range under these
    ids: tuple[str, ...] = ()  # "Type/id"
    updated: tuple[tuple[int | None, int | None], ...] = ()  # microseconds, inclusive
    sets: tuple[str, ...] = ()  # presence sets
    words: tuple[str, ...] = ()
    word_beginnings: tuple[str, ...] = ()
    circles: tuple[Circle, ...] = ()

    def __or__(self, other: Criterion) -> Criterion:
        return any_of((self, other))


def any_of(criteria: Iterable[Criterion]) -> Criterion:
    """One criterion that is fit by whatever fits any of these."""
    every = [one for one in criteria if one != _NONE]
    if len(every) < 2:
        return every[0] if every else _NONE
    lists = {name: [getattr(one, name) for one in every] for name in _LISTS}
    return Criterion(**{name: tuple(dict.fromkeys(chain.from_iterable(found))) for name, found in lists.items()})


_NONE = Criterion()
_LISTS = tuple(one.name for one in fields(Criterion))


def fit(key: str) -> str:
    """The key itself, or its beginning and a hash of the whole when it is too long; the same for equal keys only."""
    return key if len(key) <= MAX_KEY else f"{key[:_KEPT]}#{digest(key)}"


def digest(text: str) -> str:
    """128 bits as 22 characters."""
    return urlsafe_b64encode(blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest())[:22].decode()


def beginning(prefix: str) -> tuple[str, str]:
    """All keys that begin so, as limits."""
    return prefix, prefix + END


def wide(key: str) -> str:
    return key[:3] + WIDE + key[3:]


def range_clauses(bounds: Bounds) -> list[Document]:
    """The MongoDB conditions on `r`, any of which is to hold.

    A range's low end is never above its high end, so each limit also limits the other end: that keeps the scan of
    the index (k, lo, hi) short. Ranges stored under the plain key are no wider than `width`, so there a limit on
    the high end limits the low end from below as well.
    """
    low_to = _smallest(bounds.low_to, bounds.high_to)
    high_from = _largest(bounds.high_from, bounds.low_from)
    narrow_from = bounds.low_from
    if high_from is not None:
        narrow_from = _largest(narrow_from, high_from - bounds.width)
    if narrow_from == bounds.low_from:
        both = {"$in": [bounds.key, wide(bounds.key)]}
        return [_element(both, bounds.low_from, low_to, bounds.high_from, bounds.high_to)]
    return [
        _element(bounds.key, narrow_from, low_to, bounds.high_from, bounds.high_to),
        _element(wide(bounds.key), bounds.low_from, low_to, bounds.high_from, bounds.high_to),
    ]


def _element(
    key: str | Document, low_from: float | None, low_to: float | None, high_from: float | None, high_to: float | None
) -> Document:
    if high_from is not None and low_from is not None and low_from >= high_from:
        high_from = None  # implied
    element: Document = {"k": key}
    if low := _limits(low_from, low_to):
        element["lo"] = low
    if high := _limits(high_from, high_to):
        element["hi"] = high
    return {"r": {"$elemMatch": element}}


def _limits(at_least: float | None, at_most: float | None) -> Document:
    limits: Document = {}
    if at_least is not None:
        limits["$gte"] = at_least
    if at_most is not None:
        limits["$lte"] = at_most
    return limits


def _largest(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else max(a, b)


def _smallest(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else min(a, b)


def after(value: float) -> float:
    """The next value above: one microsecond or one step of a float."""
    return value + 1 if isinstance(value, int) else math.nextafter(value, math.inf)


def before(value: float) -> float:
    return value - 1 if isinstance(value, int) else math.nextafter(value, -math.inf)
