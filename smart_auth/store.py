"""What the modules of the authorization server share about the database: collections, expiry, digests."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from pymongo.errors import CollectionInvalid, OperationFailure

from fhir_server.storage.database import Collection, Database

Document = dict[str, Any]

_NAMESPACE_EXISTS = 48
_DEFINED_OTHERWISE = (85, 86)  # IndexOptionsConflict, IndexKeySpecsConflict


class Changes(Protocol):
    """Tells every process that what it knows of tokens and users may be out of date."""

    async def announce(self) -> None:
        """Return once no process uses old knowledge."""


async def collection(
    database: Database, name: str, *indexes: Sequence[str], unique: Sequence[str] = (), expire: bool = True
) -> Collection:
    """The collection `name` of the server's own affairs, made with an index on each list of fields, and on `unique`.

    Unless told otherwise, documents go when the date in their `expires` has passed (MongoDB looks once a minute:
    readers check it, too). Safe to run by several processes at once.
    """
    try:
        await database.system.create_collection(name)
    except CollectionInvalid:
        pass
    except OperationFailure as error:
        if error.code != _NAMESPACE_EXISTS:
            raise
    found = database.system[name]
    if expire:
        await _index(found, ["expires"], {"expireAfterSeconds": 0})
    for fields in indexes:
        await _index(found, fields, {})
    if unique:
        await _index(found, unique, {"unique": True})
    return found


async def _index(of: Collection, fields: Sequence[str], options: Document) -> None:
    """Make the index; one of the same name that an older server defined otherwise is replaced."""
    keys = [(field, 1) for field in fields]
    name = "_".join(fields)
    try:
        await of.create_index(keys, name=name, **options)
    except OperationFailure as error:
        if error.code not in _DEFINED_OTHERWISE:
            raise
        await of.drop_index(name)
        await of.create_index(keys, name=name, **options)


def now() -> datetime:
    """This moment in UTC, to the millisecond as the database keeps it."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def new_token() -> str:
    """256 random bits, base64url: 43 characters."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """What the database knows of a token: its SHA-256. Any string will do, also one that is no token of ours."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
