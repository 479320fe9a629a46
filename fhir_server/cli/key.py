"""`fhir-server key`: the keys that sign id_tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fhir_server.cli._accounts import with_accounts
from fhir_server.cli.options import DataDir, settings_with

if TYPE_CHECKING:
    from fhir_server.main import Server
    from smart_auth.service import SmartAuth


def key(
    action: Annotated[Literal["rotate", "list"], typer.Argument(help="What to do.")],
    data_dir: DataDir = None,
) -> None:
    """Sign with a new key from now on; the old one stays published until its last token has expired."""

    async def task(auth: SmartAuth, _: Server) -> list[str]:
        if action == "rotate":
            return [f"New key: {await auth.keys.rotate()}"]
        return [str(one["kid"]) for one in (await auth.keys.jwks())["keys"]]

    for line in with_accounts(settings_with(data_dir=data_dir), task):
        typer.echo(line)
