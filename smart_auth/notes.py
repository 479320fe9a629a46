"""What people do on the pages, for the audit trail: durable before the page answers."""

from __future__ import annotations

from fhir_server.audit.entry import Agent, Entry, action, now
from smart_auth.users import User
from smart_auth.visit import Visit


def agent_of(visit: Visit, user: User | None, client: str = "") -> Agent:
    """Who acts, and from where."""
    return Agent.of(
        user.id if user is not None else "nobody",
        user=user.fhir_user if user is not None else "",
        client=client,
        roles=user.roles if user is not None else (),
        address=visit.request.client.host if visit.request.client else "",
        software=visit.request.headers.get("user-agent", ""),
    )


async def note(
    visit: Visit,
    interaction: str,
    status: int = 200,
    *,
    user: User | None = None,
    client: str = "",
    type_: str = "",
    query: str = "",
    patients: tuple[str, ...] = (),
) -> None:
    """Record it: login, logout, authorize, password, second-factor, revoke, or an interaction of R4 by its code.

    `patients` are ids. Raises Unavailable (503), and then nothing else may be answered.
    """
    trail = visit.auth.trail
    if trail is None:
        return
    entry = Entry(
        now(),
        interaction,
        action(interaction),
        status,
        agent_of(visit, user or visit.user, client),
        type=type_,
        query=query,
        patients=tuple(f"Patient/{one}" for one in patients),
    )
    await trail.record([entry])
