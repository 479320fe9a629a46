"""Before a unit is written: which of its resources are sensitive, and under whose key each goes.

docs/workflows/encryption.md says what is sensitive; fhir_server/encryption/sensitive.py tells it from a resource.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from fhir_server.access.compartment import BINARY
from fhir_server.encryption.index import reduced
from fhir_server.encryption.seal import seal
from fhir_server.encryption.sensitive import attached, is_labelled, may_be, owner_of
from fhir_server.outcomes import Unprocessable
from fhir_server.search.extract import extract
from fhir_server.search.keys import SEALED
from fhir_server.search.types.reference import local
from fhir_server.storage.database import Database
from fhir_server.storage.stored import Stored
from fhir_server.storage.unit_of_work import UnitOfWork, Write

Json = dict[str, Any]
Read = Callable[[str], Awaitable[Stored | None]]  # the current version of "Type/id"


def suspects(unit: UnitOfWork) -> list[Write]:
    """The writes that `protect` is to look at; for most units none."""
    return [write for write in unit.writes.values() if write.resource is not None and may_be(write.resource)]


async def protect(unit: UnitOfWork, found: Sequence[Write], read: Read, base_url: str) -> None:
    """Say of each sensitive write whose key seals it. Raises Unprocessable (422) where that is nobody's."""
    for write in found:
        write.owner = await _owner(unit, write, read, base_url)
        if write.owner and SEALED not in write.index.get("k", ()):
            write.index = reduced(write.type, write.index)
    for write in found:
        if write.owner and write.type != BINARY:
            await _check_attachments(unit, write, read, base_url)


async def _owner(unit: UnitOfWork, write: Write, read: Read, base_url: str) -> str:
    """The patient under whose key it goes; "" when it is not sensitive."""
    resource = write.resource
    assert resource is not None
    if write.type != BINARY:
        return owner_of(resource, write.index.get("k", ()), base_url)
    here = local(resource.get("securityContext", {}).get("reference") or "", f"{base_url}/")
    context = await _resource(unit, here[0], read) if here is not None else None
    if not is_labelled(resource) and (context is None or not is_labelled(context)):
        return ""
    if here is not None and here[0].startswith("Patient/"):
        return here[0]
    if context is None or context["resourceType"] == BINARY:
        text = (
            "A sensitive Binary is kept under its patient's key: its securityContext names a resource of the patient."
        )
        raise Unprocessable(text, expression=["Binary.securityContext"])
    return owner_of(context, extract(context, base_url=base_url).keys, base_url)


async def _resource(unit: UnitOfWork, key: str, read: Read) -> Json | None:
    """A resource as the unit leaves it."""
    if (pending := unit.writes.get(key)) is not None:
        return pending.resource
    stored = await read(key)
    return stored.resource() if stored is not None and not stored.deleted else None


async def _check_attachments(unit: UnitOfWork, write: Write, read: Read, base_url: str) -> None:
    """What is sealed must not have its content in clear beside it."""
    assert write.resource is not None
    for key in attached(write.resource, base_url):
        pending = unit.writes.get(key)
        stored = await read(key) if pending is None else None
        if pending.owner if pending is not None else stored is not None and stored.sealed:
            continue
        text = f"{key}, attached to a sensitive {write.type}, is not sensitive itself, or not there: label it first."
        raise Unprocessable(text, expression=[write.type])


async def seal_earlier(database: Database, session: AsyncClientSession, write: Write) -> int:
    """Seal what earlier versions say in clear, within the transaction that makes it sensitive; answers how many."""
    assert write.lock is not None
    sealed: list[UpdateOne] = []
    async for one in database.version.find({"r": write.key, "j": {"$exists": True}}, {"j": 1}, session=session):
        secret = seal(write.lock.cipher, one["_id"], one["j"])
        change = {"$set": {"e": secret, "ek": write.lock.id}, "$unset": {"j": ""}}
        sealed.append(UpdateOne({"_id": one["_id"]}, change))
    if sealed:
        await database.version.bulk_write(sealed, ordered=False, session=session)
    return len(sealed)
