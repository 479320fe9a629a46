"""One ElementDefinition of the base and one of the differential → that of the snapshot.

https://hl7.org/fhir/R4/elementdefinition.html#interpretation
"""

from __future__ import annotations

from typing import Any

from fhir_server.json import Json

EXTENSIONS = ("extension", "modifierExtension")
_OWN = frozenset(("id", "path", "base"))  # of the snapshot, whatever a differential says
_ACCUMULATED = frozenset(("condition", "alias", "code", "mapping", "example"))
_PROSE = frozenset(("definition", "comment", "requirements"))
_CONTINUED = "..."
_SINGLE = ("fixed", "pattern", "minValue", "maxValue", "defaultValue")  # choices: one value replaces another


def merged(base: Json, change: Json, source: str) -> Json:
    """`base` with `change` applied: lists of rules grow, everything else is replaced. Neither is changed.

    `source` is the URL of the profile, for the constraints it adds.
    """
    result = {name: value for name, value in base.items() if not _replaced(name, change)}
    for name, value in change.items():
        if name in _OWN:
            continue
        if name == "constraint":
            result[name] = _constraints(base.get(name, []), value, source)
        elif name in _ACCUMULATED:
            result[name] = [*base.get(name, ()), *(one for one in value if one not in base.get(name, ()))]
        elif name in _PROSE and isinstance(value, str) and value.startswith(_CONTINUED):
            result[name] = f"{base.get(name, '')}\n{value.removeprefix(_CONTINUED)}".lstrip("\n")
        elif name in ("slicing", "binding"):
            result[name] = {**base.get(name, {}), **value}
        else:
            result[name] = value
    return result


def _replaced(name: str, change: Json) -> bool:
    return any(name.startswith(stem) and any(other.startswith(stem) for other in change) for stem in _SINGLE)


def _constraints(base: list[Json], added: list[Json], source: str) -> list[Json]:
    keys = {one.get("key") for one in added}
    kept = [one for one in base if one.get("key") not in keys]
    return [*kept, *({"source": source, **one} for one in added)]


def with_source(element: Json, source: str) -> Json:
    """An element of a base whose constraints say where they are from: without `source` that is the base itself."""
    if "constraint" not in element:
        return element
    return {**element, "constraint": _constraints([], element["constraint"], source)}


def with_base(element: Json, path: str) -> Json:
    """An element that no base has: it is its own base."""
    return {**element, "base": {"path": path, "min": element.get("min", 0), "max": element.get("max", "1")}}


def implicit_slicing(name: str) -> Json | None:
    """The slicing that need not be said: extensions by URL, choices by type."""
    discriminator: dict[str, Any]
    if name in EXTENSIONS:
        discriminator = {"type": "value", "path": "url"}
    elif name.endswith("[x]"):
        discriminator = {"type": "type", "path": "$this"}
    else:
        return None
    return {"discriminator": [discriminator], "ordered": False, "rules": "open"}
