"""What a reference points to, within the document itself: contained resources, then entries of the Bundle around.

https://hl7.org/fhir/R4/references.html#contained · https://hl7.org/fhir/R4/bundle.html#references
"""

from __future__ import annotations

from fhir_server.fhirpath.environment import Services
from fhir_server.fhirpath.nodes import Node, child


def resolve(node: Node, services: Services) -> Node | None:
    """The resource that a Reference, canonical, uri or string points to; None when there is none to be found."""
    reference = node.value.get("reference") if type(node.value) is dict else node.value
    if not isinstance(reference, str) or not reference:
        return None
    if reference.startswith("#"):
        return _contained(node, reference[1:])
    return _in_bundle(node, reference) or services.resolve(reference, node)


def _contained(node: Node, id_: str) -> Node | None:
    container = node.container
    if not id_:
        return container
    return next((each for each in child(container, "contained") if each.value.get("id") == id_), None)


def _in_bundle(node: Node, reference: str) -> Node | None:
    """The entry with this fullUrl, or, for a relative reference, with the one it makes from the referrer's own."""
    entry: Node | None = node
    while entry is not None and entry.type != "Bundle.entry":
        entry = entry.parent
    if entry is None or entry.parent is None:
        return None
    wanted = {reference, f"{_base(entry)}{reference}"}
    for other in child(entry.parent, "entry"):
        for resource in child(other, "resource"):
            if other.value.get("fullUrl") in wanted:
                return resource
            if "fullUrl" not in other.value and f"{resource.type}/{resource.value.get('id')}" == reference:
                return resource
    return None


def _base(entry: Node) -> str:
    """The part of an entry's fullUrl before type and id, if that is how it ends."""
    url, resource = entry.value.get("fullUrl"), entry.value.get("resource")
    if not isinstance(url, str) or type(resource) is not dict:
        return ""
    ending = f"{resource.get('resourceType')}/{resource.get('id')}"
    return url.removesuffix(ending) if url.endswith(ending) else ""
