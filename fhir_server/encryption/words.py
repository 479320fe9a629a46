"""A resource without what people wrote in it: what events on sockets may tell of something sensitive."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

# Elements of free text, or of content, in whatever resource they are.
_WORDS = frozenset(
    {
        "text",
        "display",
        "title",
        "description",
        "div",
        "note",
        "comment",
        "summary",
        "conclusion",
        "patientInstruction",
        "data",
        "url",
        "contained",
    }
)
_VALUES = ("value", "content")  # of a choice: valueString, contentString, contentAttachment …
_KEPT = ("Reference", "Coding", "CodeableConcept", "Code", "Boolean")


def without_words(resource: Any) -> Any:
    """The same with ids, references, codes, states and times only; what held but words is empty."""
    if isinstance(resource, list):
        return [without_words(one) for one in resource]
    if not isinstance(resource, dict):
        return resource
    # An extension is told by its url.
    kept = {name: value for name, value in resource.items() if not _is_words(name) or _is_extension(name, resource)}
    return {name: without_words(value) for name, value in kept.items()}


def _is_words(name: str) -> bool:
    if name in _WORDS or name.startswith("_"):
        return True
    return name.startswith(_VALUES) and name not in _VALUES and not name.endswith(_KEPT)


def _is_extension(name: str, element: Json) -> bool:
    return name == "url" and "contentType" not in element
