"""The people who sign in: their passwords, second factors, roles and the resource that each of them is."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from fhir_server.outcomes import Conflict, ValueWrong
from fhir_server.storage.database import Database
from smart_auth import passwords
from smart_auth.store import Changes, now

Document = dict[str, Any]

_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@+-]{1,63}")
_EMAIL = re.compile(r"[^@\s<>\",;:\\]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_REFERENCE = re.compile(r"(?:Practitioner|Patient|RelatedPerson|Person)/[A-Za-z0-9.-]{1,64}")


@dataclass(frozen=True, slots=True)
class User:
    """Someone who signs in under `id`; `fhir_user` is who they are ("Practitioner/1"), "" for nobody in particular."""

    id: str  # the login name, lower case
    name: str = ""
    email: str = ""
    password_hash: str = ""  # "" when they sign in elsewhere
    fhir_user: str = ""
    roles: tuple[str, ...] = ()  # names in access/roles.toml
    totp: bytes = b""  # the secret of the second factor, sealed; b"" without one
    totp_step: int = 0  # the latest time step whose code was used
    recovery: tuple[str, ...] = ()  # digests of the recovery codes that are left
    verified: bool = False  # the e-mail address is theirs
    active: bool = True
    identities: tuple[str, ...] = ()  # "issuer subject" at outside providers
    created: datetime | None = None

    @property
    def has_second_factor(self) -> bool:
        return bool(self.totp)


class Users:
    """The accounts in the collection auth_user; `changes` is told when what makes a principal changes."""

    def __init__(self, database: Database, changes: Changes) -> None:
        self._rows = database.system["auth_user"]
        self._changes = changes

    async def prepare(self) -> None:
        """Make the indexes: an address and an outside identity belong to one user."""
        await self._unique("email", {"email": {"$gt": ""}})
        await self._unique("identities", {"identities.0": {"$exists": True}})
        await self._rows.create_index("fhir_user", name="fhir_user")

    async def _unique(self, name: str, among: Document) -> None:
        await self._rows.create_index(name, name=name, unique=True, partialFilterExpression=among)

    async def add(self, user: User, password: str | None = None) -> User:
        """A new account. Raises ValueWrong for a bad name, address or password, Conflict when it is taken."""
        user = replace(user, id=user.id.strip().lower(), email=user.email.strip().lower(), created=now())
        check_login(user.id, user.email if user.verified else "")
        if user.email:
            check_email(user.email)
        if user.fhir_user and not _REFERENCE.fullmatch(user.fhir_user):
            raise ValueWrong("A user is a Practitioner, Patient, RelatedPerson or Person: Type/id.")
        if password is not None:
            passwords.check_rules(password, user.id, user.email)
            user = replace(user, password_hash=await passwords.hash_of(password))
        try:
            await self._rows.insert_one(_document(user))
        except DuplicateKeyError:
            raise Conflict("A user with this name, e-mail address or outside identity is there already.") from None
        return user

    async def get(self, id_: str) -> User | None:
        return _user(await self._rows.find_one({"_id": id_.strip().lower()}))

    async def by_email(self, email: str) -> User | None:
        """The user with this address."""
        email = email.strip().lower()
        return _user(await self._rows.find_one({"email": email})) if email else None

    async def by_fhir_user(self, reference: str) -> User | None:
        """The user who is this resource ("Practitioner/7"); the first by name when several are."""
        return _user(await self._rows.find_one({"fhir_user": reference}, sort=[("_id", 1)])) if reference else None

    async def by_identity(self, issuer: str, subject: str) -> User | None:
        """The user whom an outside provider knows under this subject."""
        return _user(await self._rows.find_one({"identities": identity(issuer, subject)}))

    async def list(self) -> AsyncIterator[User]:
        """Every account, by name."""
        async for row in self._rows.find().sort("_id", 1):
            if (user := _user(row)) is not None:
                yield user

    async def with_roles(self, roles: Iterable[str]) -> AsyncIterator[User]:
        """The active accounts that have one of these roles, by name."""
        async for row in self._rows.find({"roles": {"$in": sorted(roles)}, "active": True}).sort("_id", 1):
            if (user := _user(row)) is not None:
                yield user

    async def by_login(self, login: str) -> User | None:
        """The user with this name, or this e-mail address that is known to be theirs."""
        if "@" in login:  # whose address it is comes before who is called so
            owner = await self.by_email(login)
            if owner is not None and owner.verified:
                return owner
        return await self.get(login)

    async def check_password(self, user: User | str | None, password: str) -> User | None:
        """The user (or whoever has this login) if active and this is the password; what fails takes as long."""
        if isinstance(user, str):
            user = await self.by_login(user)
        fits = await passwords.verify(user.password_hash if user is not None else "", password)
        if user is None or not fits or not user.active:
            return None
        if passwords.is_outdated(user.password_hash):
            fresh = await passwords.hash_of(password)
            changed = {"_id": user.id, "password_hash": user.password_hash}
            await self._rows.update_one(changed, {"$set": {"password_hash": fresh}})
        return user

    async def set_password(self, id_: str, password: str) -> None:
        """Replace the password. Raises ValueWrong when it breaks the rules."""
        user = await self.get(id_)
        passwords.check_rules(password, id_, user.email if user is not None else "")
        await self._set(id_, password_hash=await passwords.hash_of(password))

    async def set_roles(self, id_: str, roles: Iterable[str]) -> None:
        """Replace the roles; tokens that are out follow at once."""
        await self._set(id_, announce=True, roles=list(dict.fromkeys(roles)))

    async def set_fhir_user(self, id_: str, reference: str) -> None:
        """Say which resource the user is; tokens that are out follow at once."""
        await self._set(id_, announce=True, fhir_user=reference)

    async def set_active(self, id_: str, active: bool) -> None:
        """Let the user sign in, or not any more; whoever does so also ends the tokens and sessions."""
        await self._set(id_, announce=True, active=active)

    async def set_verified(self, id_: str) -> None:
        """Note that the address is the user's own."""
        await self._set(id_, verified=True)

    async def link(self, id_: str, issuer: str, subject: str) -> None:
        """Let the user sign in through an outside provider. Raises Conflict when that identity is somebody else's."""
        try:
            await self._rows.update_one({"_id": id_}, {"$addToSet": {"identities": identity(issuer, subject)}})
        except DuplicateKeyError:
            raise Conflict("This outside identity belongs to another user.") from None

    async def unlink(self, id_: str, linked: str) -> None:
        """Sign-in through this outside identity ends; the last way in stays."""
        other_way = {"$or": [{"password_hash": {"$gt": ""}}, {"identities.1": {"$exists": True}}]}
        await self._rows.update_one({"_id": id_, **other_way}, {"$pull": {"identities": linked}})

    async def set_second_factor(self, id_: str, sealed: bytes, step: int, recovery: Iterable[str]) -> None:
        """Turn the second factor on (or off, with b""), its first code used already."""
        await self._set(id_, totp=sealed, totp_step=step, recovery=list(recovery))

    async def set_recovery(self, id_: str, recovery: Iterable[str]) -> None:
        """Replace the recovery codes, given as digests."""
        await self._set(id_, recovery=list(recovery))

    async def use_step(self, id_: str, step: int) -> bool:
        """Whether no code of this time step or a later one was used before; it is used now."""
        done = await self._rows.update_one({"_id": id_, "totp_step": {"$lt": step}}, {"$set": {"totp_step": step}})
        return done.modified_count == 1

    async def use_recovery(self, id_: str, digest: str) -> bool:
        """Whether a recovery code is one of those left; it is used now."""
        done = await self._rows.update_one({"_id": id_, "recovery": digest}, {"$pull": {"recovery": digest}})
        return done.modified_count == 1

    async def remove(self, id_: str) -> bool:
        """Take the account out; answers whether it was there."""
        gone = (await self._rows.delete_one({"_id": id_.strip().lower()})).deleted_count == 1
        await self._changes.announce()
        return gone

    async def _set(self, id_: str, *, announce: bool = False, **changes: Any) -> None:
        await self._rows.update_one({"_id": id_.strip().lower()}, {"$set": changes})
        if announce:
            await self._changes.announce()


def identity(issuer: str, subject: str) -> str:
    """How an outside provider's subject is kept."""
    return f"{issuer} {subject}"


def check_login(id_: str, address: str = "") -> None:
    """Raise ValueWrong unless this can be the login name of whoever has the e-mail address; "" is no known one."""
    if "@" in id_ and id_ != address.strip().lower():
        raise ValueWrong("A user name with @ is one's own e-mail address, and no other.")
    if not _LOGIN.fullmatch(id_):
        raise ValueWrong("A user name has 2 to 64 of a-z, 0-9, and . _ @ + - after the first.")


def check_email(email: str) -> None:
    """Raise ValueWrong unless this looks like an e-mail address."""
    if len(email) > 254 or not _EMAIL.fullmatch(email):
        raise ValueWrong("This does not look like an e-mail address.")


def _document(user: User) -> Document:
    row = asdict(user)
    row["_id"] = row.pop("id")
    return row


def _user(row: Document | None) -> User | None:
    if row is None:
        return None
    known = {field.name for field in fields(User)}
    values: Document = {
        name: tuple(value) if isinstance(value, list) else value for name, value in row.items() if name in known
    }
    return User(id=row["_id"], **values)
