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

    def resolve(self, link: str, full_url: str | None) -> str | None:
        """Where a link in the entry `full_url` leads; None when it does not lead into this Bundle.

        A relative link is completed by the base of the entry it stands in.
        """
        target = self._by_url.get(link)
        if target is None and self._by_local and full_url and (own := _RESTFUL.match(full_url)):
            return self._by_local.get((own["base"], link))
        return target


def rewrite(
    resource: Json, full_url: str | None, targets: Targets, conditional: Mapping[str, str], unresolved: set[str]
) -> Json:
    """The resource with links into the Bundle and conditional references replaced; the input stays as it is.

    Conditional references (`Patient?identifier=…`) that `conditional` does not name are added to `unresolved`.
    """

    def walk(value: Json, type_name: str) -> Json:
        elements = _elements(value.get("resourceType", type_name))
        result: Json = {}
        for name, child in value.items():
            kind = type(child)
            if kind is str:
                result[name] = link(name, child, elements)
            elif kind is dict:
                result[name] = walk(child, elements.get(name, ""))
            elif kind is list:
                result[name] = [
                    walk(item, elements.get(name, ""))
                    if type(item) is dict
                    else link(name, item, elements)
                    if type(item) is str
                    else item
                    for item in child
                ]
            else:
                result[name] = child
        return result

    def link(name: str, text: str, elements: Mapping[str, str]) -> str:
        if name == "reference":
            return reference(text)
        if name == "div":
            return _HREF.sub(lambda m: f"{m[1]}={m[2]}{targets.resolve(m[3], full_url) or m[3]}{m[2]}", text)
        # A string that happens to equal a fullUrl is a link only where the definitions say so.
        target = targets.resolve(text, full_url)
        return target if target is not None and elements.get(name) in _LINKS else text

    def reference(text: str) -> str:
        target = targets.resolve(text, full_url) or conditional.get(text)
        if target is not None:
            return target
        if CONDITIONAL.match(text):
            unresolved.add(text)
        elif "#" in text[1:]:
            whole, _, fragment = text.partition("#")
            target = targets.resolve(whole, full_url)
            return f"{target}#{fragment}" if target else text
        return text

    return walk(resource, resource.get("resourceType", ""))


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
