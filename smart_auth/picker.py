"""The choice of a patient for launch/patient and of a visit for launch/encounter, among those the user may see.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html#standalone-apps
"""

from __future__ import annotations

import re
from datetime import date
from urllib.parse import urlencode

from starlette.responses import Response

from fhir_server.rest.router import Router
from smart_auth import records
from smart_auth.authorize import agreed, note, refuse
from smart_auth.notes import note as note_audit
from smart_auth.page import Pages
from smart_auth.pending import Pending
from smart_auth.service import SmartAuth
from smart_auth.visit import Visit

_DATE = re.compile(r"\d{4}(?:-\d{2}(?:-\d{2})?)?")


def routes(auth: SmartAuth) -> Router:
    """/auth/patient and /auth/encounter."""
    pages = Pages(auth)

    @pages.get("/auth/patient")
    async def search(visit: Visit) -> Response:
        return await _patients(visit, await agreed(visit))

    @pages.post("/auth/patient")
    async def choose(visit: Visit) -> Response:
        pending = await agreed(visit)
        if visit.form.one("decision") == "deny":
            return await _refused(visit, pending)
        assert visit.user is not None
        client = pending.request.client.id
        found = await records.patient(auth, visit.user, client, visit.base_url, visit.form.one("patient"))
        if found is None or not pending.wants_patient:
            return await _patients(visit, pending, 422, "Choose a patient from the list.")
        await note(visit, pending, context={**pending.context, "patient": found.id})
        return visit.go("/auth/continue", request=pending.id)

    @pages.get("/auth/encounter")
    async def visits(visit: Visit) -> Response:
        return await _encounters(visit, await agreed(visit))

    @pages.post("/auth/encounter")
    async def choose_visit(visit: Visit) -> Response:
        pending = await agreed(visit)
        chosen = visit.form.one("encounter")
        if visit.form.one("decision") == "deny":
            return await _refused(visit, pending)
        if not pending.wants_encounter:
            return visit.go("/auth/continue", request=pending.id)
        if not chosen:
            await note(visit, pending, no_encounter=True)
            return visit.go("/auth/continue", request=pending.id)
        if chosen not in {one.id for one in await _visits(visit, pending)}:
            return await _encounters(visit, pending, 422, "Choose a visit from the list.")
        await note(visit, pending, context={**pending.context, "encounter": chosen})
        return visit.go("/auth/continue", request=pending.id)

    return pages.router


async def _refused(visit: Visit, pending: Pending) -> Response:
    return await refuse(visit, pending, pending.request.refuse("access_denied", "The user said no."))


def _is_date(text: str) -> bool:
    """Whether this is a year, a month or a day of the calendar."""
    if not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text + "-01-01"[len(text) - 4 :])
    except ValueError:
        return False
    return True


async def _patients(visit: Visit, pending: Pending, status: int = 200, failed: str = "") -> Response:
    assert visit.user is not None
    if not pending.wants_patient:
        return visit.go("/auth/continue", request=pending.id)
    name, birth = visit.query("name")[:100], visit.query("birthdate")
    errors = {}
    if birth and not _is_date(birth):
        errors["birthdate"], birth = "Write the birth date as year-month-day, such as 1984-02-29.", ""
    client = pending.request.client
    found = await records.patients(visit.auth, visit.user, client.id, visit.base_url, name=name, birth=birth)
    query = urlencode({"name": name, "birthdate": birth})
    await note_audit(visit, "search-type", client=client.id, type_="Patient", query=query, patients=_ids(found))
    return visit.show(
        "patient.html",
        422 if errors else status,
        request=pending.id,
        client=client,
        name=name,
        birthdate=visit.query("birthdate"),
        found=found[: records.MOST],
        more=len(found) > records.MOST,
        searchable=visit.user.fhir_user.partition("/")[0] not in ("Patient", "RelatedPerson", "Person"),
        searched=bool(name or birth),
        failed=failed,
        errors=errors,
    )


def _ids(found: list[records.Choice]) -> tuple[str, ...]:
    return tuple(one.id for one in found)


async def _visits(visit: Visit, pending: Pending) -> list[records.Choice]:
    assert visit.user is not None
    client = pending.request.client.id
    return await records.encounters(visit.auth, visit.user, client, visit.base_url, pending.context["patient"])


async def _encounters(visit: Visit, pending: Pending, status: int = 200, failed: str = "") -> Response:
    if not pending.wants_encounter:
        return visit.go("/auth/continue", request=pending.id)
    found = await _visits(visit, pending)
    return visit.show(
        "encounter.html", status, request=pending.id, client=pending.request.client, found=found, failed=failed
    )
