"""Who a subscriber is today: what ends an authorization, what does not, and what is held so that it can be told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from fhir_server.access.principal import ANYONE, SYSTEM, Principal
from fhir_server.access.visibility import condition
from fhir_server.config import Settings
from fhir_server.outcomes import FhirError
from smart_auth import subscribers as module
from smart_auth.external import Outside
from smart_auth.grant import Grant, new_id
from smart_auth.sessions import Sessions
from smart_auth.store import digest, now
from smart_auth.subscribers import Subscribers
from smart_auth.tokens import Live
from tests.smart_auth.process import Process, process

Json = dict[str, Any]


@dataclass
class Here:
    """A process, and what it knows of subscribers."""

    process: Process
    sessions: Sessions
    subscribers: Subscribers

    async def kept(self, header: bytes) -> Json:
        """What is kept of the caller with this header."""
        principal = await self.process.authenticator.authenticate(header, {})
        found = self.subscribers.remember(principal)
        await self.subscribers.finish()
        return found

    async def expire(self, *collections: str) -> None:
        """Let time pass for everything that is not held, as MongoDB does once a minute."""
        for name in collections or ("auth_tokens", "auth_grants"):
            rows = self.process.database.system[name]
            await rows.delete_many({"expires": {"$lt": now() + timedelta(hours=2)}})


def subscribers_of(one: Process, sessions: Sessions, issuer: str = "") -> Subscribers:
    return Subscribers(one.changes, one.tokens, one.clients, sessions, one.authenticator, issuer=issuer)


@pytest.fixture
async def here(mongo_uri: str, database: str) -> AsyncIterator[Here]:
    async with process(mongo_uri, database) as made:
        await made.database.system["processes"].delete_many({"_id": {"$ne": made.database.incarnation}})
        await made.add("doctor", "Practitioner/1", ["doctor"])
        sessions = Sessions(Settings(), made.database, made.tokens)
        await sessions.prepare()
        yield Here(made, sessions, subscribers_of(made, sessions))
        for rows in (made.database.resource, made.database.version, made.database.system["auth_user"]):
            await rows.delete_many({})
        await made.database.system["auth_clients"].delete_many({})


async def issue(here: Here, scopes: str = "user/*.rs", **given: Any) -> tuple[Grant, str]:
    grant = Grant(new_id(), **{"client": "app", "user": "doctor", **given, "scopes": scopes})
    return grant, (await here.process.tokens.issue(grant, seconds=3600)).access


def header(token: str) -> bytes:
    return f"Bearer {token}".encode()


# ---- being somebody again ---------------------------------------------------------------------------------


async def test_a_subscriber_is_who_they_were(here: Here) -> None:
    _, token = await issue(here, "user/Patient.rs patient/*.rs", context={"patient": "9"})
    before = await here.process.authenticator.authenticate(header(token), {})
    kept = await here.kept(header(token))
    again = await here.subscribers.again(kept)
    assert again is not None
    told = ("name", "client", "user", "roles", "patient", "own", "organizations", "grant")
    assert [getattr(again, name) for name in told] == [getattr(before, name) for name in told]
    assert list(map(str, again.scopes)) == list(map(str, before.scopes))
    assert again.fingerprint() == before.fingerprint()
    assert (kept["user"], kept["client"]) == ("doctor", "app")
    assert self_made(here.subscribers.remember(again)) == self_made(kept)


def self_made(kept: Json) -> Json:
    return {name: kept[name] for name in ("token", "grant", "client", "user")}


async def test_no_token_is_kept(here: Here) -> None:
    _, token = await issue(here)
    kept = await here.kept(header(token))
    assert token not in str(kept)
    with pytest.raises(FhirError):
        await here.process.authenticator.authenticate(header(kept["token"]), {})


async def test_the_token_counts_and_not_the_whole_grant(here: Here) -> None:
    grant = Grant(new_id(), "app", "doctor", scopes="user/*.rs offline_access")
    issued = await here.process.tokens.issue(grant, seconds=3600, scopes="user/Patient.r")
    again = await here.subscribers.again(await here.kept(header(issued.access)))
    assert again is not None
    assert list(map(str, again.scopes)) == ["user/Patient.r"]
    assert condition(again, "Observation", "r") is None


async def test_a_backend_service_and_an_operators_token_are_somebody(here: Here) -> None:
    for client, name in (("app", "app"), ("", "operator")):
        _, token = await issue(here, "system/*.rs", user="", client=client)
        again = await here.subscribers.again(await here.kept(header(token)))
        assert again is not None
        assert (again.name, again.user, list(map(str, again.scopes))) == (name, "", ["system/*.rs"])


@pytest.mark.parametrize("principal", [SYSTEM, ANYONE, Principal("x", user="Practitioner/1")])
async def test_who_came_without_a_token_is_nobody_again(here: Here, principal: Principal) -> None:
    assert here.subscribers.remember(principal) == {}
    assert await here.subscribers.again({}) is None


async def test_it_is_looked_up_once(here: Here) -> None:
    _, token = await issue(here)
    kept = await here.kept(header(token))
    found = await asyncio.gather(*(here.subscribers.again(kept) for _ in range(20)))
    assert found[0] is not None
    assert all(one is found[0] for one in found)


# ---- expired is not revoked -------------------------------------------------------------------------------


async def test_that_the_token_expires_does_not_matter(here: Here) -> None:
    _, token = await issue(here)
    kept = await here.kept(header(token))
    rows = here.process.database.system["auth_tokens"]
    past = {"$set": {"until": now() - timedelta(hours=1)}}
    assert (await rows.update_one({"_id": digest(token)}, past)).matched_count == 1
    await here.process.changes.announce()
    assert await here.process.status(header(token)) == 401
    assert await here.subscribers.again(kept) is not None


async def test_what_a_subscription_uses_outlives_its_expiry_and_the_token_does_not(here: Here) -> None:
    _, token = await issue(here)
    live = await here.process.tokens.find(token)
    kept = await here.kept(header(token))
    await here.expire()
    assert await here.subscribers.again(kept) is not None
    held = await here.process.tokens.find(token)
    assert live is not None
    assert held is not None
    assert held.expires == live.expires


@pytest.mark.parametrize("of", ["grant", "user", "client", "refresh"])
async def test_a_revocation_after_the_expiry_is_known(here: Here, of: str) -> None:
    tokens = here.process.tokens
    grant = Grant(new_id(), "app", "doctor", scopes="user/*.rs offline_access")
    issued = await tokens.issue(grant, seconds=3600, refresh_seconds=86_400)
    kept = await here.kept(header(issued.access))
    await here.expire()
    assert await here.subscribers.again(kept) is not None
    assert issued.refresh is not None
    await {
        "grant": lambda: tokens.revoke(grant.id),
        "user": lambda: tokens.revoke_user("doctor"),
        "client": lambda: tokens.revoke_client("app", "doctor"),
        "refresh": lambda: tokens.revoke_token(issued.refresh, "app"),
    }[of]()
    assert await here.subscribers.again(kept) is None
    other = subscribers_of(here.process, here.sessions)
    assert await other.again(kept) is None


async def test_what_is_not_known_any_more_counts_as_revoked(here: Here) -> None:
    grant, token = await issue(here)
    kept = await here.kept(header(token))
    await here.process.database.system["auth_grants"].delete_one({"_id": grant.id})
    assert await here.subscribers.again(kept) is None


async def test_it_is_held_longer_when_it_is_used_and_only_now_and_then(here: Here) -> None:
    grant, token = await issue(here)
    kept = await here.kept(header(token))
    rows = here.process.database.system["auth_grants"]
    written = (await rows.find_one({"_id": grant.id}) or {})["expires"]
    assert now() + module.HELD_FIRST - timedelta(hours=1) < written < now() + module.HELD_FIRST + timedelta(hours=1)
    assert await here.subscribers.again(kept) is not None
    used = (await rows.find_one({"_id": grant.id}) or {})["expires"]
    assert used > now() + module.HELD - timedelta(hours=1)
    assert await subscribers_of(here.process, here.sessions).again(kept) is not None
    assert (await rows.find_one({"_id": grant.id}) or {})["expires"] == used


async def test_a_refreshed_family_ends_what_an_older_token_began(here: Here) -> None:
    tokens = here.process.tokens
    grant = Grant(new_id(), "app", "doctor", scopes="user/*.rs offline_access")
    first = await tokens.issue(grant, seconds=3600, refresh_seconds=86_400)
    kept = await here.kept(header(first.access))
    assert first.refresh is not None
    await tokens.rotate(first.refresh, "app", seconds=3600, refresh_seconds=86_400)
    assert await here.subscribers.again(kept) is not None
    with pytest.raises(Exception, match="used before"):
        await tokens.rotate(first.refresh, "app", seconds=3600, refresh_seconds=86_400)
    assert await here.subscribers.again(kept) is None


# ---- what ends it -----------------------------------------------------------------------------------------


async def test_the_access_token_taken_back_ends_what_was_subscribed_with_it_and_nothing_else(here: Here) -> None:
    tokens = here.process.tokens
    grant = Grant(new_id(), "app", "doctor", scopes="user/*.rs offline_access")
    first = await tokens.issue(grant, seconds=3600)
    second = await tokens.issue(grant, seconds=3600)
    one, other = await here.kept(header(first.access)), await here.kept(header(second.access))
    await here.expire()  # also when it is taken back later than it expires
    assert await tokens.revoke_token(first.access, "app")
    assert await here.subscribers.again(one) is None
    assert await here.subscribers.again(other) is not None


async def test_signing_out_ends_what_was_granted_in_the_session_but_for_offline_access(here: Here) -> None:
    secret = await here.sessions.start("doctor")
    session = await here.sessions.find(secret)
    assert session is not None
    kept = {}
    for scopes in ("user/*.rs", "user/*.rs online_access", "user/*.rs offline_access"):
        _, token = await issue(here, scopes, session=session.id)
        kept[scopes] = await here.kept(header(token))
        assert await here.subscribers.again(kept[scopes]) is not None
    await here.sessions.end(session)
    still = [scopes for scopes, one in kept.items() if await here.subscribers.again(one) is not None]
    assert still == ["user/*.rs offline_access"]


async def test_so_does_a_session_that_lapses(here: Here) -> None:
    session = await here.sessions.find(await here.sessions.start("doctor"))
    assert session is not None
    online = await here.kept(header((await issue(here, "user/*.rs online_access", session=session.id))[1]))
    offline = await here.kept(header((await issue(here, "user/*.rs offline_access", session=session.id))[1]))
    rows = here.process.database.system["auth_session"]
    await rows.update_one({"_id": session.id}, {"$set": {"expires": now() - timedelta(seconds=1)}})
    assert await here.subscribers.again(online) is None
    assert await here.subscribers.again(offline) is not None


async def test_a_user_or_client_that_is_gone_or_inactive_is_nobody(here: Here) -> None:
    one = here.process
    kept = await here.kept(header((await issue(here))[1]))
    await one.users.set_active("doctor", False)
    assert await here.subscribers.again(kept) is None
    await one.users.set_active("doctor", True)
    assert await here.subscribers.again(kept) is not None
    await one.users.remove("doctor")
    assert await here.subscribers.again(kept) is None
    await one.add("doctor", "Practitioner/1", ["doctor"])
    assert await here.subscribers.again(await here.kept(header((await issue(here))[1]))) is not None
    await one.clients.remove("app")
    assert await here.subscribers.again(kept) is None


async def test_rights_are_those_of_today(here: Here) -> None:
    one = here.process
    kept = await here.kept(header((await issue(here, "user/Patient.rs user/Observation.rs"))[1]))
    before = await here.subscribers.again(kept)
    assert before is not None
    await one.users.set_roles("doctor", ["nurse"])
    after = await here.subscribers.again(kept)
    assert after is not None
    assert (before.roles, after.roles) == (("doctor",), ("nurse",))
    client = await one.clients.get("app")
    assert client is not None
    await one.clients.update(replace(client, scopes="user/Patient.rs"))
    narrowed = await here.subscribers.again(kept)
    assert narrowed is not None
    assert list(map(str, narrowed.scopes)) == ["user/Patient.rs"]


async def test_rights_that_change_each_time_they_are_read_are_those_read_last(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = here.process
    kept = await here.kept(header((await issue(here))[1]))
    standing, changed = one.tokens.standing, list[str]()

    async def and_change(token: bytes) -> Any:
        found = await standing(token)
        changed.append(f"role-{len(changed)}")
        await one.users.set_roles("doctor", tuple(changed))
        return found

    monkeypatch.setattr(one.tokens, "standing", and_change)
    made = await here.subscribers.again(kept)
    assert made is not None
    assert made.roles == tuple(changed)
    assert len(changed) > 1


async def test_another_process_knows_at_once(mongo_uri: str, database: str, here: Here) -> None:
    _, token = await issue(here)
    kept = await here.kept(header(token))
    async with process(mongo_uri, database) as there:
        sessions = Sessions(Settings(), there.database, there.tokens)
        others = subscribers_of(there, sessions)
        assert await others.again(kept) is not None
        await here.process.tokens.revoke_token(token, "app")  # returns once every process knows
        assert await others.again(kept) is None


async def test_without_the_database_nobody_is_told_anything(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    from pymongo.errors import AutoReconnect

    kept = await here.kept(header((await issue(here))[1]))

    async def away(token: bytes) -> None:
        raise AutoReconnect("away")

    monkeypatch.setattr(here.process.tokens, "standing", away)
    with pytest.raises(FhirError) as caught:
        await here.subscribers.again(kept)
    assert caught.value.status == 503
    monkeypatch.undo()
    assert await here.subscribers.again(kept) is not None


# ---- outside authorization servers --------------------------------------------------------------------------


def outside(seconds: float) -> Outside:
    grant = Grant("", "app", "https://as.example u1", "Practitioner/1", "user/Patient.rs")
    expires = now() + timedelta(seconds=seconds)
    return Outside(Live(grant, expires, digest("outside"), now()), "https://as.example", "u1")


@pytest.mark.parametrize(("seconds", "issuer", "is_somebody"), [(60, "https://as.example", True), (-1, "", False)])
async def test_an_outside_token_counts_as_long_as_it_lasts(
    here: Here, seconds: float, issuer: str, is_somebody: bool
) -> None:
    from smart_auth.authenticator import basis

    one = here.process
    found = outside(seconds)
    made = await one.authenticator.make(found)
    assert made is not None
    kept = here.subscribers.remember(replace(made.principal, basis=basis(found.live, found)))
    believed = subscribers_of(one, here.sessions, "https://as.example")
    again = await believed.again(kept)
    assert (again is not None) is is_somebody
    if again is not None:
        assert again.fingerprint() == made.principal.fingerprint()
        assert await here.subscribers.again(kept) is None  # where that server is not believed any more


async def test_an_outside_token_that_was_asked_about_again_lasts_on(here: Here) -> None:
    from smart_auth.authenticator import basis

    believed = subscribers_of(here.process, here.sessions, "https://as.example")
    made = await here.process.authenticator.make(outside(60))
    assert made is not None
    answers = []
    for seconds in (-1, 60):
        found = outside(seconds)
        kept = believed.remember(replace(made.principal, basis=basis(found.live, found)))
        answers.append(await believed.again(kept) is not None)
    assert answers == [False, True]
