"""What a user allowed an app, or the operator a backend service: everything its tokens stand for."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Grant:
    """One authorization. Its id names the family of tokens made from it: revoking it ends all of them.

    `context` is what the token response tells beside the tokens: patient and encounter (ids), fhirContext,
    need_patient_banner, smart_style_url, intent, tenant.
    """

    id: str
    client: str  # client_id
    user: str = ""  # login name; empty for a backend service
    fhir_user: str = ""  # "Practitioner/1"
    scopes: str = ""  # as granted, separated by spaces
    context: dict[str, Any] = field(default_factory=dict)
    issued: datetime = field(default_factory=lambda: datetime.now(UTC))
    session: str = ""  # of the browser it was given in; online_access ends with it
    nonce: str = ""  # of the OpenID Connect request
    signed_in: datetime | None = None  # when the user proved who they are: auth_time

    def has(self, scope: str) -> bool:
        """Whether this very scope was granted."""
        return scope in self.scopes.split()

    def to_document(self) -> dict[str, Any]:
        """As the database keeps it; `id` is the document's `_id`."""
        document = asdict(self)
        return {"_id": document.pop("id"), **document}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Grant:
        """The grant of a stored document, whatever else the document says."""
        known = {one.name: document[one.name] for one in fields(cls) if one.name in document}
        return cls(**{**known, "id": document["_id"]})


def new_id() -> str:
    """The id of a new grant: 128 random bits."""
    return secrets.token_urlsafe(16)
