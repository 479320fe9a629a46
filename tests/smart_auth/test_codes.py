"""Authorization codes: good once, for a minute, with the right verifier, for the one who asked."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_auth.codes import challenge_of, is_challenge, is_verifier
from smart_auth.errors import OAuthError
from smart_auth.grant import Grant, new_id
from smart_auth.store import digest, now

HOME = "https://app.example/cb"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # of RFC 7636, appendix B
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def a_grant(**given: Any) -> Grant:
    return Grant(new_id(), **{"client": "app", "user": "nora", "scopes": "openid user/*.rs", **given})


async def refused(parts: Any, code: str, client: str = "app", uri: str = HOME, verifier: str = VERIFIER) -> str:
    with pytest.raises(OAuthError) as caught:
        await parts.codes.redeem(code, client, uri, verifier)
    return caught.value.error


async def test_point_6_a_code_gives_the_grant_it_was_made_of(parts: Any) -> None:
    grant = a_grant(nonce="n", context={"patient": "1", "fhirContext": [{"reference": "ImagingStudy/1"}]})
    code = await parts.codes.issue(grant, HOME, CHALLENGE)
    found = await parts.codes.redeem(code, "app", HOME, VERIFIER)
    assert (found.id, found.scopes, found.context, found.nonce) == (grant.id, grant.scopes, grant.context, "n")


async def test_point_6_of_parallel_redemptions_one_wins_and_what_it_gave_is_revoked(parts: Any) -> None:
    code = await parts.codes.issue(a_grant(), HOME, CHALLENGE)

    async def redeem() -> Any:
        grant = await parts.codes.redeem(code, "app", HOME, VERIFIER)
        return await parts.tokens.issue(grant, seconds=60)

    tries = await asyncio.gather(*(redeem() for _ in range(12)), return_exceptions=True)
    won = [one for one in tries if not isinstance(one, BaseException)]
    assert len(won) == 1
    assert all(isinstance(one, OAuthError) for one in tries if one not in won)
    assert await parts.tokens.find(won[0].access) is None


async def test_point_6_a_second_use_revokes_what_the_first_gave(parts: Any) -> None:
    code = await parts.codes.issue(a_grant(), HOME, CHALLENGE)
    grant = await parts.codes.redeem(code, "app", HOME, VERIFIER)
    issued = await parts.tokens.issue(grant, seconds=60, refresh_seconds=600)
    assert await refused(parts, code, client="thief") == "invalid_grant"
    assert await parts.tokens.find(issued.access) is not None
    assert await refused(parts, code) == "invalid_grant"
    assert await parts.tokens.find(issued.access) is None
    assert await parts.tokens.find_refresh(issued.refresh) is None


async def test_point_6_a_code_is_good_for_a_minute(parts: Any) -> None:
    before = now()
    code = await parts.codes.issue(a_grant(), HOME, CHALLENGE)
    after = now()
    found = await parts.database.system["auth_codes"].find_one_and_update(
        {"_id": digest(code)}, {"$set": {"until": now()}}
    )
    assert before + timedelta(seconds=60) <= found["until"] <= after + timedelta(seconds=60)
    assert await refused(parts, code) == "invalid_grant"


@pytest.mark.parametrize(
    "wrong",
    [
        {"client": "thief"},
        {"client": ""},
        {"uri": "https://app.example/cb/"},
        {"uri": "https://app.example/cb?x=1"},
        {"uri": "https://evil.example/cb"},
        {"uri": ""},
        {"verifier": ""},
        {"verifier": "   "},
        {"verifier": CHALLENGE},
        {"verifier": VERIFIER[:-1]},
        {"verifier": VERIFIER[:-1] + "l"},
        {"verifier": VERIFIER + " "},
        {"verifier": "é" * 43},
        {"verifier": "a" * 129},
    ],
)
async def test_points_5_and_6_a_code_is_bound_to_client_address_and_verifier(parts: Any, wrong: dict[str, str]) -> None:
    code = await parts.codes.issue(a_grant(), HOME, CHALLENGE)
    assert await refused(parts, code, **wrong) in ("invalid_grant", "invalid_request")
    assert await parts.codes.redeem(code, "app", HOME, VERIFIER)  # whoever tried did not use it up


async def test_point_5_a_challenge_that_is_the_verifier_is_refused(parts: Any) -> None:
    """As an app would send that asks for S256 and means plain."""
    code = await parts.codes.issue(a_grant(), HOME, VERIFIER)
    assert await refused(parts, code) == "invalid_grant"


@pytest.mark.parametrize("code", ["", "x", "é", "\ud800", "a\0b", "a" * 5000])
async def test_an_unknown_code_is_refused(parts: Any, code: str) -> None:
    assert await refused(parts, code) == "invalid_grant"


async def test_a_code_of_a_revoked_grant_is_refused(parts: Any) -> None:
    grant = a_grant()
    code = await parts.codes.issue(grant, HOME, CHALLENGE)
    await parts.tokens.revoke_user(grant.user)
    assert await refused(parts, code) == "invalid_grant"


async def test_a_code_is_not_made_without_a_challenge(parts: Any) -> None:
    with pytest.raises(ValueError, match="S256"):
        await parts.codes.issue(a_grant(), HOME, "")


def test_point_5_the_example_of_rfc_7636() -> None:
    assert challenge_of(VERIFIER) == CHALLENGE


@given(st.from_regex(r"[A-Za-z0-9._~-]{43,128}", fullmatch=True))
def test_point_5_every_verifier_has_a_challenge(verifier: str) -> None:
    assert is_verifier(verifier)
    assert is_challenge(challenge_of(verifier))
    assert challenge_of(verifier) == urlsafe_b64encode(sha256(verifier.encode()).digest()).decode().rstrip("=")


@given(st.text(max_size=140))
def test_point_5_nothing_else_is_a_verifier_or_a_challenge(text: str) -> None:
    unreserved = all(one.isascii() and (one.isalnum() or one in "-._~") for one in text)
    assert is_verifier(text) == (43 <= len(text) <= 128 and unreserved)
    base64url = all(one.isascii() and (one.isalnum() or one in "-_") for one in text)
    assert is_challenge(text) == (len(text) == 43 and base64url)


@pytest.mark.parametrize("text", [VERIFIER + "\n", "\n" + VERIFIER, VERIFIER + "=", VERIFIER[:-1] + "+"])
def test_point_5_line_ends_and_padding_are_no_part_of_either(text: str) -> None:
    assert not is_verifier(text)
    assert not is_challenge(text)
