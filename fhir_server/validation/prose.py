"""Rules that R4 states in prose and not as an expression: contained ids, entries and links of a Bundle, attachments.

https://hl7.org/fhir/R4/references.html#contained · https://hl7.org/fhir/R4/bundle.html
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from fhir_server import definitions
from fhir_server.fhirpath import Node, child
from fhir_server.terminology import Coding
from fhir_server.validation.run import Run

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_RESTFUL = re.compile(r"(https?://.+)/([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})")
_LINK = re.compile(r'href="#([^"]*)"')
_SHOWN = re.compile(r'\b(?:href|src)="#([^"]*)"')
_ANCHOR = re.compile(r'\b(?:id|name)="([^"]*)"')
_SINGLE_LINKS = frozenset({"self", "first", "last", "next", "previous", "prev"})
_REQUESTS = frozenset({"transaction", "batch", "transaction-response", "batch-response"})  # no fullUrl, or no id yet
# What a document or message must bring along: https://hl7.org/fhir/R4/documents.html#content
_BROUGHT = {
    "Composition": ("subject", "encounter", "author", "attester.party", "custodian", "event.detail", "section.entry"),
    "MessageHeader": ("focus",),
}


def check_contained(run: Run, resource: Node) -> None:
    """The ids of contained resources differ, as references by #id would be ambiguous."""
    ids = Counter(_text(one, "id") for one in child(resource, "contained"))
    for one in child(resource, "contained"):
        if ids[_text(one, "id")] > 1:
            run.add("invalid", "Two contained resources have the same id.", one)


def check_bundle(run: Run, bundle: Node) -> None:
    """Links of a Bundle once each, absolute URLs that agree with the ids, and all that a document or message needs."""
    relations = Counter(_text(link, "relation") for link in child(bundle, "link"))
    for link in child(bundle, "link"):
        relation = _text(link, "relation")
        if relation in _SINGLE_LINKS and relations[relation] > 1:
            run.add("invalid", "A Bundle has each of these links once.", link)
    entries = child(bundle, "entry")
    type_ = _text(bundle, "type")
    for entry in entries:
        _check_full_url(run, entry, is_request=type_ in _REQUESTS)
        if type_ == "searchset":
            _check_found(run, entry)
    if type_ in ("document", "message"):
        _check_brought(run, entries)


def _check_full_url(run: Run, entry: Node, *, is_request: bool) -> None:
    """https://hl7.org/fhir/R4/bundle-definitions.html#Bundle.entry.fullUrl"""
    full_url = _text(entry, "fullUrl")
    if not full_url:
        if run.strict and not is_request and "resource" in entry.value:
            run.add("required", "An entry says by its fullUrl which resource it has.", entry)
        return
    place = child(entry, "fullUrl")[0]
    if not _ABSOLUTE.match(full_url):
        run.add("value", "A fullUrl is an absolute URL or a URN.", place)
        return
    restful = _RESTFUL.fullmatch(full_url)
    for resource in child(entry, "resource"):
        id_ = _text(resource, "id")
        if not restful or restful[2] not in definitions.RESOURCE_TYPES:
            continue
        if restful[2] != resource.type:
            run.add("invalid", "The fullUrl is that of a resource of another type.", place)
        elif id_ and restful[3] != id_:
            run.add("invalid", "The fullUrl ends in another id than that of the resource.", place)
        elif not id_ and run.strict and not is_request:
            run.add("invalid", "The fullUrl ends in an id, and the resource has none.", place)


def _check_found(run: Run, entry: Node) -> None:
    """What a search found has an id; what it has to say is an OperationOutcome."""
    modes = {_text(search, "mode") for search in child(entry, "search")}
    for resource in child(entry, "resource"):
        if "outcome" in modes and resource.type != "OperationOutcome":
            run.add("invalid", "An entry with search mode 'outcome' is an OperationOutcome.", resource)
        if resource.type != "OperationOutcome" and not _text(resource, "id"):
            run.add("required", "What a search found has an id.", resource)


def _check_brought(run: Run, entries: list[Node]) -> None:
    if not entries:
        return
    full_urls = Counter(_text(entry, "fullUrl") for entry in entries)
    versions = {f"{_text(entry, 'fullUrl')}/_history/{_version(entry)}" for entry in entries}
    base = _base_of(_text(entries[0], "fullUrl"))
    for resource in child(entries[0], "resource"):
        for reference in _references(resource):
            literal = _text(reference, "reference")
            if not literal or literal.startswith("#"):
                continue
            absolute = literal if _ABSOLUTE.match(literal) else f"{base}/{literal}"
            if absolute not in full_urls and absolute not in versions:
                run.add("not-found", "What this refers to must be in the Bundle, by its fullUrl.", reference)
            elif full_urls[absolute] > 1:
                run.add("multiple-matches", "What this refers to is in the Bundle in several versions.", reference)


