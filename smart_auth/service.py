"""The authorization server's parts, made once per process. Their endpoints are in `smart_auth.routes`."""

from __future__ import annotations

from urllib.parse import urlsplit

from fhir_server.config import Settings
from fhir_server.storage.database import Database
from fhir_server.storage.repository import Repository
from smart_auth.clients import Clients
from smart_auth.codes import Codes
from smart_auth.keys import Keys
from smart_auth.launches import Launches
from smart_auth.tokens import Tokens


class SmartAuth:
    """Everything the endpoints work with: `def routes(auth: SmartAuth) -> APIRouter` in each of their modules."""

    def __init__(self, settings: Settings, database: Database, repository: Repository) -> None:
        self.settings = settings
        self.database = database
        self.repository = repository
        self.changes = Changes(database)  # noqa: F821 (comes with smart_auth/changes.py)
        self.keys = Keys(settings, database)
        self.tokens = Tokens(database, self.changes)
        self.clients = Clients(database, self.changes, self.tokens)
        self.codes = Codes(database, self.tokens)
        self.launches = Launches(database, self.clients)

    async def prepare(self) -> None:
        """Collections, indexes, and what is made at the first start."""
        for part in (self.keys, self.tokens, self.clients, self.codes, self.launches):
            await part.prepare()

    def base_url(self, seen: str) -> str:
        """The FHIR base: as configured, else as the caller sees it."""
        return self.settings.base_url.rstrip("/") if self.settings.base_url else seen


def issuer(base_url: str) -> str:
    """The issuer of a FHIR base URL: what stands before "/fhir"."""
    return base_url.removesuffix("/fhir")
