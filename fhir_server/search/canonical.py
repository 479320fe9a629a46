"""Canonical URLs: how a resource is found by its own, https://hl7.org/fhir/R4/references.html#canonical."""

from __future__ import annotations

from fhir_server.definitions import type_definition
from fhir_server.search.fields import fields


def url_number(resource_type: str) -> str:
    """The number of the keys that hold the type's `url`, and `url|version`; "" for types that have none."""
    if "url" not in type_definition(resource_type).elements:
        return ""
    field = fields(resource_type).get("url")
    return field.sources[0].number if field is not None else ""
