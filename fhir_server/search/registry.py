"""Which search parameters each resource type has, and the short stable number that stands for each in the keys.

R4's are always there. Custom ones are installed as SearchParameter resources come and go (search/custom.py,
storage/parameters.py): one set for the whole process, changed in the event loop's thread only.
https://hl7.org/fhir/R4/searchparameter-registry.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import TypeVar

from fhir_server import definitions

# Changes whenever keys written by older code no longer fit the queries written by this one: then everything is
# reindexed at the next start.
LAYOUT = 2
NUMBER_WIDTH = 3
# The published pairs take about 2,400 of the 46,656 numbers; custom parameters get theirs from here on.
FIRST_CUSTOM = 36**2 * 18
LAST_CUSTOM = 36**3 - 1

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
INDEXED_TYPES = frozenset({"string", "token", "reference", "date", "number", "quantity", "uri"})

Key = TypeVar("Key")
Value = TypeVar("Value")
Table = Mapping[str, "SearchParameter"]


@dataclass(frozen=True, slots=True)
class Restrictions:
    """What searches by a custom parameter may not say; what is empty restricts nothing.

    https://hl7.org/fhir/R4/searchparameter-definitions.html#SearchParameter.multipleOr and below
    """

    one_value: bool = False  # multipleOr is false: no comma
    once: bool = False  # multipleAnd is false: no repetition
    comparators: tuple[str, ...] = ()
    modifiers: tuple[str, ...] = ()
    chains: tuple[str, ...] = ()


UNRESTRICTED = Restrictions()


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One search parameter of one resource type; `number` is its three base-36 digits in the search keys."""

    resource_type: str
    code: str
    type: str  # string | token | reference | date | number | quantity | uri | composite | special
    number: str
    expression: str
    url: str
    targets: tuple[str, ...] = ()
    components: tuple[tuple[str, str], ...] = ()  # (definition URL, expression) of a composite
    description: str = ""
    restrictions: Restrictions = UNRESTRICTED
    complete: bool = True  # False while older resources lack its keys: then it is not searched by

    @property
    def custom(self) -> bool:
        """Whether it came as a resource and is not one of R4's."""
        return self.number >= _FIRST

    @property
    def indexed(self) -> bool:
        """Whether its values have keys or ranges of their own kind."""
        return self.type in INDEXED_TYPES and self.expression != ""

    @property
    def supported(self) -> bool:
        """Whether a search by it is answered."""
        if self.code in ("_text", "_content"):
            return True
        return self.complete and (self.indexed or (self.type in ("composite", "special") and self.expression != ""))


def number_text(number: int) -> str:
    """The number in base 36, always three digits, so that all keys of a parameter are one contiguous range."""
    digits = ""
    for _ in range(NUMBER_WIDTH):
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits


_FIRST = number_text(FIRST_CUSTOM)


# ---- R4's own ----------------------------------------------------------------------------------------


@cache
def _published() -> tuple[dict[str, Table], dict[str, str]]:
    """Type → code → parameter, and type → the number of the type itself.

    R4's parameters never change, so counting them in sorted order numbers them the same for ever.
    """
    wanted: dict[str, dict[str, definitions.SearchParameter]] = {t: {} for t in sorted(definitions.RESOURCE_TYPES)}
    for published in definitions.search_parameters():
        for base in published.base:
            for type_name in concrete(base):
                wanted[type_name][published.code] = published
    tables: dict[str, Table] = {}
    type_numbers: dict[str, str] = {}
    count = 0
    for type_name, by_code in wanted.items():
        type_numbers[type_name] = number_text(count)
        numbered = enumerate(sorted(by_code), count + 1)
        own = {code: _parameter(type_name, by_code[code], number_text(offset)) for offset, code in numbered}
        tables[type_name] = MappingProxyType(own)
        count += len(by_code) + 1
    return tables, type_numbers


def concrete(base: str) -> tuple[str, ...]:
    """The resource types that a base stands for: `Resource` for all, `DomainResource` for those with a narrative."""
    if base not in ("Resource", "DomainResource"):
        return (base,)
    every = sorted(definitions.RESOURCE_TYPES)
    return tuple(t for t in every if base == "Resource" or definitions.type_definition(t).base == base)


def _parameter(type_name: str, published: definitions.SearchParameter, number: str) -> SearchParameter:
    return SearchParameter(
        resource_type=type_name,
        code=published.code,
        type=published.type,
        number=number,
        expression=published.expression,
        url=published.url,
        targets=published.target,
        components=tuple((part.definition, part.expression) for part in published.component),
        description=published.description,
    )


