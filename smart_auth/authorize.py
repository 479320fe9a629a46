"""The authorization endpoint, and the way from there: sign in, agree, choose a patient and a visit, back to the app.

Every page on the way ends at /auth/continue, which knows what comes next.
https://hl7.org/fhir/smart-app-launch/app-launch.html#obtain-authorization-code
"""

from __future__ import annotations

from datetime import timedelta

from starlette.responses import Response

from fhir_server.rest.router import Router
from smart_auth import notes, records
from smart_auth.authorize_request import AuthorizeRequest, answer, parse
from smart_auth.errors import NoRedirect, Redirect
from smart_auth.grant import Grant, new_id
from smart_auth.limits import Limit
from smart_auth.page import Pages
from smart_auth.pending import Pending
from smart_auth.scopes import grantable
from smart_auth.service import SmartAuth
from smart_auth.store import now
from smart_auth.visit import Visit, origin_of

STARTS = Limit("authorize", 600, 15 * 60)  # per user, or before they sign in per address: a hospital may be one


def routes(auth: SmartAuth) -> Router:
    """/auth/authorize and /auth/continue."""
    pages = Pages(auth)

    @pages.get("/auth/authorize")
    async def authorize(visit: Visit) -> Response:
        return await _begin(visit, visit.request.query_params.multi_items())

    @pages.post("/auth/authorize", checked=False)
    async def authorize_by_form(visit: Visit) -> Response:
        return await _begin(visit, [*visit.request.query_params.multi_items(), *visit.form.pairs()])

    @pages.get("/auth/continue")
    async def go_on(visit: Visit) -> Response:
        pending = await waiting(visit)
        try:
            return await _next(visit, pending)
        except Redirect as refusal:
            return await refuse(visit, pending, refusal)

    return pages.router


async def _begin(visit: Visit, parameters: list[tuple[str, str]]) -> Response:
    try:
        request = await parse(parameters, visit.auth.clients, visit.base_url)
    except Redirect as refusal:
        return _refused(visit, refusal)
    await visit.auth.limits.count(STARTS, visit.user.id if visit.user is not None else visit.address)
    id_ = await visit.auth.requests.add(request)
    # A form that another site sent comes without the cookie; this address is fetched with it.
    return visit.go("/auth/continue", request=id_)


async def waiting(visit: Visit) -> Pending:
    """The request that a page belongs to, by its parameter `request`: begun in this browser, and by this user.

    Raises NoRedirect when it waits no longer, or is somebody else's; theirs stays as it is.
    """
    id_ = visit.form.one("request") or visit.query("request")
    pending = await visit.auth.requests.claim(id_, visit.browser) if id_ else None
    if pending is None:
        raise NoRedirect("This sign-in has taken too long, is finished, or began elsewhere. Open the app again.")
    if pending.session and visit.user is not None and (visit.session is None or visit.session.id != pending.session):
        raise NoRedirect("Somebody else has signed in since this began. Open the app again.")
    visit.targets = form_targets(pending.request)
    return pending


async def agreed(visit: Visit) -> Pending:
    """The same, for the pages after consent: only in the session in which it was given. Raises NoRedirect."""
    pending = await waiting(visit)
    if visit.session is None or visit.user is None or pending.session != visit.session.id or pending.granted is None:
        raise NoRedirect("You have signed out, or as somebody else, since this began. Open the app again.")
    return pending


def form_targets(request: AuthorizeRequest) -> tuple[str, ...]:
    """Where the answer to a form may lead: browsers hold redirects against the page's form-action, too."""
    places = [origin_of(uri) for uri in (*request.client.redirect_uris, *request.client.origins)]
    return tuple(dict.fromkeys(places))


def must_sign_in(visit: Visit, pending: Pending) -> bool:
    """Whether the app, or the user's absence, asks for a sign-in on the way of this request."""
    if visit.session is None or visit.user is None:
        return True
    request = pending.request
    if {"login", "select_account"} & set(request.prompt) and visit.session.signed_in < pending.started:
        return True
    return request.max_age is not None and _age(visit) > timedelta(seconds=request.max_age)


def _age(visit: Visit) -> timedelta:
    assert visit.session is not None
    return now() - visit.session.signed_in


