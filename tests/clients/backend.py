"""A backend service's way to a token, in plain HTTP."""

from __future__ import annotations

from typing import Any

import httpx

from tests.clients.keys import ASSERTION, assertion

Json = dict[str, Any]


def ask_token(issuer: str, client: str, key: Json, scope: str, **changes: str) -> httpx.Response:
    """The answer to a client_credentials request; `changes` replace what the form says."""
    url = f"{issuer}/auth/token"
    form = {
        "grant_type": "client_credentials",
        "scope": scope,
        "client_assertion_type": ASSERTION,
        "client_assertion": assertion(key, client, url),
    }
    return httpx.post(url, data=form | changes)


def token(issuer: str, client: str, key: Json, scope: str) -> str:
    """An access token of the service."""
    answer = ask_token(issuer, client, key, scope)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])
