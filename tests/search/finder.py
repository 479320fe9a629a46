"""Searching a handful of resources without a database: extract, parse, compile, and judge in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from fhir_server.outcomes import FhirError
from fhir_server.search.compile import compile, count_filter
from fhir_server.search.extract import extract
from fhir_server.search.memory import matches
from fhir_server.search.parse import parse
from fhir_server.search.query import Query
from fhir_server.search.types.date import period

Json = dict[str, Any]
Result = TypeVar("Result")
BASE = "http://example.org/fhir"


def envelope(resource: Json, *, base: str = BASE, stamp: int = 0) -> Json:
    """The document that storage keeps of a resource."""
    index = extract(resource, base_url=base)
    updated = resource.get("meta", {}).get("lastUpdated", "2020-01-01T00:00:00Z")
    key = f"{resource['resourceType']}/{resource['id']}"
    document = {"_id": key, "ty": resource["resourceType"], "v": 1, "t": stamp, "u": period(updated)[0]}
    return {**document, **index.document()}


def query(search: str, **options: Any) -> Query:
    """Parse `Type?name=value`; with nothing before the question mark, all types."""
    resource_type, _, text = search.partition("?")
    # Only percent escapes are decoded, as the HTTP layer does with a plus in a time zone.
    pairs = parse_qsl(text.replace("+", "%2B"), keep_blank_values=True)
    return parse(resource_type or None, pairs, **{"base_url": BASE, **options})


def attempt(action: Callable[[], Result]) -> Result | FhirError:
    """What the action gives, or its refusal; any other exception passes through."""
    try:
        return action()
    except FhirError as refusal:
        return refusal


def find(asked: Query, documents: list[Json]) -> set[str]:
    """The "Type/id" of what fits; counting must agree with finding."""
    found = {document["_id"] for document in documents if matches(compile(asked).filter, document)}
    assert found == {document["_id"] for document in documents if matches(count_filter(asked), document)}
    return found
