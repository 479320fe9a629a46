"""What an app asks of the authorization endpoint, read strictly.

https://hl7.org/fhir/smart-app-launch/app-launch.html#obtain-authorization-code · RFC 6749 section 4.1 · RFC 7636
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from smart_auth.bundled import own_address
from smart_auth.clients import Client, Clients
from smart_auth.codes import is_challenge
from smart_auth.errors import NoRedirect, Redirect
from smart_auth.redirects import is_registered, origin_of, with_parameters
from smart_auth.scopes import narrowed, words

__all__ = ["AuthorizeRequest", "NoRedirect", "Redirect", "answer", "parse"]

MAX_LENGTH = 4000  # characters of one parameter
MAX_SCOPES = 200
_PROMPTS = frozenset({"none", "login", "consent", "select_account"})
_SCOPES = re.compile(r"[\x21\x23-\x5b\x5d-\x7e ]+")  # RFC 6749, section 3.3


@dataclass(frozen=True, slots=True)
class AuthorizeRequest:
    """A request that is in order: who asks, for what, and where the answer goes."""

    client: Client
    redirect_uri: str
    state: str | None
    code_challenge: str
    scopes: tuple[str, ...]  # those asked for that this server knows and the client may have, in order, each once
    launch: str = ""  # of an EHR launch; only with the scope `launch`
    nonce: str = ""
    prompt: tuple[str, ...] = ()  # none | login, consent, select_account
    max_age: int | None = None  # seconds since the last sign-in
    login_hint: str = ""

    def refuse(self, error: str, description: str = "") -> Redirect:
        """The refusal to raise, or to answer with: access_denied, login_required, consent_required …"""
        unknown = bool(self.client.registration_hash)
        return Redirect(error, description, self.redirect_uri, self.state, self_registered=unknown)


async def parse(params: Iterable[tuple[str, str]], clients: Clients, base_url: str) -> AuthorizeRequest:
    """The request of these parameters (query and form alike; `base_url` is the FHIR base that `aud` must name).

    Raises NoRedirect when client or redirect URI are not to be trusted, whatever else is wrong; Redirect otherwise.
    """
    pairs = list(params)
    counts = Counter(name for name, _ in pairs)
    given = dict(pairs)
    client = await _client(given, counts, clients)
    redirect_uri = given.get("redirect_uri", "")
    own = own_address(client, base_url.rstrip("/").removesuffix("/fhir"))
    if counts["redirect_uri"] != 1 or not is_registered(redirect_uri, (*client.redirect_uris, *([own] if own else []))):
        raise NoRedirect("The app asked to be answered at an address that is not registered for it.")
    if redirect_uri != own and origin_of(redirect_uri) == origin_of(base_url):
        raise NoRedirect("The app asked to be answered at an address of this very server.")
    state = given.get("state") if counts["state"] == 1 else None
    request = AuthorizeRequest(client, redirect_uri, state, given.get("code_challenge", ""), ())
    if wrong := _problem(given, counts, client, base_url):
        raise request.refuse(*wrong)
    scopes = _usable(given["scope"], client)
    if not scopes:
        raise request.refuse("invalid_scope", "None of these scopes can be given to this client.")
    if "launch" in scopes and not given.get("launch"):
        raise request.refuse("invalid_request", "The scope launch needs the parameter launch.")
    return AuthorizeRequest(
        client,
        redirect_uri,
        state,
        given["code_challenge"],
        scopes,
        launch=given["launch"] if "launch" in scopes else "",
        nonce=given.get("nonce", ""),
        prompt=words(given.get("prompt", "")),
        max_age=int(given["max_age"]) if "max_age" in given else None,
        login_hint=given.get("login_hint", ""),
    )


async def _client(given: dict[str, str], counts: Counter[str], clients: Clients) -> Client:
    if counts["client_id"] != 1 or not given["client_id"]:
        raise NoRedirect("The request does not say which app it comes from (client_id).")
    client = await clients.get(given["client_id"])
    if client is None or not client.active:
        raise NoRedirect("The app that sent you here is not registered with this server.")
    return client


def _problem(given: dict[str, str], counts: Counter[str], client: Client, base_url: str) -> tuple[str, str] | None:
    """The first thing that is wrong, as error code and sentence."""
    if any(count > 1 for count in counts.values()):
        return "invalid_request", "A parameter is given twice."
    if any(len(value) > MAX_LENGTH for value in given.values()):
        return "invalid_request", f"A parameter has more than {MAX_LENGTH} characters."
    for name, error in (("request", "request_not_supported"), ("request_uri", "request_uri_not_supported")):
        if name in given:
            return error, f"This server does not take the parameter {name}."
    return (
        _response_problem(given, client)
        or _audience_problem(given.get("aud"), base_url)
        or _pkce_problem(given)
        or _scope_problem(given.get("scope", ""))
        or _sign_in_problem(given)
    )


def _response_problem(given: dict[str, str], client: Client) -> tuple[str, str] | None:
    if not given.get("response_type"):
        return "invalid_request", "The parameter response_type is missing."
    if given["response_type"] != "code":
        return "unsupported_response_type", "The only response_type is code."
    if given.get("response_mode", "query") != "query":
        return "invalid_request", "The only response_mode is query."
    if not client.may_use("authorization_code"):
        return "unauthorized_client", "The client is not registered for the authorization code."
    return None


def _audience_problem(audience: str | None, base_url: str) -> tuple[str, str] | None:
    if not audience:
        return "invalid_request", "The parameter aud is missing: the FHIR base URL of this server."
    if audience.removesuffix("/") != base_url.removesuffix("/"):
        return "invalid_request", "The parameter aud is not the FHIR base URL of this server."
    return None


def _pkce_problem(given: dict[str, str]) -> tuple[str, str] | None:
    if not given.get("code_challenge"):
        return "invalid_request", "The parameter code_challenge is missing: PKCE is for every client."
    if given.get("code_challenge_method") != "S256":
        return "invalid_request", "The parameter code_challenge_method must be S256."
    if not is_challenge(given["code_challenge"]):
        return "invalid_request", "The parameter code_challenge is not the base64url of a SHA-256."
    return None


def _scope_problem(scope: str) -> tuple[str, str] | None:
    if not scope.strip(" "):
        return "invalid_scope", "The parameter scope is missing."
    if not _SCOPES.fullmatch(scope) or len(scope.split()) > MAX_SCOPES:
        return "invalid_scope", f"The parameter scope is a list of up to {MAX_SCOPES} scopes, separated by spaces."
    return None


def _sign_in_problem(given: dict[str, str]) -> tuple[str, str] | None:
    prompts = words(given.get("prompt", ""))
    if not _PROMPTS.issuperset(prompts) or ("none" in prompts and len(prompts) > 1):
        return "invalid_request", "The parameter prompt is none, or of login, consent and select_account."
    if "max_age" in given and not re.fullmatch(r"[0-9]{1,9}", given["max_age"]):
        return "invalid_request", "The parameter max_age is a number of seconds."
    return None


def _usable(scope: str, client: Client) -> tuple[str, ...]:
    """The scopes to go on with. What a user cannot give, or the client cannot use, is left out."""
    usable = narrowed(words(scope), client.scopes)
    if not client.may_use("refresh_token"):
        usable = tuple(one for one in usable if one not in ("offline_access", "online_access"))
    return tuple(one for one in usable if not one.startswith("system/"))


def answer(redirect_uri: str, issuer: str, **parameters: str | None) -> str:
    """The URL that sends the browser back: parameters that are not None, and `iss` (RFC 9207), added to the query."""
    said = [(name, value) for name, value in parameters.items() if value is not None]
    return with_parameters(redirect_uri, [*said, ("iss", issuer)])
