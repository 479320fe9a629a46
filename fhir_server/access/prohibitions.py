"""What nobody may do to a resource by a plain write, whatever their role opens: docs/access.md, "Writing".

Care, shares and proxies decide who sees a record: who could write them for themselves would open it to themselves.
Administrators and backend services are not bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from fhir_server.access.consents import OFFICER, is_denial
from fhir_server.access.principal import ADMINISTRATORS, CARE, Principal
from fhir_server.access.provisions import provisions
from fhir_server.access.visibility import is_open_to

Json = dict[str, Any]

# What decides whom an active resource puts in whose care, or opens a record to.
_GIVING = {
    "ServiceRequest": ("subject", "performer", "modifierExtension"),
    "CareTeam": ("subject", "participant", "period", "modifierExtension"),
    "Consent": ("patient", "scope", "category", "policyRule", "provision", "modifierExtension"),
}
# Of whom somebody acts for; and what the house vouches for: numbers of licences, and degrees.
_KEPT: Mapping[str, tuple[str, ...]] = {
    "RelatedPerson": ("patient",),
    "Person": ("link",),
    "Practitioner": ("identifier", "qualification"),
}
_STANDING = ("active", "period")  # and nobody prolongs that for themselves
_MESSAGES = ("Communication", "CommunicationRequest")
_OF_RECIPIENTS = ("status", "received", "extension")  # that a message was read
_STAMPS = ("versionId", "lastUpdated")

TYPES = frozenset({*_GIVING, *_KEPT, *_MESSAGES})


def prohibited(
    principal: Principal, action: str, before: Json | None, after: Json | None, document: Mapping[str, Any]
) -> bool:
    """Whether nobody may make this of that, although the caller's role opens both.

    `before` is None when there never was one, {} when it is deleted; `after` is None to delete it, and `document` what
    is to be stored.
    """
    if principal.is_open or not principal.user or not ADMINISTRATORS.isdisjoint(principal.roles):
        return False
    type_ = document["ty"]
    if type_ == "Consent" and _speaks_for_patient(principal, before or {}, after or {}):
        return True
    if after is None:
        return False
    if type_ in _GIVING:
        return _gives(principal, action, before or {}, after, document)
    if before is None:
        return False
    return _repoints(principal, before, after) if type_ in _KEPT else _rewrites(principal, before, after)


# ---- care and shares ------------------------------------------------------------------------------------


def _gives(principal: Principal, action: str, before: Json, after: Json, document: Mapping[str, Any]) -> bool:
    """Whether it gives care that is not the caller's to give: of a patient who is not in their own.

    An emergency and a share end; what is written in them would not.
    """
    named, given = set(_named(after)), _giving(after)
    if not named or not given or given == _giving(before):
        return False
    if not is_open_to(_without_shares(principal), action, document):
        return True
    in_care = principal.own.union(patient for patient, why in principal.panel.items() if why in CARE)
    return not named.isdisjoint(_me(principal, after)) and _patient(after) not in in_care


def _giving(resource: Json) -> Json:
    """What an active resource gives; {} when it gives nothing."""
    if resource.get("status") != "active":
        return {}
    return {name: resource.get(name) for name in _GIVING[resource["resourceType"]]}


def _without_shares(principal: Principal) -> Principal:
    panel = {patient: why for patient, why in principal.panel.items() if why in CARE}
    return replace(principal, panel=panel, emergency=frozenset(), consents=(), decided={}, seen={})


def _speaks_for_patient(principal: Principal, before: Json, after: Json) -> bool:
    """Whether staff denies in a patient's name, takes back a denial, or lets the patient share with themselves."""
    if OFFICER in principal.roles:
        return False
    for one in (before, after):
        if one and _patient(one) not in principal.own and one.get("status") == "active" and is_denial(one):
            return True
    named = set(_named(after)) if after and _patient(after) not in principal.own else set()
    if not named or not _giving(after) or _giving(after) == (_giving(before) if before else {}):
        return False
    # A Device is an app, and with it everybody who uses it.
    return not named.isdisjoint(_me(principal, after)) or any(name.startswith("Device/") for name in named)


def _named(resource: Json) -> Iterator[str]:
    """Whom it gives something: "Type/id", and what apps are identified by."""
    match resource["resourceType"]:
        case "ServiceRequest":
            whom = resource.get("performer", [])
        case "CareTeam":
            whom = [one.get("member", {}) for one in resource.get("participant", ())]
        case _:
            parts = provisions(resource.get("provision", {}))
            whom = [actor.get("reference", {}) for part in parts for actor in part.get("actor", ())]
    for one in whom:
        if key := _key(one):
            yield key
        if identifier := one.get("identifier", {}).get("value"):
            yield f"Device/{identifier}" if one.get("type") == "Device" else identifier


def _me(principal: Principal, resource: Json) -> set[str]:
    """What the caller is called; an order for their whole Organization or service puts nobody in their care."""
    names = {principal.user, *principal.organizations}
    if resource["resourceType"] == "Consent":
        return names | {principal.client}
    return {name for name in names if not name.startswith(("Organization/", "HealthcareService/"))}


def _patient(resource: Json) -> str:
    return _key(resource.get("patient" if resource["resourceType"] == "Consent" else "subject", {}))


def _key(reference: Json) -> str:
    """The "Type/id" that a reference ends with, whatever server it names: another's name for one is as good."""
    parts = str(reference.get("reference", "")).partition("/_history/")[0].split("/")
    return "/".join(parts[-2:]) if len(parts) > 1 else ""


# ---- proxies and messages -------------------------------------------------------------------------------


def _repoints(principal: Principal, before: Json, after: Json) -> bool:
    """Whether somebody would act for another patient than before, or the caller for longer or as somebody else."""
    names = _KEPT[after["resourceType"]]
    if principal.user == f"{after['resourceType']}/{after.get('id')}":
        names += _STANDING
    return any(before.get(name) != after.get(name) for name in names)


def _rewrites(principal: Principal, before: Json, after: Json) -> bool:
    """Whether what somebody else said would become something else; that it was read may be told."""
    writers = {_key(before.get(name, {})) for name in ("sender", "requester")}
    if not writers.isdisjoint({principal.user, *principal.organizations}):
        return False
    return _said(before) != _said(after)


def _said(message: Json) -> Json:
    said = {name: value for name, value in message.items() if name not in _OF_RECIPIENTS}
    said["meta"] = {name: value for name, value in message.get("meta", {}).items() if name not in _STAMPS}
    return said
