"""Whose rights a subscription has, at this moment. smart_auth/subscribers.py knows; in open mode everybody may all."""

from __future__ import annotations

from typing import Any, Protocol

from fhir_server.access import Principal
from fhir_server.access.principal import ANYONE

Json = dict[str, Any]


class Rights(Protocol):
    """Turns a caller into something that can be kept, and back into a principal with the rights of today."""

    def remember(self, principal: Principal) -> Json:
        """What is kept of the caller who wrote a Subscription; JSON, no token in it."""

    async def again(self, kept: Json) -> Principal | None:
        """The caller's principal now; None when the grant is revoked, or the user or client gone or inactive.

        That the access token has expired since does not matter. Cheap to call for every event: what is known is kept
        under the same lease as tokens, so that a revocation holds for the very next event.
        """


class Everybody:
    """Rights in open mode."""

    def remember(self, principal: Principal) -> Json:
        """Nothing needs to be kept."""
        return {}

    async def again(self, kept: Json) -> Principal | None:
        """Anyone."""
        return ANYONE
