"""Which slice an item is in: discriminators made into tests of an item, once for each profile.

https://hl7.org/fhir/R4/profiling.html#discriminator
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from fhir_server.definitions import type_definition
from fhir_server.fhirpath import Node, child
from fhir_server.terminology import Membership
from fhir_server.validation.profiles.profile import BY_TYPE, BY_URL, Discriminator, Element, Slicing, TypeRef
from fhir_server.validation.profiles.values import contains, equals
from fhir_server.validation.run import STEP, Run

Test = Callable[[Node, Run], bool]

_ABSTRACT = ("Element", "BackboneElement", "Resource", "DomainResource")
_STEP = re.compile(r"(?:[^.('\"]|\((?:[^()'\"]|'[^']*'|\"[^\"]*\")*\))+")
_CALL = re.compile(r"(\w+)\((?:'([^']*)'|([\w.]*))\)")


def slicing_of(group: Element) -> Slicing | None:
    """How the element is sliced; extensions are by url and choices by type also where that is not said."""
    if group.slicing is not None and group.slicing.discriminators:
        return group.slicing
    if group.name in ("extension", "modifierExtension"):
        return BY_URL if group.slicing is None else Slicing(BY_URL.discriminators, group.slicing.rules)
    if group.id.endswith("[x]"):
        return BY_TYPE if group.slicing is None else Slicing(BY_TYPE.discriminators, group.slicing.rules)
    return group.slicing


def belongs(item: Node, group: Element, one: Element, run: Run) -> bool:
    """Whether this item of the group is in the slice: all discriminators that the slice says something about fit."""
    run.spent(STEP)
    slicing = slicing_of(group)
    if slicing is None:
        return False
    answers = [_fits(item, one, discriminator, run) for discriminator in slicing.discriminators]
    said = [answer for answer in answers if answer is not None]
    return bool(said) and all(said)


def _fits(item: Node, one: Element, discriminator: Discriminator, run: Run) -> bool | None:
    """None when the slice says nothing about this discriminator."""
    path = discriminator.path
    match discriminator.type:
        case "type":
            return _fits_type(item, one, path, run)
        case "profile":
            return _fits_profile(item, one, path, run)
        case "exists":
            return _fits_existence(item, one, path, run)
        case "value" if path == "url" and one.types and one.types[0].code == "Extension" and one.types[0].profiles:
            url = item.value.get("url") if isinstance(item.value, dict) else None
            return url == one.types[0].profiles[0].partition("|")[0]
    said = definitions(one, path, run)
    if any(element.max == 0 for element in said):
        return not at(item, path, run)  # told from others by what it has not
    wanted = [test for test in (identity(element, run) for element in said) if test is not None]
    if not wanted:
        return None
    found = at(item, path, run)
    return all(any(test(node, run) for node in found) for test in wanted)


def _fits_type(item: Node, one: Element, path: str, run: Run) -> bool | None:
    if path.endswith("resolve()"):
        codes = {_type_name(url, run) for ref in _refs(one, path, run) for url in ref.targets} - {""}
        names = {target_type(node, run) for node in at(item, _owner(path), run)} - {""}
        return any(is_a(name, code) for name in names for code in codes)
    allowed = [element.type_codes() for element in definitions(one, path, run) if element.types]
    if not allowed:
        return None
    return any(
        all(any(has_type(node.type, code) for code in codes) for codes in allowed) for node in at(item, path, run)
    )


def _fits_profile(item: Node, one: Element, path: str, run: Run) -> bool | None:
    refs = _refs(one, path, run)
    urls = [url for ref in refs for url in (ref.targets if path.endswith("resolve()") else ref.profiles)]
    profiles = [profile for profile in map(run.profile, urls) if profile is not None]
    if not profiles:
        return None
    return any(run.conforms(node, profile) for node in at(item, path, run) for profile in profiles)


def _fits_existence(item: Node, one: Element, path: str, run: Run) -> bool | None:
    said = definitions(one, path, run)
    if not said:
        return None
    there = bool(at(item, path, run))
    if said[0].max == 0:
        return not there
    return there if said[0].min else None


def _refs(one: Element, path: str, run: Run) -> list[TypeRef]:
    return [ref for element in definitions(one, _owner(path), run) for ref in element.types]


def _owner(path: str) -> str:
    """The path to the reference that is resolved."""
    return path.removesuffix("resolve()").rstrip(".") or "$this"


def at(item: Node, path: str, run: Run) -> list[Node]:
    """What the path of a discriminator leads to."""
    if path == "$this":
        return [item]
    if re.fullmatch(r"[A-Za-z]+(\.[A-Za-z]+)*", path):
        found = [item]
        for step in path.split("."):
            found = [below for node in found for below in child(node, step)]
        return found
    return run.evaluate(path, item)


# ---- what a slice says at a path -------------------------------------------------------------------------------


def definitions(one: Element, path: str, run: Run) -> list[Element]:
    """The elements of the slice's definition that the path leads to: through its children, type profiles, targets."""
    found = [one]
    if path == "$this":
        return found
    for step in _STEP.findall(path):
        found = [below for element in found for below in _step(element, step, run)]
    return found


