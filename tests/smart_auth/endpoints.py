"""The endpoints that apps call, on a real database, with an app, a confidential app and two backend services."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from starlette.applications import Starlette

from fhir_server import json
from fhir_server.config import Settings
from fhir_server.storage.clock import Clock
from fhir_server.storage.database import Database
from fhir_server.storage.repository import Repository
from smart_auth import discovery, introspection, registration, revocation, token_endpoint, userinfo
from smart_auth.client_assertion import TYPE
from smart_auth.clients import Client
from smart_auth.codes import challenge_of
from smart_auth.grant import Grant, new_id
from smart_auth.service import SmartAuth
from smart_auth.tokens import Issued
from smart_auth.users import User

Json = dict[str, Any]

ORIGIN = "http://127.0.0.1:8080"
BASE = f"{ORIGIN}/fhir"
REDIRECT = "https://app.example/callback"
VERIFIER = "v" * 43
PAGE = "https://app.example"
SCOPES = "openid fhirUser launch/patient patient/Observation.rs patient/Condition.read offline_access"
CONTEXT: Json = {
    "patient": "p1",
    "encounter": "e1",
    "fhirContext": [{"reference": "ImagingStudy/1"}],
    "need_patient_banner": True,
    "smart_style_url": f"{ORIGIN}/auth/style.json",
    "intent": "reconcile-medications",
    "tenant": "north",
}
RSA = RSAKey.generate_key(2048, {"kid": "rsa", "alg": "RS384", "use": "sig"})
EC = ECKey.generate_key("P-384", {"kid": "ec"})
FOREIGN = RSAKey.generate_key(2048, {"kid": "rsa"})
P256 = ECKey.generate_key("P-256", {"kid": "p256"})
FOREIGN_EC = ECKey.generate_key("P-384", {"kid": "ec"})
KEYS = {"rsa": RSA, "ec": EC, "foreign": FOREIGN, "foreign-ec": FOREIGN_EC, "p256": P256}
PUBLIC: Json = {"keys": [key.as_dict(private=False) for key in (RSA, EC, P256)]}


@dataclass
class World:
    """The endpoints, and everything that a case names."""

    auth: SmartAuth
    http: httpx.AsyncClient
    secret: str = ""  # of the client "confidential"

    def grant(self, client: str = "app", **given: Any) -> Grant:
        defaults: Json = {"user": "nora", "fhir_user": "Practitioner/1", "scopes": SCOPES, "context": CONTEXT}
        return Grant(new_id(), client, **{**defaults, **given})

    async def code(self, client: str = "app", **given: Any) -> str:
        grant = self.grant(client, **given)
        return await self.auth.codes.issue(grant, REDIRECT, challenge_of(VERIFIER))

    async def tokens(
        self, client: str = "app", seconds: int = 3600, refresh_seconds: int = 3600, **given: Any
    ) -> Issued:
        grant = self.grant(client, **given)
        return await self.auth.tokens.issue(grant, seconds=seconds, refresh_seconds=refresh_seconds)

    async def post(self, path: str, form: Mapping[str, Any], **headers: str) -> httpx.Response:
        sent = {"Content-Type": "application/x-www-form-urlencoded"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return await self.http.post(path, content=urlencode(form, doseq=True), headers=sent)

    def basic(self, client: str = "confidential", secret: str | None = None) -> str:
        return basic(client, self.secret if secret is None else secret)


def basic(client: str, secret: str) -> str:
    """The header of client_secret_basic."""
    return "Basic " + b64encode(f"{quote_plus(client)}:{quote_plus(secret)}".encode()).decode()


@asynccontextmanager
async def world(settings: Settings) -> AsyncIterator[World]:
    """The endpoints with their clients and users, until the block ends."""
    database = Database(str(settings.mongodb_uri), settings.database)
    try:
        await database.prepare()
        auth = SmartAuth(settings, database, Repository(database, Clock(), query_seconds=60, max_pending=100))
        await auth.prepare()
        modules = (discovery, token_endpoint, introspection, revocation, registration, userinfo)
        app = Starlette(routes=[route for module in modules for route in module.routes(auth).routes])
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 50_000))
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as http:
            made = World(auth, http)
            await _register(made)
            yield made
    finally:
        await database.close()


async def _register(made: World) -> None:
    clients, users = made.auth.clients, made.auth.users
    if await clients.get("app") is None:
        app = Client("app", "App", redirect_uris=(REDIRECT,), origins=(PAGE,))
        services = ("client_credentials",)
        asymmetric: Any = {"kind": "confidential-asymmetric", "grant_types": services}
        scopes = "system/Patient.rs system/Observation.rs"
        for client in (
            app,
            Client("no-refresh", "App", redirect_uris=(REDIRECT,), grant_types=("authorization_code",)),
            Client("other", "Other", redirect_uris=(REDIRECT,)),
            Client("gone", "Gone", redirect_uris=(REDIRECT,), active=False),
            Client("confidential", "Web app", "confidential-symmetric", redirect_uris=(REDIRECT,)),
            Client("service", "Service", jwks=PUBLIC, scopes=scopes, fhir_user="Device/1", **asymmetric),
            Client("unscoped", "Service", jwks=PUBLIC, **asymmetric),
            Client("signing", "App", "confidential-asymmetric", jwks=PUBLIC, redirect_uris=(REDIRECT,)),
        ):
            await clients.add(client)
        await users.add(User("nora", "Nora", fhir_user="Practitioner/1"))
        await users.add(User("former", "Former", fhir_user="Practitioner/2", active=False))
    made.secret = await clients.new_secret("confidential")


def claims(client: str = "service", **changed: Any) -> Json:
    """Those of a good assertion; None removes one, "+30" is a moment in 30 seconds."""
    good: Json = {
        "iss": client,
        "sub": client,
        "aud": f"{ORIGIN}/auth/token",
        "exp": "+240",
        "jti": secrets.token_hex(8),
    }
    return {name: _moment(value) for name, value in {**good, **changed}.items() if value is not None}


def _moment(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in "+-" and value[1:].isdigit():
        return int(time.time()) + int(value)
    return value


def assertion(
    client: str = "service", key: str = "rsa", header: Json | None = None, signer: Any = None, **changed: Any
) -> str:
    """A signed assertion of this client; `header` and the claims `changed` replace what is good."""
    alg = "ES384" if key in ("ec", "foreign-ec") else "ES256" if key == "p256" else "RS384"
    kid = {"foreign": "rsa", "foreign-ec": "ec"}.get(key, key)
    head = {name: _key(value) for name, value in {"alg": alg, "kid": kid, "typ": "JWT", **(header or {})}.items()}
    head = {name: value for name, value in head.items() if value is not None}
    payload = json.encode(claims(client, **changed))
    text = f"{_b64(json.encode(head))}.{_b64(payload)}"
    if head.get("alg") == "none":
        return f"{text}."
    if str(head.get("alg")).startswith("HS"):
        return f"{text}.{_b64(hmac.digest(RSA.as_pem(private=False), text.encode(), hashlib.sha256))}"
    model = jws.JWSRegistry.algorithms[alg]
    return f"{text}.{_b64(model.sign(text.encode(), signer or KEYS[key]))}"


def _key(value: Any) -> Any:
    """ "@foreign" is that public key."""
    return KEYS[value[1:]].as_dict(private=False) if isinstance(value, str) and value[:1] == "@" else value


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(text: str) -> Json:
    """The parameters of private_key_jwt."""
    return {"client_assertion_type": TYPE, "client_assertion": text}