def published(resource_type: str) -> Table:
    """Code → parameter, those of R4 alone; KeyError for what is no concrete resource type."""
    return _published()[0][resource_type]


def type_number(resource_type: str) -> str:
    """The number of the type itself: the key that every resource of the type carries."""
    return _published()[1][resource_type]


# ---- all that there are now --------------------------------------------------------------------------


@dataclass(slots=True)
class _Installed:
    generation: int = 0
    tables: dict[str, Table] = field(default_factory=dict)  # of the types that have custom parameters
    retired: dict[str, tuple[SearchParameter, ...]] = field(default_factory=dict)
    declared: dict[tuple[str, str], str] = field(default_factory=dict)
    progress: dict[str, str] = field(default_factory=dict)


_now = _Installed()
_changes = 0
_kept: list[Callable[[], None]] = []


def parameters(resource_type: str) -> Table:
    """Code → parameter of a concrete resource type, those of every resource (`_tag` …) included; KeyError."""
    return _now.tables.get(resource_type) or _published()[0][resource_type]


def find(resource_type: str, code: str) -> SearchParameter | None:
    """The parameter of this type with this code, if there is one."""
    return parameters(resource_type).get(code)


def by_url(resource_type: str, url: str) -> SearchParameter | None:
    """The parameter of this type that has this canonical URL, or that a resource with this URL declares once more."""
    for one in parameters(resource_type).values():
        if url in (one.url, _now.declared.get((resource_type, one.code))):
            return one
    return None


def retired(resource_type: str) -> tuple[SearchParameter, ...]:
    """Parameters that are no longer searched by here, while other processes may not know it: still written."""
    return _now.retired.get(resource_type, ())


def declared(resource_type: str, code: str) -> str:
    """The canonical URL of the resource that declares one of R4's parameters once more, meaning the same; or ""."""
    return _now.declared.get((resource_type, code), "")


def progress(resource_type: str) -> str:
    """How far the reindex of the type is, in words."""
    return _now.progress.get(resource_type, "see $reindex")


def generation() -> int:
    """Which state of the custom parameters is installed; it grows with every change of the database's."""
    return _now.generation


def changes() -> int:
    """A number that is another one after each change: what is made of the parameters can be kept under it."""
    return _changes


def install(
    generation: int,
    custom: Iterable[SearchParameter],
    *,
    retired: Iterable[SearchParameter] = (),
    declared: Mapping[tuple[str, str], str] | None = None,
) -> None:
    """Let exactly these be the custom parameters; one with the code of a published parameter is left out."""
    tables: dict[str, dict[str, SearchParameter]] = {}
    for one in custom:
        own = published(one.resource_type)
        if one.code not in own:
            tables.setdefault(one.resource_type, dict(own))[one.code] = one
    gone: dict[str, tuple[SearchParameter, ...]] = {}
    for one in retired:
        gone[one.resource_type] = (*gone.get(one.resource_type, ()), one)
    proxies: dict[str, Table] = {name: MappingProxyType(table) for name, table in tables.items()}
    _put(_Installed(generation, proxies, gone, dict(declared or {}), _now.progress))


def note_progress(progress: Mapping[str, str]) -> None:
    """Remember, for messages, how far the reindex of each type is."""
    _now.progress = dict(progress)


@contextmanager
def trial(custom: Iterable[SearchParameter]) -> Iterator[None]:
    """As if these were the custom parameters, for as long as the block lasts; it must not await."""
    before = _now
    install(before.generation, custom, declared=before.declared)
    try:
        yield
    finally:
        _put(before)


def _put(installed: _Installed) -> None:
    global _now, _changes
    _now = installed
    _changes += 1
    for forget in _kept:
        forget()


def kept(function: Callable[[Key], Value]) -> Callable[[Key], Value]:
    """`functools.cache` for what is made of the parameters: forgotten when they change."""
    remembering = cache(function)
    _kept.append(remembering.cache_clear)
    return remembering


def by_number() -> Mapping[str, SearchParameter]:
    """Number → parameter, for reading stored keys."""
    return _by_number("")


@kept
def _by_number(_: str) -> Mapping[str, SearchParameter]:
    return {p.number: p for name in _published()[0] for p in (*parameters(name).values(), *retired(name))}
