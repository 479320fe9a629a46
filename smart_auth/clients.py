"""Registered apps and services: https://hl7.org/fhir/smart-app-launch/app-launch.html#register-app-with-ehr"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from hmac import compare_digest
from typing import Any, Literal
from urllib.parse import urlsplit

from pymongo.errors import DuplicateKeyError

from fhir_server.storage.database import Database
from smart_auth import redirects
from smart_auth.scopes import is_known, words
from smart_auth.store import Changes, collection, digest, new_token
from smart_auth.tokens import Tokens

Kind = Literal["public", "confidential-symmetric", "confidential-asymmetric"]
KINDS: tuple[Kind, ...] = ("public", "confidential-symmetric", "confidential-asymmetric")
GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials")
_ID = re.compile(r"[\x21-\x7e]{1,200}")
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


@dataclass(frozen=True, slots=True)
class Client:
    """One app or backend service; `id` is its client_id."""

    id: str
    name: str
    kind: Kind = "public"
    secret_hash: bytes = b""  # SHA-256: the secret is 256 random bits, which a slow hash would not help
    jwks: dict[str, Any] | None = None  # a JWK Set of public keys
    jwks_uri: str = ""
    redirect_uris: tuple[str, ...] = ()
    launch_uri: str = ""
    scopes: str = ""  # separated by spaces; "": any that the user may give
    grant_types: tuple[str, ...] = ("authorization_code", "refresh_token")
    origins: tuple[str, ...] = ()  # of its pages, for CORS: "https://app.example"
    trusted: bool = False  # users are not asked for consent
    contacts: tuple[str, ...] = ()
    logo_uri: str = ""
    active: bool = True
    fhir_user: str = ""  # what a backend service is in the record: "Device/1", "Organization/1"; may be empty
    registration_hash: bytes = b""  # of dynamic registration: SHA-256 of its registration access token

    def check_secret(self, secret: str) -> bool:
        """Whether this is the client's secret, compared in constant time."""
        return bool(self.secret_hash) and compare_digest(self.secret_hash, digest(secret))

    def may_use(self, grant_type: str) -> bool:
        """Whether the client is in service, and registered for the grant type."""
        return self.active and grant_type in self.grant_types

    def to_document(self) -> dict[str, Any]:
        """As the database keeps it; `id` is the document's `_id`."""
        document = asdict(self)
        return {"_id": document.pop("id"), **document}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Client:
        """The client of a stored document."""
        known = {one.name: document[one.name] for one in fields(cls) if one.name in document}
        known = {name: tuple(value) if isinstance(value, list) else value for name, value in known.items()}
        return cls(**{**known, "id": document["_id"]})


class Clients:
    """The registered clients; what ends one also ends its tokens."""

    def __init__(self, database: Database, changes: Changes, tokens: Tokens) -> None:
        self._database = database
        self._changes = changes
        self._tokens = tokens
        self._rows = database.system["auth_clients"]

    async def prepare(self) -> None:
        """Create the collection and its indexes."""
        await collection(self._database, "auth_clients", expire=False)

    async def add(self, client: Client) -> Client:
        """Register the client. Raises ValueError, with a sentence, for one that breaks the rules or is there."""
        if wrong := problem(client):
            raise ValueError(wrong)
        try:
            await self._rows.insert_one(client.to_document())
        except DuplicateKeyError:
            raise ValueError("There is a client with this id.") from None
        return client

    async def get(self, id_: str) -> Client | None:
        """The client, active or not."""
        found = await self._rows.find_one({"_id": id_}) if _ID.fullmatch(id_) else None
        return Client.from_document(found) if found is not None else None

    async def list(self) -> list[Client]:
        """Every client by id."""
        return [Client.from_document(one) async for one in self._rows.find().sort("_id", 1)]

    async def update(self, client: Client) -> None:
        """Replace the client of this id; one that is not active any more loses its tokens.

        Raises ValueError as `add` does, and LookupError when there is none.
        """
        if wrong := problem(client):
            raise ValueError(wrong)
        found = await self._rows.replace_one({"_id": client.id}, client.to_document())
        if not found.matched_count:
            raise LookupError("There is no client with this id.")
        if client.active:
            await self._changes.announce()
        else:
            await self._tokens.revoke_client(client.id)

    async def remove(self, id_: str) -> bool:
        """Forget the client and end its tokens; False when there is none."""
        found = await self._rows.delete_one({"_id": id_})
        if found.deleted_count:
            await self._tokens.revoke_client(id_)
        return found.deleted_count == 1

    async def new_secret(self, id_: str) -> str:
        """A new random secret of a confidential-symmetric client, told only now; the old one ends.

        Raises LookupError when there is no such client.
        """
        secret = new_token()
        wanted = {"_id": id_, "kind": "confidential-symmetric"}
        found = await self._rows.update_one(wanted, {"$set": {"secret_hash": digest(secret)}})
        if not found.matched_count:
            raise LookupError("There is no confidential-symmetric client with this id.")
        return secret

    async def origins(self) -> frozenset[str]:
        """Those of all active clients, for CORS."""
        found: list[str] = await self._rows.distinct("origins", {"active": True})
        return frozenset(found)


