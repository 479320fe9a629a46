"""`fhir-server user`: the people who sign in, beside a running server or not."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterable
from getpass import getpass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fhir_server.cli._accounts import record, with_accounts
from fhir_server.cli.options import DataDir, refuse, settings_with

if TYPE_CHECKING:
    from fhir_server.main import Server
    from smart_auth.service import SmartAuth
    from smart_auth.users import User

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
    password = _typed() if password_stdin else secrets.token_urlsafe(12)

    async def task(auth: SmartAuth, server: Server) -> list[str]:
        if action == "list":
            return [_line(one) async for one in auth.users.list()]
        if action == "add":
            from smart_auth.users import User

            new = User(login, name, email, fhir_user=fhir_user, roles=_known(role or ()), verified=bool(email))
            made = await auth.users.add(new, password)
            lines = [f"Added {made.id}.", *([] if password_stdin else [f"Password: {password}"])]
        else:
            found = await auth.users.get(login)
            if found is None:
                raise ValueError(f"there is no user {login}.")
            lines = [await _change(auth, action, found, password)]
            if action == "password" and not password_stdin:
                lines.append(f"Password: {password}")
        await record(server, settings, "user", f"{action} {login.lower()}")
        return lines

    for line in with_accounts(settings, task):
        typer.echo(line)


def _typed() -> str:
    """One line of standard input, which a terminal does not show."""
    return getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")


async def _change(auth: SmartAuth, action: Action, user: User, password: str) -> str:
    """Do it to the user; whoever may not go on as before is signed out everywhere."""
    if action == "enable":
        await auth.users.set_active(user.id, True)
        return f"{user.id} may sign in."
    if action == "password":
        await auth.users.set_password(user.id, password)
        said = f"Changed; whoever was signed in as {user.id} is signed out."
    elif action == "disable":
        await auth.users.set_active(user.id, False)
        said = f"{user.id} may not sign in any more; every token is revoked."
    else:
        await auth.users.remove(user.id)
        said = f"Removed {user.id}; every token is revoked."
    await auth.sessions.end_all(user.id)
    await auth.tokens.revoke_user(user.id)
    return said


def _known(roles: Iterable[str]) -> tuple[str, ...]:
    """The roles, each of which there is."""
    from fhir_server.access import roles as policy

    if unknown := set(roles) - set(policy.policy().roles):
        raise ValueError(f"there is no role {', '.join(sorted(unknown))}; `fhir-server role` lists them.")
    return tuple(roles)


def _line(one: User) -> str:
    state = "" if one.active else "  (disabled)"
    return f"{one.id}  {', '.join(one.roles) or 'no role'}  {one.fhir_user or '-'}{state}"
