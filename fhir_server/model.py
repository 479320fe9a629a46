"""Resources the server makes itself, built through the fhir.resources models.

The models are of R4B; what the server makes is the same in R4. A type's model takes 0.5 s to import the first
time, so it is imported when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

Json = dict[str, Any]


def build(resource: Json) -> bytes:
    """The JSON of this resource as its model writes it; pydantic.ValidationError when the model refuses it."""
    name = resource["resourceType"]
    model = getattr(import_module(f"fhir.resources.R4B.{name.lower()}"), name)
    return str(model.model_validate(resource).model_dump_json()).encode()
