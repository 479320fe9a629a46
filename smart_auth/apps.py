"""Your apps: which apps may do what, since when, how lately they were here, and the button that ends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.responses import Response

from fhir_server.outcomes import FhirError
from fhir_server.rest.router import Router
from smart_auth import offers, records
from smart_auth.grant import Grant
from smart_auth.notes import note
from smart_auth.page import Pages
from smart_auth.service import SmartAuth
from smart_auth.visit import Visit


@dataclass(frozen=True, slots=True)
class Allowed:
    """What one app may do for the user."""

    id: str
    name: str
    lines: tuple[str, ...]  # in plain words
    whose: tuple[str, ...]  # names of the patients
    since: datetime
    last: datetime | None
    stays: bool  # also while the user is away


def routes(auth: SmartAuth) -> Router:
    """/auth/apps, and /auth/apps/revoke."""
    pages = Pages(auth)

    @pages.get("/auth/apps")
    @pages.signed_in
    async def apps(visit: Visit) -> Response:
        note = "The app has no access any more." if visit.query("done") else ""
        return visit.show("apps.html", apps=await allowed(visit), note=note)

    @pages.post("/auth/apps/revoke")
    @pages.signed_in
    async def revoke(visit: Visit) -> Response:
        assert visit.user is not None
        await auth.tokens.revoke_client(visit.form.one("client"), visit.user.id)
        await note(visit, "revoke", client=visit.form.one("client")[:200])
        return visit.go("/auth/apps", done="yes")

    return pages.router


async def allowed(visit: Visit) -> list[Allowed]:
    """The apps that have access, the latest first."""
    assert visit.user is not None
    by_client: dict[str, list[Grant]] = {}
    for grant in await visit.auth.tokens.grants_of(visit.user.id):
        by_client.setdefault(grant.client, []).append(grant)
    ids = [grant.id for grants in by_client.values() for grant in grants]
    last = await visit.auth.tokens.last_issued(ids)
    return [await _allowed(visit, client, grants, last) for client, grants in by_client.items()]


async def _allowed(visit: Visit, id_: str, grants: Sequence[Grant], last: dict[str, datetime]) -> Allowed:
    client = await visit.auth.clients.get(id_)
    assert visit.user is not None
    scopes = list(dict.fromkeys(scope for grant in grants for scope in grant.scopes.split()))
    is_own = visit.user.fhir_user.startswith("Patient/")
    days = visit.auth.settings.offline_access_days
    groups = offers.offers(scopes, is_own=is_own, offline_days=days)
    lines = [f"{one.title} ({one.detail.rstrip('.')})" if _is_limit(one.detail) else one.title
             for name, some in groups for one in some if name != offers.TIME]  # fmt: skip
    patients = dict.fromkeys(str(grant.context["patient"]) for grant in grants if "patient" in grant.context)
    names = [await _name(visit, id_, patient) for patient in list(patients)[:5]]
    times = [last[grant.id] for grant in grants if grant.id in last]
    return Allowed(
        id_,
        client.name if client is not None and client.name else id_,
        tuple(dict.fromkeys(lines)),
        tuple(name for name in names if name and not is_own),
        min(grant.issued for grant in grants),
        max(times, default=None),
        "offline_access" in scopes,
    )


def _is_limit(detail: str) -> bool:
    return detail.startswith("Only")


async def _name(visit: Visit, client: str, patient: str) -> str:
    assert visit.user is not None
    try:
        found = await records.patient(visit.auth, visit.user, client, visit.base_url, patient)
    except FhirError:
        return ""
    return found.title if found is not None else ""
