"""Which client is calling: public, with its secret, or with a signed assertion; by one method and only its own.

https://hl7.org/fhir/smart-app-launch/authorization-client-auth.html · RFC 6749, section 2.3
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable
from time import time
from urllib.parse import unquote_plus

from starlette.datastructures import Headers

from fhir_server.config import Settings
from fhir_server.storage.database import Database
from smart_auth import client_assertion
from smart_auth.client_assertion import TOKEN_PATH, AssertionRefused, Replays
from smart_auth.clients import Client, Clients, Kind
from smart_auth.endpoint import Form
from smart_auth.errors import OAuthError
from smart_auth.fetch import Fetcher
from smart_auth.jwks import KeySets

# How a client of each kind shows who it is.
METHODS: dict[Kind, str] = {
    "public": "none",
    "confidential-symmetric": "client_secret_basic",
    "confidential-asymmetric": "private_key_jwt",
}
_OWN = re.compile(r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?")
_FORM_ENCODED = re.compile(r"(?:[^%]|%[0-9A-Fa-f]{2})*")


def refused(description: str) -> OAuthError:
    """The client did not show who it is."""
    return OAuthError("invalid_client", description, 401)


class ClientAuthentication:
    """Finds out which registered client a request comes from."""

    def __init__(
        self, settings: Settings, database: Database, clients: Clients, *, now: Callable[[], float] = time
    ) -> None:
        self._settings = settings
        self._listening = f"http://{settings.host}:{settings.port}"
        self._clients = clients
        self._now = now
        self._replays = Replays(database)
        self.fetcher = Fetcher(allow_local=settings.allow_local_endpoints)
        self._key_sets = KeySets(self.fetcher)

    async def prepare(self) -> None:
        """Create the collection of used assertions; safe to repeat."""
        await self._replays.prepare()

    async def client(self, headers: Headers, form: Form, issuer: str) -> Client:
        """The client of a request with these headers and this form to the server that it sees as `issuer`.

        Raises OAuthError: invalid_client (401), or invalid_request for two methods at once.
        """
        authorization = headers.getlist("authorization")
        method = _method(authorization, form)
        if method == "private_key_jwt":
            self._check_address(issuer)
            client = await self._by_assertion(form, issuer + TOKEN_PATH)
        elif method == "client_secret_basic":
            client = await self._by_secret(authorization[0])
        else:
            client = await self._registered(form.get("client_id", ""), method)
        if form.get("client_id", client.id) != client.id:
            raise OAuthError("invalid_request", "client_id is not that of the client who calls.")
        return client

    def _check_address(self, issuer: str) -> None:
        """Refuse an address that only the caller names: an assertion made for another server would fit it."""
        if self._settings.base_url is None and not _OWN.fullmatch(issuer) and issuer != self._listening:
            raise refused("Assertions need a server that knows its own address: FHIR_BASE_URL is not set.")

    async def _by_secret(self, authorization: str) -> Client:
        id_, secret = credentials(authorization)
        client = await self._registered(id_, "client_secret_basic")
        if not client.check_secret(secret):
            raise refused("The client's secret is wrong.")
        return client

    async def _by_assertion(self, form: Form, audience: str) -> Client:
        if form.get("client_assertion_type") != client_assertion.TYPE:
            raise refused(f"client_assertion_type must be {client_assertion.TYPE}.")
        try:
            assertion = client_assertion.read(form.get("client_assertion", ""))
            client = await self._registered(assertion.client_id, "private_key_jwt")
            await client_assertion.check_signature(assertion, client.jwks, client.jwks_uri, self._key_sets)
            client_assertion.check_claims(assertion.claims, audience, self._now())
            await self._replays.use(assertion.claims)
        except AssertionRefused as error:
            raise refused(str(error)) from None
        return client

    async def _registered(self, id_: str, method: str) -> Client:
        client = await self._clients.get(id_) if id_ else None
        if client is None or not client.active:
            raise refused("There is no such client.")
        if METHODS[client.kind] != method:
            raise refused(f"This client must authenticate by {METHODS[client.kind]}.")
        return client


def _method(authorization: list[str], form: Form) -> str:
    """The one method that the caller tries. Raises OAuthError."""
    used = ["client_secret_basic"] * len(authorization)
    if "client_assertion" in form or "client_assertion_type" in form:
        used.append("private_key_jwt")
    if "client_secret" in form:
        used.append("client_secret_post")
    if len(used) > 1:
        raise OAuthError("invalid_request", "The client authenticates by more than one method.")
    if used == ["client_secret_post"]:
        raise refused("The client's secret belongs in the Authorization header: client_secret_basic.")
    return used[0] if used else "none"


def credentials(authorization: str) -> tuple[str, str]:
    """The id and secret of an Authorization header, each form-encoded before they were joined. Raises OAuthError."""
    scheme, _, encoded = authorization.partition(" ")
    try:
        text = b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    id_, colon, secret = text.partition(":")
    if scheme.lower() != "basic" or not colon or not _FORM_ENCODED.fullmatch(text):
        raise refused("The Authorization header is not that of client_secret_basic.")
    try:
        return unquote_plus(id_, errors="strict"), unquote_plus(secret, errors="strict")
    except ValueError:
        raise refused("The Authorization header is not that of client_secret_basic.") from None
