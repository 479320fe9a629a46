"""What is sensitive, and whose key it is kept under: told from a resource alone.

A resource is sensitive when meta.security carries a declared label. A Binary is also as sensitive as its
securityContext, which storage looks up (fhir_server/storage/protection.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from fhir_server.access.compartment import BINARY, patient_numbers
from fhir_server.access.principal import ADMINISTRATORS, Principal
from fhir_server.outcomes import Unprocessable
from fhir_server.search.types.reference import local

Json = dict[str, Any]
Label = tuple[str, str]  # system and code

SENSITIVE: Label = ("http://fhir-server.example/ig/CodeSystem/record-label", "sensitive")
# Encrypted as well, and open to whoever would see it without: what repeats something sensitive, and is needed by more.
SEALED: Label = ("http://fhir-server.example/ig/CodeSystem/record-label", "sealed")
# The server reads these to decide who sees what: it must find them by all that they say.
NEVER = frozenset({"Consent"})
# The element that says whose a resource is, in the order in which they are asked.
_SUBJECTS = ("subject", "patient", "for", "beneficiary", "individual")
_AUTHORS = ("author", "custodian", "sender", "recorder", "asserter", "requester", "source", "performer", "operator")
_OFFICER = "privacy-officer"

_OURS = frozenset({SENSITIVE, SEALED})
_labels: frozenset[Label] = _OURS


def declare(text: str) -> None:
    """Take FHIR_SENSITIVE_LABELS: system|code, separated by commas; our own labels are always among them."""
    global _labels
    more = [one.strip().rpartition("|") for one in text.split(",") if one.strip()]
    _labels = _OURS.union((system, code) for system, _, code in more)


def is_labelled(resource: Mapping[str, Any]) -> bool:
    """Whether meta.security has a declared label; a Bundle is as sensitive as all that it holds."""
    security = resource.get("meta", _NOTHING).get("security")
    if security and any((one.get("system", ""), one.get("code")) in _labels for one in security):
        return True
    return resource.get("resourceType") in _HOLDING and any(map(is_labelled, _held(resource)))


_NOTHING: Json = {}


_HOLDING = {"Bundle": "entry", "Parameters": "parameter"}


def _held(resource: Mapping[str, Any]) -> Iterator[Json]:
    """The resources in a Bundle or in Parameters, as entries, outcomes and parameters."""
    parts = list(resource.get(_HOLDING[resource["resourceType"]], ()))
    for part in parts:  # which grows
        parts += part.get("part", ())
        held = part.get("resource"), part.get("response", _NOTHING).get("outcome")
        yield from (one for one in held if isinstance(one, dict))


def may_be(resource: Mapping[str, Any]) -> bool:
    """Whether more than this glance is needed: it is labelled, or a Binary that is as sensitive as something else."""
    return is_labelled(resource) or (resource.get("resourceType") == BINARY and "securityContext" in resource)


def patient_of(resource: Mapping[str, Any], keys: Collection[str], base_url: str) -> str | None:
    """The "Patient/x" under whose key it is; None when there is none, or several and no one of them is the subject.

    `keys` are the search keys of its references.
    """
    type_ = resource["resourceType"]
    if type_ == "Patient":
        return f"Patient/{resource['id']}"
    if type_ in _HOLDING:
        owners = {patient_of(one, (), base_url) for one in _held(resource)} - {None}
        return owners.pop() if len(owners) == 1 else None
    for name in _SUBJECTS:
        given = resource.get(name)
        for one in given if isinstance(given, list) else [given]:
            here = local(one.get("reference") or "", f"{base_url}/") if isinstance(one, dict) else None
            if here is not None and here[0].startswith("Patient/"):
                return here[0]
    beginnings = tuple(f"{number}>Patient/" for number in patient_numbers(type_))
    found = {key.partition(">")[2].partition("/_history/")[0] for key in keys if key.startswith(beginnings)}
    named = {one for one in found if one != "Patient/"}
    return named.pop() if len(named) == 1 else None


def owner_of(resource: Mapping[str, Any], keys: Collection[str], base_url: str) -> str:
    """As `patient_of`; raises Unprocessable (422) where nobody's key can be told."""
    type_ = resource["resourceType"]
    if type_ in NEVER:
        raise Unprocessable(f"A {type_} cannot be labelled sensitive: access is decided by what it says.")
    owner = patient_of(resource, keys, base_url)
    if owner is None:
        text = f"A sensitive {type_} is kept under its patient's key: name one Patient as its subject."
        raise Unprocessable(text, expression=[type_])
    return owner


def attached(resource: Mapping[str, Any], base_url: str) -> Iterator[str]:
    """The Binaries of this server ("Binary/x") that it names anywhere: by the url of an Attachment, or a reference."""
    for name, value in resource.items():
        if isinstance(value, str) and name in _NAMING:
            here = local(value, f"{base_url}/")
            if here is not None and here[0].startswith("Binary/"):
                yield here[0]
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                yield from attached(one, base_url)


_NAMING = frozenset({"url", "reference", "valueUri", "valueUrl"})


def discloses(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether the change of a sealed resource takes from it what makes it sensitive."""
    if is_labelled(after):
        return False
    context = after.get("securityContext")
    return not (context and not is_labelled(before) and context == before.get("securityContext"))


def may_disclose(principal: Principal, before: Mapping[str, Any]) -> bool:
    """Whether the caller may take the label from it: its author or custodian, administrators, privacy officers."""
    if principal.is_open or not (ADMINISTRATORS | {_OFFICER}).isdisjoint(principal.roles):
        return True
    whom = [one for name in _AUTHORS for one in _listed(before.get(name))]
    names = {principal.user, *principal.organizations} - {""}
    return any(_key(one) in names for one in whom)


def _listed(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]


def _key(reference: Any) -> str:
    text = str(reference.get("reference") or "") if isinstance(reference, dict) else ""
    return "/".join(text.partition("/_history/")[0].split("/")[-2:])
