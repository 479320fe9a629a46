"""References: https://hl7.org/fhir/R4/search.html#reference"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from fhir_server.definitions import RESOURCE_TYPES
from tests.oracle.expressions import REFERENCE, Json, Node
from tests.oracle.tokens import Token, tokens


class Link(NamedTuple):
    """Where a reference points: a resource of this server ("Patient/1", contained ones "Claim/1#a") or a URL."""

    local: str = ""
    url: str = ""
    version: str = ""  # of the resource after /_history/, of a canonical after |
    canonical: bool = False
    nested: bool = False  # the resource is inside, so nothing is to be followed


def links(node: Node, key: str, bases: tuple[str, ...]) -> Iterator[Link]:
    """The links of a node in the resource `key`; `bases` are the URLs of this server."""
    match node.type:
        case "Reference":
            if node.value.get("reference"):
                yield link(node.value["reference"], key, bases)
        case "canonical":
            url, _, version = node.value.partition("|")
            local = link(node.value, key, bases).local
            yield Link(local, url, "" if local else version, canonical=True)
        case "uri" | "url":
            yield Link(url=node.value)
        case type_name if type_name in RESOURCE_TYPES and node.value.get("id"):
            yield Link(local=f"{type_name}/{node.value['id']}", nested=True)


def link(text: str, key: str, bases: tuple[str, ...]) -> Link:
    """The link of the text of a reference."""
    if text.startswith("#"):
        return Link(local=f"{key.partition('#')[0]}{text}")
    relative = next((text[len(base) + 1 :] for base in bases if text.startswith(f"{base}/")), text)
    match = REFERENCE.match(relative)
    if match and match[1] in RESOURCE_TYPES:
        return Link(local=f"{match[1]}/{match[2]}", version=match[3] or "")
    return Link(url=text)


def points_to(text: str, version: str, type_name: str, bases: tuple[str, ...]) -> Callable[[Link], bool]:
    """Whether a link is the one asked for: an id, Type/id or a URL; a version only counts when it is asked for.

    `version` is what follows | in the search; `type_name` is of the modifier `:[type]`, else "".
    """
    wanted = link(text, "", bases)
    if version:
        return lambda value: value.url == text and value.version == version
    if type_name and not wanted.local and "/" not in text:
        wanted = Link(local=f"{type_name}/{text}")
    if type_name and not wanted.local.startswith(f"{type_name}/"):
        return lambda value: False
    if wanted.local:
        return lambda value: value.local == wanted.local and wanted.version in ("", value.version)
    if "/" not in text and ":" not in text:
        return lambda value: value.local.endswith(f"/{text}") and "#" not in value.local
    return lambda value: value.url == text


def identifiers(node: Node) -> Iterator[Token]:
    """What `:identifier` searches: the identifier of a Reference."""
    if node.type == "Reference" and "identifier" in node.value:
        yield from tokens(Node("Identifier", node.value["identifier"]))


def listed(resource: Json, bases: tuple[str, ...]) -> set[str]:
    """The resources in a List's entries, without those marked as deleted from it."""
    entries = [each["item"] for each in resource.get("entry", ()) if "item" in each and not each.get("deleted")]
    return {link(each.get("reference", ""), "", bases).local for each in entries} - {""}
