"""Every extension in a resource: is it known, may it stand here, and is it as its definition says?

https://hl7.org/fhir/R4/extensibility.html · https://hl7.org/fhir/R4/defining-extensions.html#context
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_server.fhirpath import Node, child, children
from fhir_server.fhirpath.nodes import elements
from fhir_server.validation.profiles.check import check_profile
from fhir_server.validation.profiles.profile import SPECIFICATION, Profile
from fhir_server.validation.profiles.slices import extension_url, is_a
from fhir_server.validation.run import Run

_DEFINITIONS = frozenset(
    [
        "CapabilityStatement",
        "CodeSystem",
        "ConceptMap",
        "ImplementationGuide",
        "OperationDefinition",
        "SearchParameter",
        "StructureDefinition",
        "ValueSet",
    ]
)
_HL7 = "http://hl7.org/fhir/"
_INTERFACES = ("CanonicalResource", "MetadataResource")  # R5's words for what has a canonical URL


def check_extensions(run: Run, node: Node) -> None:
    """Add what is wrong with the extensions of this node, and of all below it."""
    if not _has_extensions(node.value) and not _has_extensions(node.companion):
        return
    for name in ("extension", "modifierExtension"):
        for one in child(node, name):
            _check(run, node, one, is_modifier=name == "modifierExtension")
    for below in children(node):
        check_extensions(run, below)


def _has_extensions(value: object) -> bool:
    """Whether there is one anywhere in this JSON."""
    if isinstance(value, dict):
        if "extension" in value or "modifierExtension" in value:
            return True
        return any(_has_extensions(one) for one in value.values() if isinstance(one, dict | list))
    return isinstance(value, list) and any(_has_extensions(one) for one in value if isinstance(one, dict | list))


def _check(run: Run, owner: Node, extension: Node, *, is_modifier: bool) -> None:
    url = extension.value.get("url") if isinstance(extension.value, dict) else None
    if not isinstance(url, str):
        return
    if ":" not in url:
        _check_part(run, owner, extension, url)
        return
    profile = run.profile(url)
    if profile is None:
        _unknown(run, extension, url)
        return
    if profile.type != "Extension":
        run.add("value", "The url of this extension is that of something else.", extension)
        return
    if profile.contexts and not _fits_context(run, owner, profile):
        run.add("structure", f"Extension {url[:200]} may not be used here.", extension)
    for expression in profile.context_invariants:
        found = run.evaluate(expression, owner)
        if [one.value for one in found] == [False]:
            run.add(
                "invariant", f"Extension {url[:200]} may be used only where its context invariant holds.", extension
            )
    _check_modifier(run, extension, profile, is_modifier=is_modifier)
    check_profile(run, extension, profile)


def _check_part(run: Run, owner: Node, extension: Node, url: str) -> None:
    """A url that is not absolute has a meaning only in the extension whose definition names it."""
    if owner.type != "Extension":
        run.add("value", "The url of an extension is absolute, unless it is a part of another.", extension)
        return
    outer = owner.value.get("url")
    profile = run.profile(outer) if isinstance(outer, str) and ":" in outer else None
    parts = profile.root.children.get("extension") if profile is not None else None
    if profile is not None and parts is not None and url not in map(extension_url, parts.slices.values()):
        text = (
            f"Extension {profile.url[:200]} has no part with this url."  # an example published with R4 has such a one
        )
        if run.strict:
            run.add("value", text, extension)
        elif run.thorough:
            run.add("value", text, extension, "warning")


def _unknown(run: Run, extension: Node, url: str) -> None:
    """It is allowed, as anybody may define one; a strict check wants to know it, unless HL7's guides have it."""
    text = f"Extension {url[:200]} is not known here and was not checked."
    if run.strict and not url.startswith(_HL7):
        run.add("not-found", text, extension)
    elif run.thorough:
        run.add("not-found", text, extension, "warning" if url.startswith(SPECIFICATION) else "information")


def _check_modifier(run: Run, extension: Node, profile: Profile, *, is_modifier: bool) -> None:
    if profile.is_modifier and not is_modifier:
        run.add(
            "structure", f"Extension {profile.url[:200]} changes the meaning: it is a modifierExtension.", extension
        )
    if is_modifier and not profile.is_modifier:
        run.add("structure", f"Extension {profile.url[:200]} is no modifierExtension.", extension)


def _fits_context(run: Run, owner: Node, profile: Profile) -> bool:
    if owner.resource.type in _DEFINITIONS and profile.url.startswith(SPECIFICATION):
        return True  # R4 names other contexts for these than its own definitions, and HL7's guides, use them in
    return any(_is_context(run, owner, kind, text) for kind, text in profile.contexts)


def _is_context(run: Run, owner: Node, kind: str, text: str) -> bool:
    match kind:
        case "extension":
            inner = owner if owner.type == "Extension" or owner.parent is None else owner.parent  # its value counts
            return inner.type == "Extension" and isinstance(inner.value, dict) and _is_named(inner, text)
        case "fhirpath":
            resource = owner.resource
            return any(one.value is owner.value for one in run.evaluate(text, resource))
        case "element":
            return _is_element(run, owner, text)
    return True


def _is_named(extension: Node, text: str) -> bool:
    """Whether this is the extension of that URL, or the part of it (url#part)."""
    url, _, part = text.partition("#")
    around = extension.parent.value if extension.parent is not None and part else extension.value
    return bool(around.get("url") == url and extension.value.get("url") == (part or url))


def _is_element(run: Run, owner: Node, text: str) -> bool:
    """A type ("Element" is any), or a path in one ("Patient.contact", "Observation.value[x]"), or in a profile."""
    text = text.removeprefix(SPECIFICATION)
    text = text.rpartition("#")[2] if "#" in text else text
    if text in _INTERFACES:
        return isinstance(owner.value, dict) and "url" in owner.value and "resourceType" in owner.value
    if text in ("Element", "Resource") or is_a(owner.type, text):
        return text != "Resource" or (isinstance(owner.value, dict) and "resourceType" in owner.value)
    name, _, path = text.removesuffix("[x]").partition(".")
    return any(path == steps and is_a(type_name, name) for type_name, steps in _paths(owner))


def _paths(owner: Node) -> Iterator[tuple[str, str]]:
    """The ways to name this element: from its resource, and from each complex type that it is in."""
    steps: list[str] = []
    node: Node | None = owner
    while node is not None and node.parent is not None:
        steps.insert(0, elements(node.parent)[node.name])
        node = node.parent
        yield node.type, ".".join(steps)
        if isinstance(node.value, dict) and "resourceType" in node.value:
            return
