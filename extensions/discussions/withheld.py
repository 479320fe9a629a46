"""What a deleted message said: gone from its current version, and from what anybody is shown of the earlier ones.

The text stays in storage: administrators and privacy officers may have to look into it.
"""

from __future__ import annotations

from typing import Any

from extensions.discussions.kinds import MESSAGES, kind
from fhir_server.access import Principal
from fhir_server.access.consents import OFFICER
from fhir_server.access.principal import ADMINISTRATORS
from fhir_server.registry import withheld
from workflow.codes import coding

Json = dict[str, Any]
SAID = ("payload", "text", "note", "topic", "contained", "extension")
REDACTED = ("http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "REDACTED")


def strip(message: Json) -> None:
    """Take away what the message said; it stays as a place in its thread."""
    for name in SAID:
        message.pop(name, None)


@withheld("Communication")
def deleted_message(principal: Principal, version: Json, today: Json | None) -> Json:
    """An earlier version of a message that was taken back is shown without what it said, and says so by a label.

    https://hl7.org/fhir/R4/security-labels.html
    """
    is_deleted = today is None or today.get("status") == "entered-in-error"
    may_look = not (ADMINISTRATORS | {OFFICER}).isdisjoint(principal.roles)
    if may_look or not is_deleted or kind(version) not in MESSAGES:
        return version
    if any(name in version for name in SAID):
        strip(version)
        version.setdefault("meta", {}).setdefault("security", []).append(coding(*REDACTED))
    return version
