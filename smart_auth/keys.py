"""The server's signing keys, and the sealing of secrets at rest under the master key.

https://openid.net/specs/openid-connect-core-1_0.html#SigningOrder · https://www.rfc-editor.org/rfc/rfc7517
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from pymongo.errors import DuplicateKeyError

from fhir_server import json
from fhir_server.config import Settings
from fhir_server.encryption.master import sealer
from fhir_server.encryption.sealing import Sealer
from fhir_server.storage.database import Database
from smart_auth.store import collection, now

Json = dict[str, Any]

ALGORITHM = "RS256"
_BITS = 2048
_OUTLIVES = timedelta(hours=2)  # an old key its use: the longest token's hour, and as much for clocks and caches


class Keys:
    """RS256 keys for id_tokens, kept sealed in the database, and the master key that seals.

    Keys are numbered, and the highest number signs: a rotation is one insert, and every process sees it at once.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._rows = database.system["auth_keys"]
        self._sealer: Sealer | None = None
        self._private: dict[str, RSAKey] = {}  # by kid

    async def prepare(self) -> None:
        """Read or make the master key, and make the first signing key, or the next when the last is too old.

        Raises RuntimeError when the master key is not the one that sealed the signing keys.
        """
        await collection(self._database, "auth_keys", unique=["number"])
        last = await self._last()
        self._sealer = await asyncio.to_thread(sealer, self._settings, make=last is None)
        oldest = now() - timedelta(days=self._settings.signing_key_days)
        if last is not None:
            await self._reseal(last)
        if last is None or last["made"] < oldest:
            await self._make(last)
            made = await self._last()
            assert made is not None
            await self._reseal(made)  # another host may have been first, with a master key of its own

    # ---- signing ---------------------------------------------------------------------------------

    async def sign(self, claims: Mapping[str, Any], **header: str) -> str:
        """A JWS (compact, RS256, with kid) of these claims by the current key."""
        last = await self._last()
        assert last is not None  # prepare() made one
        kid = str(last["_id"])
        if kid not in self._private:
            self._private = {kid: RSAKey.import_key(json.decode(self.open(last["sealed"])))}
        head = {"alg": ALGORITHM, "kid": kid, "typ": "JWT", **header}
        return jwt.encode(head, dict(claims), self._private[kid], algorithms=[ALGORITHM])

    async def verify(self, token: str) -> Json | None:
        """The claims of a JWS that one of our keys signed, whatever its exp (id_token_hint); else None."""
        published = {key["kid"]: key for key in (await self.jwks())["keys"]}
        try:
            return dict(jwt.decode(token, lambda jws: _public(published, jws.headers()), algorithms=[ALGORITHM]).claims)
        except (JoseError, ValueError, TypeError):
            return None

    async def jwks(self) -> Json:
        """The JWK Set of the public keys: the current one, and those whose last token has not expired."""
        return {"keys": [row["public"] async for row in self._rows.find().sort("number", -1)]}

    async def rotate(self) -> str:
        """A new signing key from now on; answers its kid. The old one stays published until its last token is over."""
        return await self._make(await self._last())

    async def _last(self) -> Json | None:
        return await self._rows.find_one({}, sort=[("number", -1)])

    async def _make(self, last: Json | None) -> str:
        """The key after `last`; of processes that do it at the same time, one makes it for all."""
        key = await asyncio.to_thread(RSAKey.generate_key, _BITS, {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
        row = {
            "_id": key.kid,
            "number": last["number"] + 1 if last else 1,
            "made": now(),
            "public": key.as_dict(private=False),
            "sealed": self.seal(json.encode(key.as_dict(private=True))),
        }
        try:
            await self._rows.insert_one(row)
        except DuplicateKeyError:
            row = await self._last() or row
        # From now on nobody signs with those before.
        former = {"number": {"$lt": row["number"]}, "expires": {"$exists": False}}
        await self._rows.update_many(former, {"$set": {"expires": now() + _OUTLIVES}})
        return str(row["_id"])

    async def _reseal(self, row: Json) -> None:
        """Prove that the master key is the right one, and seal under the one in use what an older one sealed."""
        try:
            private = self.open(row["sealed"])
        except ValueError as error:
            reason = "FHIR_MASTER_KEY_FILE (or master.key in the data directory) is not what sealed the signing keys"
            raise RuntimeError(f"{reason}: {error}. Every process of this database needs the same file.") from None
        if self._sealer is not None and not self._sealer.is_current(row["sealed"]):
            await self._rows.update_one({"_id": row["_id"]}, {"$set": {"sealed": self.seal(private)}})

    # ---- sealing ---------------------------------------------------------------------------------

    def seal(self, data: bytes) -> bytes:
        """Encrypted and authenticated (AES-256-GCM) under the master key."""
        assert self._sealer is not None  # prepare() read it
        return self._sealer.seal(data)

    def open(self, sealed: bytes) -> bytes:
        """What was sealed. Raises ValueError when it was sealed under another key, or altered."""
        assert self._sealer is not None
        if not self._sealer.knows(sealed):
            self._sealer = sealer(self._settings)  # the file may have got another key since
        return self._sealer.open(sealed)


def _public(published: Mapping[str, Json], header: Json) -> RSAKey:
    key = published.get(str(header.get("kid")))
    if key is None:
        raise ValueError("not a key of ours")
    return RSAKey.import_key(key)
