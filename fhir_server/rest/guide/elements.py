"""The elements that a profile constrains, as rows of a table; what it leaves open is filled in from R4."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

from fhir_server import definitions, json
from fhir_server.definitions import ElementDefinition

Json = dict[str, Any]
Shown = Callable[[str], str]

_LIMITS = ("minLength", "maxLength", "minValue", "maxValue")


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of one element, as HTML."""

    name: str
    flags: str
    cardinality: str
    types: str
    rules: str


def rows(profile: Json, shown: Shown) -> Iterator[Row]:
    """A row for each element of the differential but the resource itself."""
    for element in profile["differential"]["element"]:
        if "." in element["path"]:
            base = published(element["path"])
            flags = ("S" if element.get("mustSupport") else "") + (" ?!" if element.get("isModifier") else "")
            yield Row(
                _name(element), flags, _cardinality(element, base), _types(element, base, shown), _rules(element, shown)
            )


def published(path: str) -> list[ElementDefinition]:
    """R4's definitions of the element, one for each type of a choice; none where the path goes into an extension."""
    name, *steps = path.split(".")
    found: list[ElementDefinition] = []
    for step in steps:
        if name not in definitions.type_names():
            return []
        properties = definitions.type_definition(name).properties
        found = [one for one in properties if step in (one.name, one.path.rpartition(".")[2])]
        if not found:
            return []
        name = found[0].type
    return found


def _name(element: Json) -> str:
    *before, last = element["id"].split(".")
    name, _, slice_name = last.partition(":")
    indent = f'<span class="quiet">{"· " * (len(before) - 1)}</span>'
    return indent + escape(name) + (f" : {escape(slice_name)}" if slice_name else "")


def _cardinality(element: Json, base: list[ElementDefinition]) -> str:
    low, high = element.get("min"), element.get("max")
    if base:
        low = base[0].min if low is None else low
        high = ("*" if base[0].max is None else str(base[0].max)) if high is None else high
    return (
        escape(f"{'' if low is None else low}..{'' if high is None else high}") if (low, high) != (None, None) else ""
    )


def _types(element: Json, base: list[ElementDefinition], shown: Shown) -> str:
    if "type" not in element:
        return ", ".join(_type(one.type, one.targets) for one in base)
    found = []
    for one in element["type"]:
        targets = [_short(url, shown) for url in one.get("targetProfile", ())]
        profiles = [_short(url, shown) for url in one.get("profile", ())]
        inside = f" ({' | '.join(targets)})" if targets else ""
        found.append(escape(one["code"]) + inside + "".join(f"<br>{profile}" for profile in profiles))
    return ", ".join(found)


def _short(url: str, shown: Shown) -> str:
    """HL7's own by their last name, which the JSON below spells out."""
    return escape(url.rpartition("/")[2]) if url.startswith("http://hl7.org/fhir/") else shown(url)


def _type(name: str, targets: tuple[str, ...]) -> str:
    shown = "BackboneElement" if "." in name else name
    return escape(f"{shown} ({' | '.join(targets)})" if targets else shown)


def _plain(value: Any) -> str:
    """A fixed value or pattern in short: a code with its system, or the JSON."""
    coding = value.get("coding", [value])[0] if isinstance(value, dict) else None
    if coding is not None and coding.keys() <= {"system", "code"}:
        system = coding.get("system", "").rpartition("/")[2]
        return f"<code>{escape(coding.get('code', ''))}</code>{f' of {escape(system)}' if system else ''}"
    text = value if isinstance(value, str) else json.encode(value).decode()
    return f"<code>{escape(text, quote=False)}</code>"


def _rules(element: Json, shown: Shown) -> str:
    found = [escape(element[key]) for key in ("short",) if key in element]
    if slicing := element.get("slicing"):
        by = ", ".join(f"{one['type']} of {one['path']}" for one in slicing.get("discriminator", ()))
        found.append(escape(f"Slices by {by or 'position'}, {slicing.get('rules', 'open')}"))
    for key, value in element.items():
        if key.startswith(("fixed", "pattern")) or key in _LIMITS:
            is_part = key.startswith("pattern") and isinstance(value, dict)
            word = key if key in _LIMITS else "At least" if is_part else "Always"
            found.append(f"{word} {_plain(value)}")
    if binding := element.get("binding"):
        found.append(f"{escape(binding['strength'].capitalize())} {shown(binding.get('valueSet', ''))}")
    found += [f"Rule {escape(rule['key'])}" for rule in element.get("constraint", ())]
    return "<br>".join(found)
