"""The commands about accounts, run as a user types them, on a database of the test module's own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

from pymongo import MongoClient
from typer.testing import CliRunner

from fhir_server.audit.entry import Entry
from fhir_server.audit.lines import decode
from fhir_server.cli import commands
from fhir_server.config import Settings
from fhir_server.main import running
from smart_auth.service import SmartAuth

T = TypeVar("T")


class Ended(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    lines: list[str]
    error: str


class Accounts:
    """`accounts("user", "list")` runs the command; `look` asks the authorization server itself."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._environment = {
            "FHIR_MONGODB_URI": settings.mongodb_uri or "",
            "FHIR_DATABASE": settings.database,
            "FHIR_DATA_DIR": str(settings.data_dir),
            "COLUMNS": "200",
        }

    def __call__(self, *arguments: str, typed: str = "") -> Ended:
        ended = CliRunner().invoke(commands(), list(arguments), input=typed, env=self._environment)
        if ended.exception is not None and not isinstance(ended.exception, SystemExit):
            raise ended.exception  # the user would see a traceback
        return Ended(ended.exit_code, ended.stdout.splitlines(), ended.stderr)

    def done(self, *arguments: str, typed: str = "") -> list[str]:
        """What a command said that has to succeed."""
        ended = self(*arguments, typed=typed)
        assert ended.code == 0, ended
        return ended.lines

    def refused(self, *arguments: str, typed: str = "") -> str:
        """Why a command was refused: in words, with nothing on standard output."""
        ended = self(*arguments, typed=typed)
        assert (ended.code, ended.lines) == (1, []), ended
        assert ended.error.startswith("fhir-server: ")
        return ended.error

    def look(self, work: Callable[[SmartAuth], Awaitable[T]]) -> T:
        async def run() -> T:
            async with running(self.settings) as server:
                auth = SmartAuth(self.settings, server.database, server.repository)
                await auth.prepare()
                return await work(auth)

        return asyncio.run(run())

    def trail(self) -> list[Entry]:
        """Every entry of the audit trail, the latest last."""
        with MongoClient[dict[str, Any]](self.settings.mongodb_uri) as client:
            groups = client[f"{self.settings.database}_system"]["audit"].find().sort("t", 1)
            return [entry for row in groups for entry in decode(row["e"])]
