"""`fhir-server client`: the apps and backend services that may ask for tokens."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fhir_server.cli._accounts import record, with_accounts
from fhir_server.cli.options import DataDir, refuse, settings_with

if TYPE_CHECKING:
    from fhir_server.main import Server
    from smart_auth.clients import Client, Kind
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
    if secret and (jwks is not None or jwks_uri):
        raise refuse("a client has a secret or keys.")
    settings = settings_with(data_dir=data_dir)
    keys = _read(jwks) if jwks is not None else None

    async def task(auth: SmartAuth, server: Server) -> list[str]:
        if action == "list":
            return [_line(one) for one in await auth.clients.list()]
        if action == "add":
            from smart_auth.clients import Client, new_client_id

            made = await auth.clients.add(
                Client(
                    client_id or new_client_id(),
                    name or client_id or "An app",
                    _kind(has_keys=keys is not None or bool(jwks_uri), has_secret=secret),
                    jwks=keys,
                    jwks_uri=jwks_uri,
                    redirect_uris=tuple(redirect_uri or ()),
                    launch_uri=launch_uri,
                    scopes=scope,
                    grant_types=("client_credentials",) if backend else ("authorization_code", "refresh_token"),
                    origins=tuple(origin or ()),
                    trusted=trusted,
                )
            )
            lines = [f"client_id: {made.id}"]
            if secret:
                lines.append(f"client_secret: {await auth.clients.new_secret(made.id)}")
        else:
            found = await auth.clients.get(client_id)
            if found is None:
                raise ValueError(f"there is no client {client_id}.")
            made, lines = found, [await _change(auth, action, found)]
        await record(server, settings, "client", f"{action} {made.id}")
        return lines

    for line in with_accounts(settings, task):
        typer.echo(line)


async def _change(auth: SmartAuth, action: Action, client: Client) -> str:
    if action == "secret":
        return f"client_secret: {await auth.clients.new_secret(client.id)}"
    if action == "remove":
        await auth.clients.remove(client.id)
        return f"Removed {client.id}; its tokens are revoked."
    await auth.clients.update(replace(client, active=action == "enable"))
    return f"{client.id} is enabled." if action == "enable" else f"{client.id} is disabled; its tokens are revoked."


def _kind(*, has_keys: bool, has_secret: bool) -> Kind:
    if has_keys:
        return "confidential-asymmetric"
    return "confidential-symmetric" if has_secret else "public"


def _read(jwks: Path) -> dict[str, Any]:
    try:
        keys = json.loads(jwks.read_bytes())
    except OSError as error:
        raise refuse(f"{jwks} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise refuse(f"{jwks} holds no JSON.") from None
    if not isinstance(keys, dict):
        raise refuse(f'{jwks} holds no JWK Set: {{"keys": [...]}}.')
    return keys


def _line(one: Client) -> str:
    return f"{one.id}  {one.kind}  {one.name}{'' if one.active else '  (disabled)'}"
