"""`fhir-server user`: the people who sign in, beside a running server or not."""

from __future__ import annotations

import secrets
import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fhir_server.cli._accounts import with_accounts
from fhir_server.cli.options import DataDir, refuse, settings_with

if TYPE_CHECKING:
    from fhir_server.main import Server
    from smart_auth.service import SmartAuth

Action = Literal["add", "list", "password", "disable", "enable", "remove"]


def user(
    action: Annotated[Action, typer.Argument(help="What to do.")],
    login: Annotated[str, typer.Argument(help="Login name.")] = "",
    role: Annotated[list[str] | None, typer.Option("--role", help="A role, may be repeated; see `role`.")] = None,
    fhir_user: Annotated[str, typer.Option("--fhir-user", help="Who it is: Practitioner/ID, Patient/ID …")] = "",
    name: Annotated[str, typer.Option("--name", help="Name as it is shown.")] = "",
    email: Annotated[str, typer.Option("--email", help="E-mail address, for password reset.")] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input; else one is made.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Add, list, disable, enable or remove users, or give one a new password (made at random and printed)."""
    if action != "list" and not login:
        raise refuse("name the user.")
    settings = settings_with(data_dir=data_dir)
    password = sys.stdin.readline().rstrip("\n") if password_stdin else secrets.token_urlsafe(12)

    async def task(auth: SmartAuth, _: Server) -> list[str]:
        from fhir_server.access import roles as policy
        from smart_auth.users import User

        if action == "list":
            return [_line(one) async for one in auth.users.list()]
        if action == "add":
            if unknown := set(role or ()) - set(policy.policy().roles):
                raise ValueError(f"there is no role {', '.join(sorted(unknown))}; `fhir-server role` lists them.")
            new = User(login, name, email, fhir_user=fhir_user, roles=tuple(role or ()), verified=bool(email))
            made = await auth.users.add(new, password)
            return [f"Added {made.id}.", *([] if password_stdin else [f"Password: {password}"])]
        if await auth.users.get(login) is None:
            raise ValueError(f"there is no user {login}.")
        if action == "password":
            await auth.users.set_password(login, password)
            await auth.tokens.revoke_user(login)
            return [f"Changed; whoever was signed in as {login} is signed out.", f"Password: {password}"]
        if action == "enable":
            await auth.users.set_active(login, True)
            return [f"{login} may sign in."]
        await auth.tokens.revoke_user(login)
        if action == "disable":
            await auth.users.set_active(login, False)
            return [f"{login} may not sign in any more; every token is revoked."]
        await auth.users.remove(login)
        return [f"Removed {login}; every token is revoked."]

    for line in with_accounts(settings, task):
        typer.echo(line)


def _line(one: object) -> str:
    from smart_auth.users import User

    assert isinstance(one, User)
    state = "" if one.active else "  (disabled)"
    return f"{one.id}  {', '.join(one.roles) or 'no role'}  {one.fhir_user or '-'}{state}"
