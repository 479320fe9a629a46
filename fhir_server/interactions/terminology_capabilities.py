"""What this server can do with codes: https://hl7.org/fhir/R4/terminologycapabilities.html"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import msgspec

from fhir_server import definitions
from fhir_server.context import Context
from fhir_server.outcomes import Unavailable
from fhir_server.registry import registry
from fhir_server.search.compile import compile
from fhir_server.search.fields import fields
from fhir_server.search.keys import MAX_BEGINNING
from fhir_server.search.parse import parse
from fhir_server.storage.repository import Repository
from fhir_server.terminology.known import formed_systems

Json = dict[str, Any]

MAX_SYSTEMS = 5_000  # stored ones that are told of

_LISTED = frozenset({"complete", "fragment", "example"})
_TEXT_FILTER = (
    "Words of the display, the designations and the code are found by their beginning, whatever their case; "
    "of several words all must be found."
)


class Known(NamedTuple):
    """A code system in one version whose codes are here."""

    url: str
    version: str = ""


def terminology_capabilities(stored: Iterable[Known] = ()) -> Json:
    """The statement without its head; `stored` are the code systems that are not published with R4."""
    statement: Json = {
        "description": "The code systems of R4, v2 and v3, those whose codes have a form (units, languages, media "
        "types …), and those that are stored here. Value sets and concept maps are stored or published with R4.",
        "codeSystem": _code_systems([*_published(), *map(Known, formed_systems()), *stored]),
        "lockedDate": True,
        "codeSearch": "all",
    }
    if "expand" in registry.operations:
        statement["expansion"] = {
            "hierarchical": False,
            "paging": True,
            "incomplete": True,
            "parameter": [{"name": name} for name in _expansion_parameters()],
            "textFilter": _TEXT_FILTER,
        }
    if "validate-code" in registry.operations:
        statement["validateCode"] = {"translations": True}
    if "translate" in registry.operations:
        statement["translation"] = {"needsMap": True}
    if "closure" in registry.operations:
        statement["closure"] = {"translation": False}
    return statement


def _code_systems(known: Iterable[Known]) -> list[Json]:
    versions: dict[str, set[str]] = defaultdict(set)
    for one in known:
        versions[one.url] |= {one.version} - {""}
    return [
        {"uri": url, **({"version": [{"code": code} for code in sorted(codes)]} if codes else {})}
        for url, codes in sorted(versions.items())
    ]


def _expansion_parameters() -> list[str]:
    """The published ones, and the one of other servers: all are honoured, `date` for today only."""
    published = next(one for one in definitions.operations() if one.code == "expand")
    names = [one.name for one in published.parameter if one.use == "in"]
    return [*names, "limitedExpansion", "property"]


class _Head(msgspec.Struct):
    version: str = ""
    content: str = ""


@cache
def _published() -> tuple[Known, ...]:
    found = []
    for url in sorted(definitions.code_system_urls()):
        text = definitions.code_system(url)
        head = msgspec.json.decode(text, type=_Head) if text is not None else _Head()
        if head.content in _LISTED:
            found.append(Known(url, head.version))
    return tuple(found)


async def stored_code_systems(ctx: Context) -> tuple[Known, ...]:
    """The stored code systems that have codes, up to MAX_SYSTEMS; none while the search index is being rebuilt.

    Remembered until a definition changes.
    """
    generation, caller = await ctx.repository.definitions_generation(), ctx.principal.fingerprint()
    kept = _kept.get(ctx.repository)
    if kept is None or kept[:2] != (generation, caller):
        try:
            kept = _kept[ctx.repository] = generation, caller, await _stored(ctx)
        except Unavailable:
            return ()
    return kept[2]


_kept: WeakKeyDictionary[Repository, tuple[int, str, tuple[Known, ...]]] = WeakKeyDictionary()


async def _stored(ctx: Context) -> tuple[Known, ...]:
    """Read from their search keys: their texts can be large, and are many."""
    marks = _mark("url"), _mark("content-mode")
    kept = {"$or": [{"$eq": [{"$substrCP": ["$$this", 0, len(mark)]}, mark]} for mark in marks]}
    stages: list[Json] = [
        {"$limit": MAX_SYSTEMS},
        {"$project": {"k": {"$filter": {"input": "$k", "cond": kept}}}},
    ]
    everything = compile(parse("CodeSystem", [], base_url=ctx.base_url)).filter
    rows = await ctx.repository.aggregate(ctx.principal, everything, stages)
    loaded = await ctx.repository.concepts.loads()
    return tuple(one for row in rows if (one := _known(row["k"], row["_id"] in loaded)) is not None)


def _mark(name: str) -> str:
    return f"{fields('CodeSystem')[name].sources[0].number}="


def _known(keys: list[str], loaded: bool) -> Known | None:
    """The code system of these search keys; None where its codes are not here, or its URL is cut."""
    url, content = _mark("url"), _mark("content-mode")
    urls = sorted((key.removeprefix(url) for key in keys if key.startswith(url)), key=len)
    listed = any(key.removeprefix(content) in _LISTED for key in keys if key.startswith(content))
    if not (listed or loaded) or not urls or len(urls[-1]) + len(url) > MAX_BEGINNING:
        return None
    # The second key is the canonical: url|version.
    return Known(urls[0], urls[-1].removeprefix(urls[0]).removeprefix("|"))
