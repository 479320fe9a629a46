"""Tokens: known only by their digest, ended as a family, and a refresh token is good once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from smart_auth.errors import OAuthError
from smart_auth.grant import Grant, new_id
from smart_auth.store import digest, now
from smart_auth.tokens import Issued, Tokens

SCOPES = "openid patient/Observation.rs patient/Condition.rs launch/patient offline_access"


def a_grant(**given: Any) -> Grant:
    defaults = {"client": "app", "user": "nora", "scopes": SCOPES, "context": {"patient": "1"}}
    return Grant(new_id(), **{**defaults, **given})


async def issue(tokens: Tokens, grant: Grant) -> Issued:
    return await tokens.issue(grant, seconds=3600, refresh_seconds=86_400)


async def rotate(tokens: Tokens, refresh: str | None, scopes: str | None = None, client: str = "app") -> Issued:
    assert refresh is not None
    return await tokens.rotate(refresh, client, scopes, seconds=3600, refresh_seconds=86_400)


async def refused(tokens: Tokens, refresh: str | None, scopes: str | None = None, client: str = "app") -> str:
    with pytest.raises(OAuthError) as caught:
        await rotate(tokens, refresh, scopes, client)
    return caught.value.error


async def test_a_token_is_found_and_its_grant_comes_back_as_it_was(parts: Any) -> None:
    grant = a_grant(fhir_user="Practitioner/1", session="s", nonce="n", signed_in=now())
    before = now()
    issued = await issue(parts.tokens, grant)
    after = now()
    live = await parts.tokens.find(issued.access)
    assert live is not None
    issued_at = live.grant.issued
    assert abs(issued_at - grant.issued) < timedelta(milliseconds=1)  # as exact as the database is
    assert live.grant == Grant.from_document({**grant.to_document(), "issued": issued_at})
    assert live.kind == "access"
    assert live.digest == digest(issued.access)
    assert before + timedelta(seconds=3600) <= live.expires <= after + timedelta(seconds=3600)


async def test_only_digests_are_stored(parts: Any) -> None:
    issued = await issue(parts.tokens, a_grant())
    for name in ("auth_tokens", "auth_grants"):
        async for row in parts.database.system[name].find():
            assert issued.access not in str(row)
            assert str(issued.refresh) not in str(row)
    assert len(issued.access) == 43


async def test_what_expires_is_forgotten_by_the_database(parts: Any) -> None:
    for name in ("auth_tokens", "auth_grants", "auth_codes", "auth_launches"):
        made = await parts.database.system[name].index_information()
        assert made["expires"]["expireAfterSeconds"] == 0


@pytest.mark.parametrize("token", ["", "x", "é", "\ud800", "a" * 5000, "a\0b"])
async def test_what_is_no_token_is_not_found(parts: Any, token: str) -> None:
    assert await parts.tokens.find(token) is None


async def test_a_refresh_token_is_no_access_token_and_the_reverse(parts: Any) -> None:
    issued = await issue(parts.tokens, a_grant())
    assert await parts.tokens.find(issued.refresh) is None
    assert await parts.tokens.find_refresh(issued.access) is None
    assert await refused(parts.tokens, issued.access) == "invalid_grant"
    assert await parts.tokens.find(issued.access) is not None


async def test_an_access_token_lasts_an_hour_at_most(parts: Any) -> None:
    assert (await parts.tokens.issue(a_grant(), seconds=9000)).expires_in == 3600


async def test_an_expired_token_is_not_found(parts: Any) -> None:
    issued = await parts.tokens.issue(a_grant(), seconds=0, refresh_seconds=-1)
    assert await parts.tokens.find(issued.access) is None
    assert await refused(parts.tokens, issued.refresh) == "invalid_grant"


async def test_point_9_a_patient_scope_without_a_patient_is_never_given(parts: Any) -> None:
    issued = await issue(parts.tokens, a_grant(context={}))
    assert issued.grant.scopes == "openid offline_access"
    live = await parts.tokens.find(issued.access)
    assert live is not None
    assert live.grant.scopes == "openid offline_access"


async def test_point_13_a_service_gets_nothing_of_a_user(parts: Any) -> None:
    scopes = "openid user/*.rs patient/*.rs system/*.rs offline_access"
    issued = await parts.tokens.issue(a_grant(user="", context={}, scopes=scopes), seconds=300)
    assert issued.grant.scopes == "system/*.rs"
    assert issued.refresh is None
    issued = await parts.tokens.issue(a_grant(scopes=scopes), seconds=300)
    assert "system/" not in issued.grant.scopes


# ---- point 12: refresh -------------------------------------------------------------------------------


async def test_point_12_a_refresh_gives_new_tokens_of_the_same_grant(parts: Any) -> None:
    first = await issue(parts.tokens, a_grant())
    second = await rotate(parts.tokens, first.refresh)
    assert len({first.access, first.refresh, second.access, second.refresh}) == 4
    assert second.grant.scopes == SCOPES
    assert second.grant.context == {"patient": "1"}
    assert await parts.tokens.find(first.access) is not None
    assert await parts.tokens.find(second.access) is not None


async def test_point_12_reuse_of_a_rotated_refresh_token_revokes_the_family(parts: Any) -> None:
    first = await issue(parts.tokens, a_grant())
    second = await rotate(parts.tokens, first.refresh)
    third = await rotate(parts.tokens, second.refresh)
    told = parts.changes.times
    assert await refused(parts.tokens, first.refresh) == "invalid_grant"
    assert parts.changes.times == told + 1
    for access in (first.access, second.access, third.access):
        assert await parts.tokens.find(access) is None
    assert await refused(parts.tokens, third.refresh) == "invalid_grant"


async def test_point_12_of_parallel_refreshes_one_wins_and_the_family_is_revoked(parts: Any) -> None:
    first = await issue(parts.tokens, a_grant())
    tries = await asyncio.gather(*(rotate(parts.tokens, first.refresh) for _ in range(12)), return_exceptions=True)
    won = [one for one in tries if isinstance(one, Issued)]
    lost = [one for one in tries if isinstance(one, OAuthError)]
    assert len(won) == 1
    assert {one.error for one in lost} == {"invalid_grant"}
    assert await parts.tokens.find(won[0].access) is None
    assert await refused(parts.tokens, won[0].refresh) == "invalid_grant"


async def test_point_12_another_clients_refresh_token_is_refused_and_stays(parts: Any) -> None:
    first = await issue(parts.tokens, a_grant())
    assert await refused(parts.tokens, first.refresh, client="thief") == "invalid_grant"
    assert await rotate(parts.tokens, first.refresh)


@pytest.mark.parametrize(
    "asked",
    [
        "patient/Observation.cruds",
        "patient/*.rs",
        "user/Observation.rs",
        "patient/Observation.rs patient/Patient.r",
        "online_access",
        "nonsense",
        "",
        "patient/Observation.sr",
    ],
)
async def test_point_12_scope_cannot_grow(parts: Any, asked: str) -> None:
    first = await issue(parts.tokens, a_grant())
    assert await refused(parts.tokens, first.refresh, asked) == "invalid_scope"
    assert await rotate(parts.tokens, first.refresh)  # it was not used up


@pytest.mark.parametrize(
    "asked", ["patient/Observation.r", "patient/Observation.rs?category=laboratory", "openid patient/Condition.s"]
)
async def test_point_12_scope_can_shrink(parts: Any, asked: str) -> None:
    first = await issue(parts.tokens, a_grant())
    second = await rotate(parts.tokens, first.refresh, asked)
    live = await parts.tokens.find(second.access)
    assert live is not None
    assert live.grant.scopes == second.grant.scopes == asked
    assert (await rotate(parts.tokens, second.refresh)).grant.scopes == SCOPES  # RFC 6749, section 6


async def test_point_12_online_access_ends_at_logout_and_offline_access_lasts(parts: Any) -> None:
    session = new_id()
    online = await issue(parts.tokens, a_grant(session=session, scopes="openid user/*.rs online_access"))
    neither = await issue(parts.tokens, a_grant(session=session, scopes="openid user/*.rs"))
    offline = await issue(parts.tokens, a_grant(session=session))
    elsewhere = await issue(parts.tokens, a_grant(session=new_id(), scopes="user/*.rs online_access"))
    assert await parts.tokens.end_session(session) == 2
    assert await parts.tokens.end_session("") == 0
    assert await parts.tokens.find(online.access) is None
    assert await refused(parts.tokens, online.refresh) == "invalid_grant"
    assert await parts.tokens.find(neither.access) is None
    assert await rotate(parts.tokens, offline.refresh)
    assert await rotate(parts.tokens, elsewhere.refresh)


# ---- point 13: revocation ----------------------------------------------------------------------------


async def test_point_13_an_access_token_can_be_revoked_alone(parts: Any) -> None:
    issued = await issue(parts.tokens, a_grant())
    assert not await parts.tokens.revoke_token(issued.access, "thief")
    assert await parts.tokens.revoke_token(issued.access, "app")
    assert await parts.tokens.find(issued.access) is None
    assert await rotate(parts.tokens, issued.refresh)


async def test_point_13_a_refresh_token_takes_its_family_with_it(parts: Any) -> None:
    issued = await issue(parts.tokens, a_grant())
    told = parts.changes.times
    assert await parts.tokens.revoke_token(issued.refresh, "app")
    assert parts.changes.times == told + 1
    assert await parts.tokens.find(issued.access) is None
    assert not await parts.tokens.revoke_token(issued.refresh, "app")


async def test_a_revoked_grant_stays_revoked_whatever_is_issued_from_it(parts: Any) -> None:
    grant = a_grant()
    await issue(parts.tokens, grant)
    assert await parts.tokens.revoke(grant.id)
    assert not await parts.tokens.revoke(grant.id)
    assert await parts.tokens.find((await issue(parts.tokens, grant)).access) is None


async def test_all_of_a_user_or_a_client_can_be_ended(parts: Any) -> None:
    user, other, client = new_id(), new_id(), new_id()
    one = await issue(parts.tokens, a_grant(user=user, client=client))
    # Given a second before the next: the latest first is told of what was not given at the same moment.
    earlier = now() - timedelta(seconds=1)
    two = await issue(parts.tokens, a_grant(user=other, client=client, issued=earlier))
    three = await issue(parts.tokens, a_grant(user=other, client=client + "2"))
    assert [grant.client for grant in await parts.tokens.grants_of(other)] == [client + "2", client]
    assert await parts.tokens.revoke_client(client, other) == 1
    assert await parts.tokens.find(two.access) is None
    assert [grant.client for grant in await parts.tokens.grants_of(other)] == [client + "2"]
    assert await parts.tokens.revoke_user(user) == 1
    assert await parts.tokens.find(one.access) is None
    assert await parts.tokens.revoke_client(client) == 0
    assert await parts.tokens.find(three.access) is not None
    assert await parts.tokens.revoke_user("") == 0
