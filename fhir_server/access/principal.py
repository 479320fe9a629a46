"""The caller, as everything below the HTTP layer sees them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_server.access.scopes import Scope

Document = dict[str, Any]

ADMINISTRATORS = frozenset({"administrator", "super-administrator"})  # roles
CARE = frozenset({"referral", "care-team"})  # why a patient is in a user's care for good; else it is a share


@dataclass(frozen=True, slots=True, eq=False)
class Principal:
    """Someone or something that acts, with everything that decides what they may do: nothing is looked up later.

    References are "Type/id". `panel` and `own` name patients, `consents` is what `access.consents` made of the
    Consents that concern this caller. What is decided once for a type and an action is kept in `decided`, so a
    principal lives no longer than what it was made from.
    """

    name: str  # for the audit trail, and what belongs to a caller
    is_open: bool = False  # may do everything: open mode, and the server itself
    scopes: tuple[Scope, ...] = ()
    client: str = ""  # client_id
    user: str = ""  # fhirUser, "Practitioner/1"; empty for a backend service
    roles: tuple[str, ...] = ()  # names in access/roles.toml
    patient: str = ""  # "Patient/1", the context of patient/ scopes
    own: frozenset[str] = frozenset()  # patients the user is, or acts for
    panel: Mapping[str, str] = field(default_factory=dict)  # patients in the user's care: why (referral, full, …)
    organizations: frozenset[str] = frozenset()  # that the user works for
    consents: tuple[Any, ...] = ()
    purpose: str = ""  # v3-ActReason of this use: TREAT, BTG …
    emergency: frozenset[str] = frozenset()  # patients whose glass this user has broken
    grant: str = ""  # what the token belongs to: revoked together
    basis: Mapping[str, Any] = field(default_factory=dict, repr=False)  # what it can be made of again, without a token
    decided: dict[tuple[str, str], Document | None] = field(default_factory=dict, repr=False)
    seen: dict[tuple[tuple[str, ...] | None, str], Document] = field(default_factory=dict, repr=False)

    def fingerprint(self) -> str:
        """What tells two callers' access filters apart, for guards and cursors; a refreshed token keeps it."""
        if self.is_open:
            return "open"
        scopes = " ".join(sorted(map(str, self.scopes)))
        identity = "\0".join((self.name, self.client, self.user, self.patient, scopes, *sorted(self.roles)))
        return hashlib.sha256(identity.encode()).hexdigest()[:16]

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody is signed in."""
        return not self.is_open and not self.user and not self.client

    @property
    def is_administrator(self) -> bool:
        """Whether the server itself may be looked after: reindexing, erasing, the audit chain."""
        if self.is_open:
            return True
        level = "user" if self.user else "system"
        everything = any(
            scope.level == level and scope.type == "*" and scope.actions == "cruds" for scope in self.scopes
        )
        return everything and (not self.user or not ADMINISTRATORS.isdisjoint(self.roles))


# The caller when no sign-in is configured (`--open`), and the server's own commands.
ANYONE = Principal("anyone", is_open=True)
SYSTEM = Principal("system", is_open=True)


def is_server(principal: Principal) -> bool:
    """Whether the server itself acts, for what it was asked or by itself."""
    return principal.is_open and principal is not ANYONE


# The caller without a token, who may see what everybody may: the CapabilityStatement.
NOBODY = Principal("nobody")
