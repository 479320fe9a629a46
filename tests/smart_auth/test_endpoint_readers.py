"""No input breaks what reads assertions, credentials and forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server import json
from smart_auth import client_assertion
from smart_auth.client_assertion import AssertionRefused
from smart_auth.client_authentication import credentials
from smart_auth.endpoint import parse_form
from smart_auth.errors import OAuthError
from tests.smart_auth.endpoints import basic


def error_of(read: Callable[[Any], object], given: Any) -> str:
    """The error that reading ends with; "" without one."""
    try:
        read(given)
    except OAuthError as error:
        return error.error
    return ""


@given(st.one_of(st.text(), st.lists(st.binary()).map(lambda parts: ".".join(part.hex() for part in parts))))
def test_11_no_text_breaks_the_reader_of_assertions(text: str) -> None:
    with pytest.raises(AssertionRefused):
        client_assertion.read(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["iss", "sub", "aud", "exp", "nbf", "iat", "jti"]), JSON))
def test_11_no_claims_break_their_check(claims: dict[str, Any]) -> None:
    claims = json.decode(json.encode({"iss": "service", "sub": "service", **claims}))
    with pytest.raises(AssertionRefused):
        client_assertion.check_claims(claims, "https://ehr.example/auth/token", 1_700_000_000.0)


@given(st.text())
def test_11_no_header_breaks_the_reader_of_credentials(text: str) -> None:
    for header in (text, f"Basic {text}"):
        assert error_of(credentials, header) in ("", "invalid_client")


@given(st.text(min_size=1), st.text())
def test_11_credentials_come_back_as_they_were(client: str, secret: str) -> None:
    try:
        client.encode()
        secret.encode()
    except UnicodeEncodeError:
        return
    assert credentials(basic(client, secret)) == (client, secret)


@given(st.binary(max_size=200))
def test_10_no_body_breaks_the_reader_of_forms(body: bytes) -> None:
    assert error_of(parse_form, body) in ("", "invalid_request")