def _step(element: Element, step: str, run: Run) -> Iterable[Element]:
    call = _CALL.fullmatch(step)
    if call is not None:
        return _called(element, call[1], call[2] or call[3] or "", run)
    if step == "$this":
        return [element]
    own = [*_parts(element, step)]
    if step in element.children:
        below = element.children[step]
        own += [below, *(each for each in below.slices.values() if each.min)]  # what one of them must have
    roots = (run.profile(url) for ref in element.types for url in ref.profiles)
    return [*own, *(root.root.children[step] for root in roots if root is not None and step in root.root.children)]


def _called(element: Element, name: str, argument: str, run: Run) -> Iterable[Element]:
    match name:
        case "resolve":
            roots = (run.profile(url) for ref in element.types for url in ref.targets)
            return [root.root for root in roots if root is not None]
        case "extension":
            group = element.children.get("extension")
            return [] if group is None else [one for one in group.slices.values() if extension_url(one) == argument]
        case "ofType" | "as":
            typed = [one for one in element.slices.values() if argument in one.type_codes()]
            return typed or ([element] if argument in element.type_codes() else [])
    return [element]  # first(), where(): the same element


def _parts(element: Element, step: str) -> Iterable[Element]:
    """What a fixed or pattern value of the element says about its child."""
    for name in ("fixed", "pattern"):
        pair = getattr(element, name)
        value = pair[1].get(step) if pair is not None and isinstance(pair[1], dict) else None
        for one in value if isinstance(value, list) else [] if value is None else [value]:
            part = Element(id=f"{element.id}.{step}", name=step)
            setattr(part, name, ("", one))
            yield part


def extension_url(one: Element) -> str:
    for ref in one.types:
        for url in ref.profiles:
            return url
    child_url = one.children.get("url")
    return str(child_url.fixed[1]) if child_url is not None and child_url.fixed is not None else ""


def identity(element: Element, run: Run) -> Test | None:
    """The test of what tells a value of this element from others: fixed, pattern, required codes, in it and below."""
    tests: list[Test] = []
    if element.fixed is not None:
        fixed = element.fixed[1]
        tests.append(lambda node, run: equals(node.value, fixed))
    if element.pattern is not None:
        pattern = element.pattern[1]
        tests.append(lambda node, run: contains(node.value, pattern))
    for below in element.children.values():
        tests.extend(_identities_below(below, run))
    if not tests and element.binding is not None and element.binding.strength == "required":
        tests.append(_in_value_set(element.binding.value_set))
    return _all(tests) if tests else None


def _identities_below(below: Element, run: Run) -> list[Test]:
    tests = []
    inner = identity(below, run)
    if inner is not None and below.max != 0:
        tests.append(_has_child(below.name, inner, needed=below.min > 0))
    for one in below.slices.values():
        inner = identity(one, run) if one.min > 0 else None
        if inner is not None:
            tests.append(_has_child(below.name, inner, needed=True))
    return tests


def _has_child(name: str, test: Test, *, needed: bool) -> Test:
    def has(node: Node, run: Run) -> bool:
        found = child(node, name)
        return any(test(one, run) for one in found) if found else not needed

    return has


def _in_value_set(value_set: str) -> Test:
    return lambda node, run: Membership.YES in run.members(value_set, node)


def _all(tests: list[Test]) -> Test:
    return lambda node, run: all(test(node, run) for test in tests)


# ---- types -----------------------------------------------------------------------------------------------------


def is_a(name: str, code: str) -> bool:
    """Whether a type is this one, or a specialisation of it."""
    while name:
        if name == code:
            return True
        try:
            name = type_definition(name).base
        except KeyError:
            return False
    return False


def has_type(name: str, code: str) -> bool:
    """Whether a value of this type is one of the type that an element names: a code is no string there."""
    return name == code or (code in _ABSTRACT and is_a(name, code))


def target_type(reference: Node, run: Run) -> str:
    """The resource type that a Reference is to, as far as it says; "" when it does not."""
    value: Any = reference.value
    if not isinstance(value, dict):
        return ""
    literal = value.get("reference")
    if isinstance(literal, str):
        named = re.fullmatch(r"(?:.*/)?([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/.+)?", literal)
        if named:
            return named[1]
        for found in run.evaluate("resolve()", reference):
            return found.type
    said = value.get("type")
    return said if isinstance(said, str) else ""


def _type_name(url: str, run: Run) -> str:
    """The type that a profile is of."""
    known = run.profile(url)
    return known.type if known is not None else ""