def _version(entry: Node) -> str:
    return next((_text(meta, "versionId") for one in child(entry, "resource") for meta in child(one, "meta")), "")


def _references(resource: Node) -> Iterator[Node]:
    for path in _BROUGHT.get(resource.type, ()):
        found = _sections(resource) if path.startswith("section.") else [resource]
        for step in path.removeprefix("section.").split("."):
            found = [below for node in found for below in child(node, step)]
        yield from found


def _sections(node: Node) -> list[Node]:
    return [one for section in child(node, "section") for one in (section, *_sections(section))]


def _base_of(full_url: str) -> str:
    restful = _RESTFUL.fullmatch(full_url)
    return restful[1] if restful else ""


def check_attachment(run: Run, attachment: Node) -> None:
    """Size and SHA-1 hash, where given, are those of the data."""
    value = attachment.value
    if type(value) is not dict or not isinstance(value.get("data"), str) or not value.keys() & {"size", "hash"}:
        return
    try:
        data = base64.b64decode(value["data"])
        told = base64.b64decode(value["hash"]) if isinstance(value.get("hash"), str) else None
    except ValueError:
        return  # not base64: structure says so
    if isinstance(value.get("size"), int) and value["size"] != len(data):
        run.add("value", "The size is not that of the data.", child(attachment, "size")[0])
    if told is not None and told != hashlib.sha1(data, usedforsecurity=False).digest():
        run.add("value", "The hash is not the SHA-1 of the data.", child(attachment, "hash")[0])


def check_display(run: Run, coding: Node) -> None:
    """The display is one that the code system gives: a warning, as R4 leaves languages and wording open."""
    if system := _text(coding, "system"):
        _check_system(run, coding, system)
    code, system, display = _text(coding, "code"), _text(coding, "system"), _text(coding, "display")
    if not (run.thorough or run.strict) or not (code and system and display):
        return
    if run.knows_display(Coding(system, code, _text(coding, "version"), display)) is False:
        severity = "error" if run.strict else "warning"
        run.add("invalid", "The code system has another display for this code.", child(coding, "display")[0], severity)


def _check_system(run: Run, coding: Node, system: str) -> None:
    """https://hl7.org/fhir/R4/datatypes.html#Coding"""
    place = child(coding, "system")[0]
    if not _ABSOLUTE.match(system):
        run.add("value", "The system of a code is an absolute URL or a URN.", place)
    elif run.strict and definitions.value_set(system) is not None and definitions.code_system(system) is None:
        run.add("value", "This is the URL of a value set, not of a code system.", place)


def check_id(run: Run, resource: Node) -> None:
    """A resource's id is an id and nothing else: https://hl7.org/fhir/R4/resource.html#id"""
    for one in child(resource, "id"):
        if one.companion:
            run.add("structure", "The id of a resource has no extensions.", one)


def check_links(run: Run, narrative: Node) -> None:
    """Links within a narrative lead to something in the resource: https://hl7.org/fhir/R4/narrative.html#id"""
    value = narrative.value
    div = value.get("div") if type(value) is dict else None
    if not (run.thorough or run.strict) or not isinstance(div, str) or 'href="#' not in div:
        return
    targets = set(_ANCHOR.findall(div)) | {_text(one, "id") for one in child(narrative.container, "contained")}
    if not set(_LINK.findall(div)) <= targets | {""}:
        severity = "error" if run.strict else "warning"
        run.add("invalid", "A link within the narrative leads nowhere.", child(narrative, "div")[0], severity)


def without_shown(resource: Node) -> Node | None:
    """The resource without what it contains and narratives show or link to; None when that is nothing."""
    contained = resource.value.get("contained", [])
    shown = set(_SHOWN.findall("".join(_narratives(resource.value))))
    rest = [one for one in contained if not (isinstance(one, dict) and one.get("id") in shown)]
    return Node({**resource.value, "contained": rest}, resource.type) if len(rest) < len(contained) else None


def _narratives(value: Any) -> Iterator[str]:
    """The XHTML anywhere in this JSON."""
    if isinstance(value, list):
        for one in value:
            yield from _narratives(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            if name == "div" and isinstance(one, str):
                yield one
            elif isinstance(one, dict | list):
                yield from _narratives(one)


def _text(node: Node, name: str) -> str:
    value = node.value.get(name) if type(node.value) is dict else None
    return value if isinstance(value, str) else ""
