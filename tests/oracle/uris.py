"""URIs: https://hl7.org/fhir/R4/search.html#uri"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.oracle.expressions import Json, Node
from tests.oracle.query import NotASearch


class Uri(NamedTuple):
    """A URI; `version` is the business version of the resource whose canonical URL it is, or after | in a canonical."""

    value: str
    version: str = ""


def uris(node: Node, resource: Json) -> Iterator[Uri]:
    """The URI of a node."""
    if not isinstance(node.value, str):
        return
    if node.type == "canonical":
        value, _, version = node.value.partition("|")
        yield Uri(value, version)
    else:
        own = node.element is not None and node.element.path == f"{resource['resourceType']}.url"
        yield Uri(node.value, resource.get("version", "") if own else "")


def test(modifier: str, wanted: str, version: str) -> Callable[[Uri], bool]:
    """Exact, or with :above and :below whether one begins with the other: for URLs, not for URNs."""
    match modifier:
        case "":
            return lambda uri: uri.value == wanted and version in ("", uri.version)
        case "below":
            return lambda uri: uri.value == wanted or (_is_url(wanted) and uri.value.startswith(wanted))
        case "above":
            return lambda uri: uri.value == wanted or (_is_url(uri.value) and wanted.startswith(uri.value))
    raise NotASearch(f":{modifier} on a uri")


def _is_url(text: str) -> bool:
    return not text.startswith("urn:")
