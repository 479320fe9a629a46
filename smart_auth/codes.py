"""Authorization codes and their PKCE: https://www.rfc-editor.org/rfc/rfc7636 · RFC 9700 section 2.1.1"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from datetime import timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from fhir_server.storage.database import Database
from smart_auth.errors import OAuthError
from smart_auth.grant import Grant
from smart_auth.store import collection, digest, new_token, now
from smart_auth.tokens import Tokens

SECONDS = 60
_KEPT = timedelta(days=30)  # so long a second use of a code is noticed
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class Codes:
    """Codes that were given to apps and wait to be redeemed."""

    def __init__(self, database: Database, tokens: Tokens) -> None:
        self._database = database
        self._tokens = tokens
        self._rows = database.system["auth_codes"]

    async def prepare(self) -> None:
        """Create the collection and its indexes."""
        await collection(self._database, "auth_codes")

    async def issue(self, grant: Grant, redirect_uri: str, code_challenge: str) -> str:
        """A code for the grant, good once and for a minute, for the client of the grant and this redirect URI."""
        if not is_challenge(code_challenge):
            raise ValueError("a code needs an S256 challenge")
        code, moment = new_token(), now()
        until = moment + timedelta(seconds=SECONDS)
        await self._tokens.remember(grant, until)
        row = {
            "_id": digest(code),
            "grant": grant.id,
            "client": grant.client,
            "redirect_uri": redirect_uri,
            "challenge": code_challenge,
            "until": until,
            "used": None,
            "expires": moment + _KEPT,
        }
        await self._rows.insert_one(row)
        return code

    async def redeem(self, code: str, client: str, redirect_uri: str, verifier: str) -> Grant:
        """The grant of the code, which is used up.

        Raises OAuthError invalid_grant (invalid_request without a verifier). Of parallel calls one wins; a code
        that was used before ends the grant and every token made of it.
        """
        if not verifier.strip():
            raise OAuthError("invalid_request", "The parameter code_verifier is missing.")
        row = await self._rows.find_one({"_id": digest(code)})
        if row is None or row["client"] != client:
            raise OAuthError("invalid_grant", "The code is unknown, or was given to another client.")
        # Read first: the one who wins is answered, also when those who lose revoke the grant meanwhile.
        grant = await self._tokens.grant(row["grant"])
        if row["used"] is None:
            _check(row, redirect_uri, verifier)
            if grant is None:
                raise OAuthError("invalid_grant", "What the code stands for was revoked.")
            unused = {"_id": row["_id"], "used": None}
            if await self._rows.find_one_and_update(unused, {"$set": {"used": now()}}) is not None:
                return grant
        await self._tokens.revoke(row["grant"])
        raise OAuthError("invalid_grant", "The code was used before; what it gave is revoked.")


def _check(row: dict[str, Any], redirect_uri: str, verifier: str) -> None:
    """Raise OAuthError unless an unused code is young enough, and redeemed by whoever asked for it."""
    if row["until"] <= now():
        raise OAuthError("invalid_grant", "The code has expired.")
    if row["redirect_uri"] != redirect_uri:
        raise OAuthError("invalid_grant", "The redirect_uri is not the one that the code was asked for with.")
    # A challenge is no verifier, not even of a challenge that is its own hash.
    if not is_verifier(verifier) or compare_digest(verifier, row["challenge"]):
        raise OAuthError("invalid_grant", "The code_verifier is none.")
    if not compare_digest(challenge_of(verifier), row["challenge"]):
        raise OAuthError("invalid_grant", "The code_verifier does not fit the code_challenge.")


def is_challenge(text: str) -> bool:
    """Whether this can be an S256 challenge: 43 characters of base64url."""
    return _CHALLENGE.fullmatch(text) is not None


def is_verifier(text: str) -> bool:
    """Whether this can be a verifier: 43 to 128 of the unreserved characters."""
    return _VERIFIER.fullmatch(text) is not None


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a verifier."""
    return urlsafe_b64encode(sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode()
