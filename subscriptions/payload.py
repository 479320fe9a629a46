"""The MIME type of channel.payload: in what form a notification is written.

https://hl7.org/fhir/R4/subscription-definitions.html#Subscription.channel.payload
"""

from __future__ import annotations

JSON = "application/fhir+json"
_FHIR = frozenset({JSON, "application/fhir+xml", "application/json", "application/xml"})
_WORDS = frozenset({"text/plain", "text/html"})
_PARAMETERS = {"charset": frozenset({"utf-8"}), "fhirversion": frozenset({"4.0", "4.0.1"})}


def parse(payload: str) -> tuple[str, dict[str, str]]:
    """The media type and its parameters, in lower case: ("text/plain", {"attach": "application/fhir+json"})."""
    type_, *rest = (part.strip().lower() for part in payload.split(";"))
    pairs = (part.partition("=") for part in rest)
    return type_, {name.strip(): value.strip().strip('"') for name, _, value in pairs}


def problem(payload: str, channel_type: str) -> str:
    """Why a channel of this R4 type cannot carry such a payload; "" when it can."""
    if not (payload.isascii() and payload.isprintable()):
        return "A MIME type has no line breaks or control characters."  # it becomes a header
    type_, parameters = parse(payload)
    attached = parameters.pop("attach", None)
    if type_ in _WORDS and channel_type == "email":
        if attached is not None and attached not in _FHIR:
            return "What is attached to an e-mail is application/fhir+json or application/fhir+xml."
    elif type_ not in _FHIR or attached is not None:
        return "This channel carries application/fhir+json and application/fhir+xml."
    if any(value not in _PARAMETERS.get(name, ()) for name, value in parameters.items()):
        return "A payload may say charset=utf-8 and fhirVersion=4.0."
    return ""


def is_xml(payload: str) -> bool:
    """Whether FHIR content of this type (or attached to it) is XML; JSON otherwise."""
    type_, parameters = parse(payload)
    return parameters.get("attach", type_).endswith("xml")
