"""Compares a server's answers with the oracle's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode, urljoin

import httpx

from fhir_server.definitions import RESOURCE_TYPES
from tests.oracle.expressions import Json
from tests.oracle.includes import included
from tests.oracle.oracle import Oracle

Search = Callable[[str, list[tuple[str, str]]], set[str]]
SearchWithIncludes = Callable[[str, list[tuple[str, str]]], tuple[set[str], set[str]]]
Query = tuple[str, list[tuple[str, str]]]


class NotSupported(Exception):
    """The server refuses a query with the issue code not-supported; the message is its diagnostics."""


@dataclass(frozen=True)
class Disagreement:
    """A query, the resources that should have been found and were not, and those that should not have been."""

    path: str
    pairs: tuple[tuple[str, str], ...]
    missing: frozenset[str] = frozenset()
    extra: frozenset[str] = frozenset()
    error: str = ""
    refused: str = ""  # what the server said when it does not support the query

    def __str__(self) -> str:
        said = [f"{self.path}?" + "&".join(f"{name}={value}" for name, value in self.pairs)]
        if self.error:
            said.append(f"  error: {self.error}")
        for what, keys in (("missing", self.missing), ("extra", self.extra)):
            if keys:
                said.append(f"  {what} {len(keys)}: {', '.join(sorted(keys)[:5])}")
        return "\n".join(said)


def compare(search: Search, resources: Mapping[str, Json] | Oracle, queries: Iterable[Query]) -> list[Disagreement]:
    """The queries for which `search` finds other resources than the oracle; an exception counts as an answer."""
    oracle = resources if isinstance(resources, Oracle) else Oracle(resources)
    return [found for path, pairs in queries if (found := disagreement(search, oracle, path, pairs))]


def disagreement(search: Search, oracle: Oracle, path: str, pairs: list[tuple[str, str]]) -> Disagreement | None:
    """One query's disagreement, None when both find the same."""
    expected = oracle.search(path, pairs) - oracle.unsure
    try:
        found = search(path, pairs) - oracle.unsure
    except NotSupported as error:
        return Disagreement(path, tuple(pairs), error=str(error), refused=str(error))
    except Exception as error:
        return Disagreement(path, tuple(pairs), error=f"{type(error).__name__}: {error}")
    if found == expected:
        return None
    return Disagreement(path, tuple(pairs), frozenset(expected - found), frozenset(found - expected))


def included_otherwise(
    search: SearchWithIncludes, oracle: Oracle, path: str, pairs: list[tuple[str, str]]
) -> Disagreement | None:
    """One query's disagreement in what its includes bring, None when both bring the same."""
    expected = included(oracle, oracle.search(path, pairs), pairs)
    try:
        _, found = search(path, pairs)
    except NotSupported as error:
        return Disagreement(path, tuple(pairs), error=str(error), refused=str(error))
    except Exception as error:
        return Disagreement(path, tuple(pairs), error=f"{type(error).__name__}: {error}")
    if found == expected:
        return None
    return Disagreement(path, tuple(pairs), frozenset(expected - found), frozenset(found - expected))


class Server:
    """A FHIR server over HTTP, read by its own searches and paging."""

    def __init__(self, base: str, token: str = "") -> None:
        self.base = base.rstrip("/")
        headers = {"Accept": "application/fhir+json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._client = httpx.Client(headers=headers, timeout=60)

    def search(self, path: str, pairs: list[tuple[str, str]]) -> set[str]:
        """The keys that match; httpx.HTTPStatusError with what the server says when it refuses."""
        return self.search_with_includes(path, pairs)[0]

    def search_with_includes(self, path: str, pairs: list[tuple[str, str]]) -> tuple[set[str], set[str]]:
        """The keys that match, and those that were included."""
        by_mode: dict[str, set[str]] = {"match": set(), "include": set()}
        for entry in self._entries(path, [*pairs, ("_count", "1000"), ("_elements", "id"), ("_total", "none")]):
            by_mode.setdefault(entry["search"]["mode"], set()).add(_key(entry["resource"]))
        return by_mode["match"], by_mode["include"]

    def resources(self) -> dict[str, Json]:
        """Every resource of every type."""
        found: dict[str, Json] = {}
        for type_name in sorted(RESOURCE_TYPES - {"Parameters"}):
            for entry in self._entries(type_name, [("_count", "200"), ("_total", "none")]):
                found[_key(entry["resource"])] = entry["resource"]
        return found

    def _entries(self, path: str, pairs: list[tuple[str, str]]) -> Iterator[Json]:
        url: str | None = f"{self.base}/{path}".rstrip("/") + "?" + urlencode(pairs)
        while url:
            bundle = self._get(url)
            for entry in bundle.get("entry", ()):
                if entry["search"]["mode"] != "outcome":
                    yield entry
            following = [each["url"] for each in bundle.get("link", ()) if each["relation"] == "next"]
            url = urljoin(url, following[0]) if following else None

    def _get(self, url: str) -> Any:
        answer = self._client.get(url)
        if answer.status_code == 400:
            issue = answer.json().get("issue", [{}])[0]
            if issue.get("code") == "not-supported":
                raise NotSupported(issue.get("diagnostics", ""))
        if answer.is_error:
            raise httpx.HTTPStatusError(
                f"{answer.status_code} {answer.text[:300]}", request=answer.request, response=answer
            )
        return json.loads(answer.content, parse_float=Decimal)


def _key(resource: Json) -> str:
    return f"{resource['resourceType']}/{resource['id']}"
