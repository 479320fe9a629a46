"""`fhir-server key`: the keys that sign id_tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fhir_server.cli._accounts import record, with_accounts
from fhir_server.cli.options import DataDir, settings_with

if TYPE_CHECKING:
    from fhir_server.main import Server
    from smart_auth.service import SmartAuth


def key(
    action: Annotated[Literal["rotate", "list"], typer.Argument(help="What to do.")],
    data_dir: DataDir = None,
) -> None:
    """Sign with a new key from now on (the old one stays published until its last token is over), or list the keys."""
    settings = settings_with(data_dir=data_dir)

    async def task(auth: SmartAuth, server: Server) -> list[str]:
        if action == "rotate":
            made = await auth.keys.rotate()
            await record(server, settings, "key", f"rotate {made}")
            return [f"New key: {made}"]
        return [str(one["kid"]) for one in (await auth.keys.jwks())["keys"]]

    for line in with_accounts(settings, task):
        typer.echo(line)
