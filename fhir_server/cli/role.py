"""`fhir-server role`: what the roles may do, and who has which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fhir_server.cli._accounts import record, with_accounts
from fhir_server.cli.options import DataDir, refuse, settings_with
from fhir_server.config import Settings

if TYPE_CHECKING:
    from fhir_server.main import Server
    from smart_auth.service import SmartAuth


def role(
    name: Annotated[str, typer.Argument(help="A role; none lists all.")] = "",
    user: Annotated[str, typer.Option("--user", help="Give the role to this user (with --take, take it away).")] = "",
    take: Annotated[bool, typer.Option("--take", help="Take the role away from --user.")] = False,
    data_dir: DataDir = None,
) -> None:
    """List the roles, show what one may do, or give it to a user or take it away: in force from the next request."""
    from fhir_server.access import roles as policy
    from fhir_server.access.policy import PolicyError

    settings = settings_with(data_dir=data_dir)
    if settings.roles is not None:
        try:
            policy.install(settings.roles)
        except PolicyError as wrong:
            raise refuse(str(wrong)) from None
    known = policy.policy().roles
    if name and name not in known:
        raise refuse(f"there is no role {name}; there are {', '.join(sorted(known))}.")
    if take and not user:
        raise refuse("name the user: --user.")
    if user:
        if not name:
            raise refuse("name the role.")
        typer.echo(_give(name, user, take, settings))
        return
    for one in [known[name]] if name else known.values():
        typer.echo(f"{one.name}: {one.about}")
        if name:
            for group, lines in one.given.items():
                typer.echo(f"  {group}: {'; '.join(map(str, lines))}")


def _give(name: str, user: str, take: bool, settings: Settings) -> str:
    async def task(auth: SmartAuth, server: Server) -> str:
        found = await auth.users.get(user)
        if found is None:
            raise ValueError(f"there is no user {user}.")
        kept = [one for one in found.roles if one != name]
        await auth.users.set_roles(found.id, kept if take else [*kept, name])
        await record(server, settings, "role", f"{'take' if take else 'give'} {name} {found.id}")
        return f"{found.id} is {'no longer ' if take else ''}{name}."

    return with_accounts(settings, task)
