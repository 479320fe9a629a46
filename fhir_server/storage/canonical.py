"""The stored resources of a canonical URL, the best first: https://hl7.org/fhir/R4/references.html#canonical"""

from __future__ import annotations

import re
from typing import Any

from fhir_server.access import Principal
from fhir_server.search.compile import compile
from fhir_server.search.parse import parse
from fhir_server.storage.repository import Repository
from fhir_server.storage.stored import Stored

MAX_VERSIONS = 20  # of one canonical URL that are compared
Rank = tuple[bool, tuple[tuple[int, str], ...], int]


async def canonical(repository: Repository, principal: Principal, type_: str, reference: str) -> list[Stored]:
    """Those with this URL (and version, in `url|version`): active before others, then the latest, retired ones last."""
    url, _, version = reference.partition("|")
    if not url:
        return []
    pairs = [("url", _escaped(url))] + ([("version", _escaped(version))] if version else [])
    asked = compile(parse(type_, pairs, base_url=""))
    found = await repository.find(principal, asked.filter, sort=asked.sort, limit=MAX_VERSIONS)
    ranked = []
    for stored in found:
        one = stored.resource()
        if one.get("url") == url and version in ("", one.get("version", "")):
            ranked.append((rank(one.get("status", ""), one.get("version", ""), stored.updated), stored))
    return [stored for _, stored in sorted(ranked, key=lambda pair: pair[0], reverse=True)]


def rank(status: Any, version: Any, updated: int) -> Rank:
    """Active before others, then the latest by its version ("2.10" after "2.9", "3" after "3-beta"), then by change."""
    parts = re.findall(r"[0-9]+|[^0-9.]+", str(version)[:64])
    numbers = [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
    return status == "active", (*numbers, (0, "")), updated


def _escaped(text: str) -> str:
    return re.sub(r"([\\,$|])", r"\\\1", text)