def new_client_id() -> str:
    """A client_id for a client that brings none."""
    return secrets.token_urlsafe(18)


def origins_of(redirect_uris: Iterable[str]) -> tuple[str, ...]:
    """The web origins of these URIs: what a browser app that names no other ones is served under."""
    found = (redirects.origin_of(uri) for uri in redirect_uris)
    return tuple(dict.fromkeys(one for one in found if one))


def with_origins(client: Client) -> Client:
    """The client; a public one that names no origins with those of its redirect URIs."""
    if client.origins or client.kind != "public":
        return client
    return replace(client, origins=origins_of(client.redirect_uris))


# ---- the rules of a registration ---------------------------------------------------------------------


def problem(client: Client) -> str | None:
    """What is wrong with a client, as a sentence; None when it may be registered."""
    checks = (_identity_problem, _key_problem, _grant_problem, _address_problem)
    return next((wrong for check in checks if (wrong := check(client))), None)


def _identity_problem(client: Client) -> str | None:
    if not _ID.fullmatch(client.id):
        return "A client id is up to 200 printable ASCII characters without spaces."
    if not client.name.strip() or len(client.name) > 200:
        return "A client has a name of up to 200 characters."
    if client.kind not in KINDS:
        return f"A client's kind is one of {', '.join(KINDS)}."
    if unknown := [scope for scope in words(client.scopes) if not is_known(scope)]:
        return f"This server has no scope '{unknown[0][:64]}'."
    return None


def _key_problem(client: Client) -> str | None:
    asymmetric = client.kind == "confidential-asymmetric"
    if asymmetric != (client.jwks is not None or bool(client.jwks_uri)):
        return "A confidential-asymmetric client has jwks or jwks_uri, and no other client has."
    if client.jwks is not None and client.jwks_uri:
        return "A client has either jwks or jwks_uri."
    if client.secret_hash and client.kind != "confidential-symmetric":
        return "Only a confidential-symmetric client has a secret."
    if client.jwks is None:
        return None
    keys = client.jwks.get("keys")
    if not isinstance(keys, list) or not keys or not all(isinstance(key, dict) for key in keys):
        return "jwks is a JWK Set with keys."
    if any(_PRIVATE_MEMBERS & set(key) or key.get("kty") not in ("RSA", "EC") for key in keys):
        return "jwks holds public RSA or EC keys, and nothing private."
    return None if all(isinstance(key.get("kid"), str) and key["kid"] for key in keys) else "Every key has a kid."


def _grant_problem(client: Client) -> str | None:
    if unknown := [one for one in client.grant_types if one not in GRANT_TYPES]:
        return f"This server has no grant type '{unknown[0][:64]}'."
    if not client.grant_types:
        return "A client has a grant type."
    if "client_credentials" in client.grant_types and client.kind != "confidential-asymmetric":
        return "A backend service (client_credentials) is confidential-asymmetric."
    if "authorization_code" in client.grant_types and not client.redirect_uris:
        return "A client of the authorization code has a redirect URI."
    return None


def _address_problem(client: Client) -> str | None:
    if wrong := next((wrong for uri in client.redirect_uris if (wrong := redirects.problem(uri))), None):
        return wrong
    for name in ("launch_uri", "logo_uri", "jwks_uri"):
        if getattr(client, name) and not _is_web_address(getattr(client, name)):
            return f"{name} is an https URL (or http of this machine) without user name and fragment."
    if any(redirects.origin_of(origin) != origin for origin in client.origins):
        return "An origin is scheme, host and port as browsers write them: https://app.example"
    return None


def _is_web_address(uri: str) -> bool:
    return redirects.problem(uri) is None and urlsplit(uri).scheme in ("https", "http")
