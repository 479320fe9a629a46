"""CodeSystems and ValueSets without their prose: what expanding, validating and looking up codes needs.

What stays has the shape of the published JSON, so that built-in resources are read like stored ones.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_HEAD = ("resourceType", "url", "version", "name", "title", "status")
_CODE_SYSTEM = (*_HEAD, "caseSensitive", "valueSet", "hierarchyMeaning", "compositional", "content", "supplements")
_VALUE_SET = (*_HEAD, "immutable")
_COMPOSE = ("lockedDate", "inactive")
_CONTAINS = ("system", "abstract", "inactive", "version", "code", "display")


def code_system(published: Json) -> Json:
    """A CodeSystem with its concepts' codes, displays, properties and nesting; definitions are left out."""
    compact = only(published, _CODE_SYSTEM)
    if "property" in published:
        compact["property"] = [only(one, ("code", "uri", "type")) for one in published["property"]]
    if "concept" in published:
        compact["concept"] = [_concept(one) for one in published["concept"]]
    return compact


def _concept(published: Json) -> Json:
    compact = only(published, ("code", "display", "property"))
    if "concept" in published:
        compact["concept"] = [_concept(one) for one in published["concept"]]
    return compact


def value_set(published: Json) -> Json:
    """A ValueSet with its content logical definition, or else its expansion."""
    compact = only(published, _VALUE_SET)
    if "compose" in published:
        compose = only(published["compose"], _COMPOSE)
        for part in ("include", "exclude"):
            if part in published["compose"]:
                compose[part] = [_include(one) for one in published["compose"][part]]
        compact["compose"] = compose
    elif "expansion" in published:
        expansion = only(published["expansion"], ("timestamp", "total"))
        expansion["contains"] = [_contains(one) for one in published["expansion"].get("contains", ())]
        compact["expansion"] = expansion
    return compact


def _include(published: Json) -> Json:
    compact = only(published, ("system", "version", "filter", "valueSet"))
    if "concept" in published:
        compact["concept"] = [only(one, ("code", "display")) for one in published["concept"]]
    return compact


def _contains(published: Json) -> Json:
    compact = only(published, _CONTAINS)
    if "contains" in published:
        compact["contains"] = [_contains(one) for one in published["contains"]]
    return compact


def only(published: Json, names: tuple[str, ...]) -> Json:
    """What of the published JSON has these names, in their order."""
    return {name: published[name] for name in names if name in published}
