"""The authorization server's parts, made once per process. Their endpoints are in `smart_auth.routes`."""

from __future__ import annotations

from typing import Any

from fhir_server.audit.trail import Trail
from fhir_server.config import Settings
from fhir_server.mail import Mail
from fhir_server.storage.database import Database
from fhir_server.storage.repository import Repository
from fhir_server.validation import Validator
from smart_auth import bundled, outside_discovery
from smart_auth.authenticator import Authenticator
from smart_auth.changes import Changes
from smart_auth.client_authentication import ClientAuthentication
from smart_auth.clients import Clients
from smart_auth.codes import Codes
from smart_auth.external import External
from smart_auth.keys import Keys
from smart_auth.launches import Launches
from smart_auth.limits import Limits
from smart_auth.links import Links
from smart_auth.pending import Requests
from smart_auth.sessions import Sessions
from smart_auth.subscribers import Subscribers
from smart_auth.tokens import Tokens
from smart_auth.users import Users


class SmartAuth:
    """Everything the endpoints work with; each of their modules has `def routes(auth: SmartAuth) -> Router`.

    Raises ValueError when the settings of an outside authorization server do not suffice.
    """

    def __init__(self, settings: Settings, database: Database, repository: Repository) -> None:
        self.settings = settings
        self.database = database
        self.repository = repository
        self.changes = Changes(database)
        self.keys = Keys(settings, database)
        self.tokens = Tokens(database, self.changes)
        self.codes = Codes(database, self.tokens)
        self.clients = Clients(database, self.changes, self.tokens)
        self.client_authentication = ClientAuthentication(settings, database, self.clients)
        self.launches = Launches(database, self.clients)
        self.requests = Requests(database, self.clients)
        self.users = Users(database, self.changes)
        self.sessions = Sessions(settings, database, self.tokens)
        self.limits = Limits(database)
        self.links = Links(database)
        self.mail = Mail(settings)
        self.trail: Trail | None = None  # where the pages' audit entries go; set by whoever has one
        # The smart-configuration of an outside server, named instead of our own; learnt at the start.
        self.outside: dict[str, Any] | None = None
        self.validator: Validator | None = None  # of what the pages store; set likewise
        base_url = settings.base_url or f"http://{settings.host}:{settings.port}/fhir"
        self.authenticator = Authenticator(
            self.changes,
            self.tokens,
            self.users,
            self.clients,
            repository,
            base_url.rstrip("/"),
            external=External.configured(settings, base_url),
            external_role=settings.external_role,
        )
        self.subscribers = Subscribers(
            self.changes,
            self.tokens,
            self.clients,
            self.sessions,
            self.authenticator,
            issuer=settings.external_issuer,
        )

    async def prepare(self) -> None:
        """Make collections, indexes and what the first start makes. Raises RuntimeError for a wrong master key."""
        for part in (
            self.keys,
            self.tokens,
            self.codes,
            self.clients,
            self.client_authentication,
            self.launches,
            self.requests,
            self.users,
            self.sessions,
            self.limits,
            self.links,
        ):
            await part.prepare()
        await bundled.prepare(self.database)

    async def start(self) -> None:
        """Follow what other processes change, until `stop`; after `prepare`."""
        await self.changes.start()
        if self.settings.external_issuer:
            self.outside = await outside_discovery.find(self.settings.external_issuer)

    async def stop(self) -> None:
        """Follow no longer, and let the mail that is on its way go out."""
        await self.subscribers.finish()
        await self.changes.stop()
        await self.mail.finish()


def issuer(base_url: str) -> str:
    """The issuer of a FHIR base URL: what stands before "/fhir"."""
    return base_url.rstrip("/").removesuffix("/fhir")
