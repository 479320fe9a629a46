"""`fhir-server token`: an access token for a script, without a browser; the audit trail tells of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fhir_server.cli._accounts import record, with_accounts
from fhir_server.cli.options import DataDir, refuse, settings_with

if TYPE_CHECKING:
    from fhir_server.main import Server
    from smart_auth.clients import Client
    from smart_auth.grant import Grant
    from smart_auth.service import SmartAuth
    from smart_auth.users import User

COMMAND = "fhir-server-token"  # the client of tokens that are nobody else's: disabling it ends them all


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
        from smart_auth.grant import Grant, new_id

        app, person = await _client(auth, client), await _user(auth, user)
        grant = Grant(
            new_id(),
            app.id,
            user=person.id if person is not None else "",
            fhir_user=person.fhir_user if person is not None else "",
            scopes=scope,
            context=await _context(server, patient, person),
        )
        if wrong := list(_refusals(grant, app.scopes)):
            raise ValueError("no token:\n  " + "\n  ".join(wrong))
        issued = await auth.tokens.issue(grant, seconds=minutes * 60)
        await record(server, settings, "token", scope, grant)
        return issued.grant.scopes, issued.access

    granted, access = with_accounts(settings, task)
    typer.echo(f"Scopes: {granted}", err=True)
    typer.echo(access)


async def _client(auth: SmartAuth, id_: str) -> Client:
    """The client the token is for; the command's own is made when it is needed first."""
    from smart_auth.clients import Client

    if not id_ and await auth.clients.get(COMMAND) is None:
        own = Client(COMMAND, "Tokens of the command line", grant_types=("refresh_token",))  # nobody signs in with it
        with suppress(ValueError):  # another command was first
            await auth.clients.add(own)
    found = await auth.clients.get(id_ or COMMAND)
    if found is None or not found.active:
        raise ValueError(f"there is no active client {id_ or COMMAND}.")
    return found


async def _user(auth: SmartAuth, login: str) -> User | None:
    found = await auth.users.get(login) if login else None
    if login and (found is None or not found.active):
        raise ValueError(f"there is no active user {login}.")
    return found


async def _context(server: Server, patient: str, user: User | None) -> dict[str, Any]:
    """The patient in context: the one named, or the user who is one."""
    from fhir_server.access.principal import SYSTEM

    if not patient and user is not None and user.fhir_user.startswith("Patient/"):
        patient = user.fhir_user
    id_ = patient.removeprefix("Patient/")
    if id_:
        found = await server.repository.read(SYSTEM, "Patient", id_)
        if found is None or found.deleted:
            raise ValueError(f"there is no Patient/{id_}.")
    return {"patient": id_} if id_ else {}


def _refusals(grant: Grant, registered: str) -> Iterator[str]:
    """Why a scope cannot be given: a token that may do less than asked for would only fail later."""
    from smart_auth.scopes import grantable, is_known, is_within, words

    asked = words(grant.scopes)
    if not asked:
        yield "no scope is asked for."
    for one in asked:
        if not is_known(one):
            yield f"{one}: this server has no such scope."
        elif registered and not is_within(one, words(registered)):
            yield f"{one}: more than the client {grant.client} is registered for."
        elif not grantable([one], grant.context, user=bool(grant.user)):
            yield f"{one}: {_NEEDS.get(one.partition('/')[0], 'needs --user')}."


_NEEDS = {
    "patient": "needs --patient",
    "system": "is for services, not for a user",
    "launch": "is for an app that is launched",
}
