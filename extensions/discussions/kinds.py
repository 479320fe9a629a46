"""What kind of message a Communication is, and the references in one."""

from __future__ import annotations

from typing import Any

from workflow.codes import MESSAGE_KIND

Json = dict[str, Any]

KIND = MESSAGE_KIND
DISCUSSION, CHAT, SYSTEM_MESSAGE, RECEIPT = "discussion", "chat", "system", "receipt"
MESSAGES = (DISCUSSION, CHAT)
_REFERENCES = ("subject", "encounter", "sender", "recipient", "partOf", "inResponseTo")


def codes(communication: Json) -> list[str]:
    """The codes of message-kind among its categories."""
    codings = [coding for one in communication.get("category", ()) for coding in one.get("coding", ())]
    return list(dict.fromkeys(one["code"] for one in codings if one.get("system") == KIND and "code" in one))


def kind(communication: Json) -> str:
    """Its kind; "" when it is neither message nor receipt."""
    found = codes(communication)
    return found[0] if found else ""


def listed(communication: Json, name: str) -> list[Json]:
    """The references of an element, one or many."""
    value = communication.get(name, [])
    return list(value) if isinstance(value, list) else [value]


def localize(communication: Json, base_url: str) -> None:
    """Write references to this server as "Type/id", whichever way they came."""
    for name in _REFERENCES:
        for one in listed(communication, name):
            if "reference" in one:
                one["reference"] = str(one["reference"]).removeprefix(f"{base_url}/").partition("/_history/")[0]
