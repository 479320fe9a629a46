"""Links between the entries of a transaction, rewritten to where the resources end up.

https://hl7.org/fhir/R4/http.html#trules · https://hl7.org/fhir/R4/bundle.html#references
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fhir_server.definitions import type_definition

Json = dict[str, Any]

_LINKS = frozenset({"uri", "url", "oid", "uuid"})
_HREF = re.compile(r"""\b(href|src)=(["'])(.*?)\2""")
_RESTFUL = re.compile(r"^(?P<base>https?://.+)/(?P<local>[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})$")
CONDITIONAL = re.compile(r"^[A-Z][A-Za-z]+\?.+")


class Targets:
    """Where each fullUrl of a Bundle ends up, as "Type/id"."""

    def __init__(self) -> None:
        self._by_url: dict[str, str] = {}
        self._by_local: dict[tuple[str, str], str] = {}

    def add(self, full_url: str, target: str) -> None:
        """A resource known in the Bundle as `full_url` is stored as `target`."""
        self._by_url[full_url] = target
        if found := _RESTFUL.match(full_url):
            self._by_local[found["base"], found["local"]] = target

    def links(self) -> frozenset[str]:
        """Every string that may lead into this Bundle."""
        return frozenset(self._by_url).union(local for _, local in self._by_local)

    def resolve(self, link: str, full_url: str | None) -> str | None:
        """Where a link in the entry `full_url` leads; None when it does not lead into this Bundle.

        A relative link is completed by the base of the entry it stands in.
        """
        target = self._by_url.get(link)
        if target is None and self._by_local and full_url and (own := _RESTFUL.match(full_url)):
            return self._by_local.get((own["base"], link))
        return target


class Rewriting:
    """The links of one Bundle's resources, replaced where they stand; `undo` puts back what was there.

    In place, since copying every resource would cost a third of a whole import. Conditional references
    (`Patient?identifier=…`) that `conditional` does not name are gathered in `unresolved`.
    """

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._links = targets.links()
        self._full_url: str | None = None
        self._conditional: Mapping[str, str] = {}
        self._undo: list[tuple[Any, Any, str]] = []
        self.unresolved: set[str] = set()

    def rewrite(self, resource: Json, full_url: str | None, conditional: Mapping[str, str]) -> None:
        """Replace the links of a resource that stands in the Bundle as `full_url`."""
        self._full_url, self._conditional, self.unresolved = full_url, conditional, set()
        self._walk(resource, "")

    def undo(self) -> None:
        """Make every resource what it was."""
        while self._undo:
            container, place, text = self._undo.pop()
            container[place] = text

    def _walk(self, value: Json, type_name: str) -> None:
        declared = value.get("resourceType")
        # What comes in is not validated yet: any element may be of any JSON type.
        elements = _elements(declared if type(declared) is str else type_name)
        links = self._links
        for name, child in value.items():
            kind = type(child)
            if kind is str:
                if name == "reference" or name == "div" or child in links:
                    self._replace(value, name, self._link(name, child, elements))
            elif kind is dict:
                self._walk(child, elements.get(name, ""))
            elif kind is list:
                for place, item in enumerate(child):
                    if type(item) is dict:
                        self._walk(item, elements.get(name, ""))
                    elif type(item) is str and item in links:
                        self._replace(child, place, self._link(name, item, elements))

    def _replace(self, container: Any, place: Any, text: str) -> None:
        before = container[place]
        if text is not before:
            self._undo.append((container, place, before))
            container[place] = text

    def _link(self, name: str, text: str, elements: Mapping[str, str]) -> str:
        if name == "reference":
            return self._reference(text)
        if name == "div":
            return _HREF.sub(lambda m: f"{m[1]}={m[2]}{self._resolve(m[3]) or m[3]}{m[2]}", text)
        # A string that happens to equal a fullUrl is a link only where the definitions say so.
        return (self._resolve(text) or text) if elements.get(name) in _LINKS else text

    def _reference(self, text: str) -> str:
        target = self._resolve(text) or self._conditional.get(text)
        if target is not None:
            return target
        if CONDITIONAL.match(text):
            self.unresolved.add(text)
        elif "#" in text[1:]:
            whole, _, fragment = text.partition("#")
            target = self._resolve(whole)
            return f"{target}#{fragment}" if target else text
        return text

    def _resolve(self, link: str) -> str | None:
        return self._targets.resolve(link, self._full_url)


_cache: dict[str, dict[str, str]] = {}


def _elements(type_name: str) -> dict[str, str]:
    """JSON property → type name; empty for a name that is no type."""
    found = _cache.get(type_name)
    if found is None:
        try:
            definition = type_definition(type_name)
        except KeyError:
            return {}
        found = _cache[type_name] = {name: element.type for name, element in definition.elements.items()}
    return found
