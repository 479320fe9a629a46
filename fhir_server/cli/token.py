"""`fhir-server token`: an access token for a script, without a browser; the audit trail tells of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fhir_server.cli._accounts import record, with_accounts
from fhir_server.cli.options import DataDir, refuse, settings_with

if TYPE_CHECKING:
    from fhir_server.main import Server
    from smart_auth.service import SmartAuth

COMMAND = "fhir-server-token"  # the client of tokens that are nobody else's


def token(
    scope: Annotated[str, typer.Option("--scope", help='What it may do: "system/*.rs", "patient/Observation.rs" …')],
    patient: Annotated[str, typer.Option("--patient", help="Id of the patient in context, for patient/ scopes.")] = "",
    user: Annotated[str, typer.Option("--user", help="Login name of the user it is for, for user/ scopes.")] = "",
    client: Annotated[str, typer.Option("--client", help="client_id it is for.")] = "",
    minutes: Annotated[int, typer.Option("--minutes", min=1, max=60, help="How long it lasts.")] = 60,
    data_dir: DataDir = None,
) -> None:
    """Mint an access token; it stands alone on the last line."""
    if user and client:
        raise refuse("a token is for a user or for a client.")
    settings = settings_with(data_dir=data_dir)

    async def task(auth: SmartAuth, server: Server) -> tuple[str, str]:
        from fhir_server.audit.entry import Agent, Entry, now
        from smart_auth.clients import Client
        from smart_auth.grant import Grant, new_id

        if client and await auth.clients.get(client) is None:
            raise ValueError(f"there is no client {client}.")
        if not client and await auth.clients.get(COMMAND) is None:
            await auth.clients.add(Client(COMMAND, "Tokens of the command line", redirect_uris=("http://localhost/",)))
        found = await auth.users.get(user) if user else None
        if user and (found is None or not found.active):
            raise ValueError(f"there is no active user {user}.")
        grant = Grant(
            new_id(),
            client or COMMAND,
            user=found.id if found is not None else "",
            fhir_user=found.fhir_user if found is not None else "",
            scopes=scope,
            context={"patient": patient.removeprefix("Patient/")} if patient else {},
        )
        issued = await auth.tokens.issue(grant, seconds=minutes * 60)
        if not issued.grant.scopes:
            raise ValueError("none of these scopes can be granted so: patient/ needs --patient, user/ needs --user.")
        agent = Agent.of("fhir-server token", user=grant.fhir_user, client=grant.client, grant=grant.id)
        patients = (f"Patient/{grant.context['patient']}",) if patient else ()
        await record(server, settings, Entry(now(), "token", "E", 200, agent, query=scope, patients=patients))
        return issued.grant.scopes, issued.access

    granted, access = with_accounts(settings, task)
    typer.echo(f"Scopes: {granted}", err=True)
    typer.echo(access)