async def _next(visit: Visit, pending: Pending) -> Response:
    """The page that comes next, or the app. Raises Redirect when the app must hear a refusal."""
    request, silent = pending.request, "none" in pending.request.prompt
    if must_sign_in(visit, pending):
        if silent:
            raise request.refuse("login_required")
        return visit.go("/auth/login", request=pending.id)
    assert visit.session is not None
    if request.launch and not pending.launched:
        pending = await _launched(visit, pending)
    if pending.granted is None and request.client.trusted and "consent" not in request.prompt:
        pending = await note(visit, pending, granted=request.scopes)
    if pending.granted is None:
        if silent:
            raise request.refuse("consent_required")
        return visit.go("/auth/consent", request=pending.id)
    pending = await _with_only_patient(visit, pending)
    for is_open, path in ((pending.wants_patient, "/auth/patient"), (pending.wants_encounter, "/auth/encounter")):
        if is_open:
            if silent:
                raise request.refuse("interaction_required")
            return visit.go(path, request=pending.id)
    return await _finish(visit, pending)


async def note(visit: Visit, pending: Pending, **changes: object) -> Pending:
    """Keep how far it has come; the request as it is now."""
    assert visit.session is not None
    await visit.auth.requests.change(pending, session=visit.session.id, **changes)
    found = await visit.auth.requests.find(pending.id)
    if found is None:
        raise NoRedirect("This sign-in is finished already. Open the app again.")
    return found


async def _launched(visit: Visit, pending: Pending) -> Pending:
    """With the context of the EHR that opened the app, which is good for one launch."""
    assert visit.user is not None
    request = pending.request
    context = await visit.auth.launches.take(request.launch, request.client.id, visit.user.fhir_user)
    if context is None:
        raise request.refuse("invalid_request", "The launch is unknown, too old, used before, or for somebody else.")
    return await note(visit, pending, context=context, launched=True)


async def _with_only_patient(visit: Visit, pending: Pending) -> Pending:
    """Who has one record only is not asked which."""
    if not pending.wants_patient:
        return pending
    assert visit.user is not None
    own = await records.own_patients(visit.auth, visit.user, pending.request.client.id)
    if own is None or len(own) != 1:
        return pending
    return await note(visit, pending, context={**pending.context, "patient": own[0]})


async def _finish(visit: Visit, pending: Pending) -> Response:
    """A code for what was agreed to and can be honoured; the app gets it once."""
    assert visit.session is not None
    assert visit.user is not None
    request = pending.request
    scopes = grantable(pending.granted or (), pending.context, user=True)
    if not scopes:
        raise request.refuse("access_denied", "Nothing of what was asked for can be given.")
    if not await visit.auth.requests.take(pending):
        raise NoRedirect("This sign-in is finished already. Open the app again.")
    grant = Grant(
        new_id(),
        request.client.id,
        visit.user.id,
        visit.user.fhir_user,
        scopes,
        pending.context,
        session=visit.session.id,
        nonce=request.nonce,
        signed_in=visit.session.signed_in,
    )
    about = (str(pending.context["patient"]),) if "patient" in pending.context else ()
    await notes.note(visit, "authorize", client=request.client.id, query=scopes, patients=about)
    code = await visit.auth.codes.issue(grant, request.redirect_uri, request.code_challenge)
    return visit.away(answer(request.redirect_uri, visit.root, code=code, state=request.state))


async def refuse(visit: Visit, pending: Pending, refusal: Redirect) -> Response:
    """Tell the app that it will not get what it asked for; the request is over."""
    await visit.auth.requests.take(pending)
    return _refused(visit, refusal)


def _refused(visit: Visit, refusal: Redirect) -> Response:
    """Back to the app with the refusal. Raises NoRedirect where it could be bait.

    Whoever can register an app could otherwise use this server's name to lead anybody anywhere, without a word:
    https://www.rfc-editor.org/rfc/rfc9700#section-4.11.2
    """
    description = refusal.description or None
    if refusal.self_registered and visit.user is None:
        raise NoRedirect(description or "The app asked for something that cannot be done before you sign in.")
    told = {"error": refusal.error, "error_description": description, "state": refusal.state}
    return visit.away(answer(refusal.redirect_uri, visit.root, **told))
