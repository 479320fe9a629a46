"""`fhir-server client`: the apps and backend services that may ask for tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fhir_server.cli._accounts import with_accounts
from fhir_server.cli.options import DataDir, refuse, settings_with

if TYPE_CHECKING:
    from fhir_server.main import Server
    from smart_auth.service import SmartAuth

Action = Literal["add", "list", "secret", "disable", "enable", "remove"]


def client(
    action: Annotated[Action, typer.Argument(help="What to do.")],
    client_id: Annotated[str, typer.Argument(help="client_id; `add` makes one when it is left out.")] = "",
    name: Annotated[str, typer.Option("--name", help="Name as users see it.")] = "",
    redirect_uri: Annotated[list[str] | None, typer.Option("--redirect-uri", help="Exact; may be repeated.")] = None,
    launch_uri: Annotated[str, typer.Option("--launch-uri", help="Where an EHR launch begins.")] = "",
    origin: Annotated[
        list[str] | None, typer.Option("--origin", help="Of its pages, for CORS; may be repeated.")
    ] = None,
    scope: Annotated[str, typer.Option("--scope", help="The most it may get; a backend service needs it.")] = "",
    secret: Annotated[bool, typer.Option("--secret", help="Confidential: a secret is made and printed.")] = False,
    jwks: Annotated[Path | None, typer.Option("--jwks", help="Confidential: its public keys, a JWK Set file.")] = None,
    jwks_uri: Annotated[str, typer.Option("--jwks-uri", help="Confidential: where its public keys are.")] = "",
    backend: Annotated[bool, typer.Option("--backend", help="A backend service: client_credentials.")] = False,
    trusted: Annotated[bool, typer.Option("--trusted", help="Users are not asked for consent.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Add, list, disable, enable or remove clients, or give one a new secret."""
    if action not in ("list", "add") and not client_id:
        raise refuse("name the client.")
    settings = settings_with(data_dir=data_dir)
    keys = json.loads(jwks.read_text()) if jwks is not None else None

    async def task(auth: SmartAuth, _: Server) -> list[str]:
        from dataclasses import replace

        from smart_auth.clients import Client, new_client_id

        if action == "list":
            return [
                f"{one.id}  {one.kind}  {one.name}{'' if one.active else '  (disabled)'}"
                for one in await auth.clients.list()
            ]
        if action == "add":
            asymmetric = keys is not None or bool(jwks_uri)
            kind = "confidential-asymmetric" if asymmetric else "confidential-symmetric" if secret else "public"
            grants = ("client_credentials",) if backend else ("authorization_code", "refresh_token")
            made = await auth.clients.add(
                Client(
                    client_id or new_client_id(),
                    name or client_id or "An app",
                    kind,  # type: ignore[arg-type]  # one of the three
                    jwks=keys,
                    jwks_uri=jwks_uri,
                    redirect_uris=tuple(redirect_uri or ()),
                    launch_uri=launch_uri,
                    scopes=scope,
                    grant_types=grants,
                    origins=tuple(origin or ()),
                    trusted=trusted,
                )
            )
            told = [f"client_id: {made.id}"]
            if kind == "confidential-symmetric":
                told.append(f"client_secret: {await auth.clients.new_secret(made.id)}")
            return told
        found = await auth.clients.get(client_id)
        if found is None:
            raise ValueError(f"there is no client {client_id}.")
        if action == "secret":
            return [f"client_secret: {await auth.clients.new_secret(client_id)}"]
        if action == "remove":
            await auth.clients.remove(client_id)
            return [f"Removed {client_id}; its tokens are revoked."]
        await auth.clients.update(replace(found, active=action == "enable"))
        return [f"{client_id} is {action}d."]

    for line in with_accounts(settings, task):
        typer.echo(line)
