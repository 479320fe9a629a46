"""The words that workflows are told by: code systems and profiles of the guide (ig/), and those of R4 beside them."""

from __future__ import annotations

from typing import Any

from fhir_server.encryption.sensitive import is_labelled

Json = dict[str, Any]
Code = tuple[str, str]  # system and code

GUIDE = "http://fhir-server.example/ig"
MESSAGE_KIND = f"{GUIDE}/CodeSystem/message-kind"
TASK_KIND = f"{GUIDE}/CodeSystem/task-kind"
RECORD_LABEL = f"{GUIDE}/CodeSystem/record-label"
SHARE_LEVEL = f"{GUIDE}/CodeSystem/share-level"
FLAG_CATEGORY = f"{GUIDE}/CodeSystem/flag-category"
RESPONDER_STATUS = f"{GUIDE}/CodeSystem/responder-status"
PRIVACY = f"{GUIDE}/CodeSystem/privacy"

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
COMMUNICATION_CATEGORY = "http://terminology.hl7.org/CodeSystem/communication-category"
TASK_CODE = "http://hl7.org/fhir/CodeSystem/task-code"

NOTIFICATION: Code = (COMMUNICATION_CATEGORY, "notification")
ALERT: Code = (COMMUNICATION_CATEGORY, "alert")
DISCUSSION: Code = (MESSAGE_KIND, "discussion")
CHAT: Code = (MESSAGE_KIND, "chat")
TEAM_DISCUSSION: Code = (RECORD_LABEL, "team-discussion")
CLINICIAN_NOTE: Code = (RECORD_LABEL, "clinician-note")
SENSITIVE: Code = (RECORD_LABEL, "sensitive")
SEALED: Code = (RECORD_LABEL, "sealed")
END_TO_END: Code = (RECORD_LABEL, "end-to-end")
EMERGENCY_FLAG: Code = (FLAG_CATEGORY, "emergency")
EMERGENCY_TASK: Code = (TASK_KIND, "emergency")
RESPOND_TASK: Code = (TASK_KIND, "respond")
FULFILL: Code = (TASK_CODE, "fulfill")


def concept(*codes: Code, text: str = "") -> Json:
    """A CodeableConcept of these codes."""
    made: Json = {"coding": [coding(*code) for code in codes]} if codes else {}
    return {**made, "text": text} if text else made


def coding(system: str, code: str) -> Json:
    """A Coding."""
    return {"system": system, "code": code}


def has_code(concepts: Any, *codes: Code) -> bool:
    """Whether a CodeableConcept, or any of a list of them, has one of these codes."""
    listed = concepts if isinstance(concepts, list) else [concepts]
    found = {(c.get("system"), c.get("code")) for one in listed if one for c in one.get("coding", ())}
    return not found.isdisjoint(codes)


def sealed_as(resource: Json, source: Json, label: Code = SEALED) -> Json:
    """The resource with the label where the source is sensitive: what it repeats of that is encrypted as well."""
    if not is_labelled(source) or is_labelled(resource):
        return resource
    meta = resource.get("meta", {})
    return {**resource, "meta": {**meta, "security": [*meta.get("security", ()), coding(*label)]}}


def has_label(resource: Json, *labels: Code) -> bool:
    """Whether the resource carries one of these security labels."""
    found = {(one.get("system"), one.get("code")) for one in resource.get("meta", {}).get("security", ())}
    return not found.isdisjoint(labels)
