"""The consent page: what the app is, whose record it wants to use, what it would do there, and for how long."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.responses import Response

from fhir_server.rest.router import Router
from smart_auth import offers, records
from smart_auth.authorize import must_sign_in, note, refuse, waiting
from smart_auth.page import Pages
from smart_auth.pending import Pending
from smart_auth.scopes import LAUNCH
from smart_auth.service import SmartAuth
from smart_auth.visit import Visit


def routes(auth: SmartAuth) -> Router:
    """/auth/consent."""
    pages = Pages(auth)

    @pages.get("/auth/consent")
    async def ask(visit: Visit) -> Response:
        pending = await waiting(visit)
        if must_sign_in(visit, pending) or pending.granted is not None:
            return visit.go("/auth/continue", request=pending.id)
        return await _page(visit, pending)

    @pages.post("/auth/consent")
    async def decide(visit: Visit) -> Response:
        pending = await waiting(visit)
        if must_sign_in(visit, pending):
            return visit.go("/auth/continue", request=pending.id)
        if visit.form.one("decision") != "allow":
            return await refuse(visit, pending, pending.request.refuse("access_denied", "The user said no."))
        scopes = pending.request.scopes
        agreed = visit.form.all("agree")
        fields = {name: visit.form.all(name) for name, _ in visit.form.pairs() if name.startswith("category-")}
        granted = offers.granted(scopes, agreed, fields)
        if not set(granted) - set(LAUNCH):
            return await _page(visit, pending, 422, failed="Choose something that the app may do, or press Deny.")
        await note(visit, pending, granted=granted)
        return visit.go("/auth/continue", request=pending.id)

    return pages.router


async def _page(visit: Visit, pending: Pending, status: int = 200, failed: str = "") -> Response:
    assert visit.user is not None
    client, user = pending.request.client, visit.user
    is_own = user.fhir_user.startswith("Patient/")
    whose = ""
    if "patient" in pending.context:
        found = await records.patient(visit.auth, user, client.id, visit.base_url, pending.context["patient"])
        whose = found.title if found is not None else "a patient whom you may not see"
    elif is_own:
        whose = "you"
    return visit.show(
        "consent.html",
        status,
        client=client,
        host=_host(pending.request.redirect_uri),
        unknown=bool(client.registration_hash),
        groups=offers.offers(
            pending.request.scopes, is_own=is_own, offline_days=visit.auth.settings.offline_access_days
        ),
        whose=whose,
        chooses=not whose and _about_a_patient(pending.request.scopes),
        about_a_patient=_about_a_patient(pending.request.scopes),
        request=pending.id,
        failed=failed,
    )


def _about_a_patient(scopes: tuple[str, ...]) -> bool:
    return any(one == "launch/patient" or one.startswith("patient/") for one in scopes)


def _host(redirect_uri: str) -> str:
    """Where the app is, to be shown: its host, or that it is on this device."""
    parts = urlsplit(redirect_uri)
    return parts.netloc if parts.scheme in ("http", "https") else f"an app on this device ({parts.scheme})"
