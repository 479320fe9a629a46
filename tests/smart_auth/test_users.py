"""Accounts and passwords."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.outcomes import Conflict, Unavailable, ValueWrong
from fhir_server.storage.database import Database
from smart_auth import passwords
from smart_auth.users import User, Users, check_email, check_login
from tests.conftest import ROOT
from tests.smart_auth.visitor import OTHER_PASSWORD, PASSWORD


class Announced:
    """Counts how often other processes would have been told."""

    times = 0

    async def announce(self) -> None:
        self.times += 1


@pytest.fixture
async def users(mongo_uri: str, database: str) -> AsyncIterator[Users]:
    opened = Database(mongo_uri, database)
    await opened.system["auth_user"].drop()
    found = Users(opened, Announced())
    await found.prepare()
    yield found
    await opened.close()


def told(users: Users) -> int:
    assert isinstance(users._changes, Announced)
    return users._changes.times


async def test_a_user_comes_back_as_added(users: Users) -> None:
    added = await users.add(
        User("Ana", "Ana Rivera", "ANA@mail.example", fhir_user="Patient/1", roles=("patient",)), PASSWORD
    )
    assert added.id == "ana"
    found = await users.get(" ANA ")
    assert found is not None
    assert (found.name, found.email, found.roles) == ("Ana Rivera", "ana@mail.example", ("patient",))
    assert found.password_hash.startswith("$argon2id$")
    assert PASSWORD not in str(found)
    assert [user.id async for user in users.list()] == ["ana"]


@pytest.mark.parametrize("login", ["", "a", "-ana", "ana rivera", "ana/../x", "ana$", "é" * 3, "a" * 65, "{$gt:1}"])
def test_names_that_are_none(login: str) -> None:
    with pytest.raises(ValueWrong):
        check_login(login)


@pytest.mark.parametrize(
    "email", ["", "ana", "@x.example", "ana@", "a b@x.example", "a@x", "a@x.example\nBcc: b@x.example"]
)
def test_addresses_that_are_none(email: str) -> None:
    with pytest.raises(ValueWrong):
        check_email(email)


@pytest.mark.parametrize(
    "second",
    [User("ana"), User("other", email="ana@mail.example"), User("other", identities=("https://idp 1",))],
)
async def test_names_addresses_and_identities_belong_to_one(users: Users, second: User) -> None:
    await users.add(User("ana", email="ana@mail.example", identities=("https://idp 1",)))
    with pytest.raises(Conflict):
        await users.add(second)


async def test_users_without_address_or_identity_are_many(users: Users) -> None:
    for name in ("one", "two"):
        await users.add(User(name))
    assert await users.by_email("") is None


async def test_only_a_person_can_be_a_user(users: Users) -> None:
    for reference in ("Observation/1", "Patient", "Patient/1/_history/2", "https://x.example/Patient/1"):
        with pytest.raises(ValueWrong):
            await users.add(User("ana", fhir_user=reference))


async def test_passwords_are_checked_and_changed(users: Users) -> None:
    await users.add(User("ana"), PASSWORD)
    assert await users.check_password("ana", PASSWORD) is not None
    assert await users.check_password("ana", OTHER_PASSWORD) is None
    assert await users.check_password("nobody", PASSWORD) is None
    await users.set_password("ana", OTHER_PASSWORD)
    assert await users.check_password("ana", PASSWORD) is None
    assert await users.check_password("ana", OTHER_PASSWORD) is not None


async def test_an_account_without_a_password_has_none_that_fits(users: Users) -> None:
    await users.add(User("ana"))
    for password in ("", " ", PASSWORD):
        assert await users.check_password("ana", password) is None


def test_outside_of_tests_a_hash_costs_what_rfc_9106_asks_for() -> None:
    code = (
        "from smart_auth.passwords import _hasher as h; print(h.time_cost, h.memory_cost, h.parallelism, h.type.name)"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["3", str(64 * 1024), "1", "ID"]
    assert passwords._hasher.memory_cost < 64 * 1024, "tests would take minutes longer"


async def test_a_hash_with_other_parameters_is_made_anew(users: Users) -> None:
    old = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    await users.add(User("ana", password_hash=old))
    assert await users.check_password("ana", PASSWORD) is not None
    found = await users.get("ana")
    assert found is not None
    assert found.password_hash != old
    assert not passwords.is_outdated(found.password_hash)
    assert await users.check_password("ana", PASSWORD) is not None


async def test_what_makes_a_principal_is_announced(users: Users) -> None:
    await users.add(User("ana"), PASSWORD)
    await users.set_password("ana", OTHER_PASSWORD)
    assert told(users) == 0
    await users.set_roles("ana", ["nurse", "nurse"])
    await users.set_fhir_user("ana", "Practitioner/1")
    await users.set_active("ana", False)
    assert await users.remove("ana")
    assert told(users) == 4


async def test_the_last_way_in_stays(users: Users) -> None:
    await users.add(User("ana", identities=("https://idp 1",)))
    await users.unlink("ana", "https://idp 1")
    assert (await users.get("ana")).identities == ("https://idp 1",)  # type: ignore[union-attr]
    await users.link("ana", "https://other", "2")
    await users.unlink("ana", "https://idp 1")
    assert (await users.get("ana")).identities == ("https://other 2",)  # type: ignore[union-attr]


async def test_an_address_signs_in_only_when_it_is_known_to_be_theirs(users: Users) -> None:
    await users.add(User("ana", email="ana@mail.example"), PASSWORD)
    assert await users.by_login("ana@mail.example") is None
    await users.set_verified("ana")
    assert await users.by_login("ana@mail.example") is not None


async def test_a_name_with_at_is_ones_own_address(users: Users) -> None:
    for squatter in (
        User("ana@mail.example"),
        User("ana@mail.example", email="eve@mail.example", verified=True),
        User("ana@mail.example", email="ana@mail.example"),
    ):
        with pytest.raises(ValueWrong):
            await users.add(squatter)
    await users.add(User("ana@mail.example", email="ANA@mail.example", verified=True))
    assert await users.by_login("Ana@mail.example") is not None


async def test_who_was_called_by_anothers_address_before_is_not_taken_for_them(users: Users) -> None:
    await users.add(User("squatter"))
    row = await users._rows.find_one_and_delete({"_id": "squatter"})
    assert row is not None
    await users._rows.insert_one({**row, "_id": "ana@mail.example"})
    await users.add(User("ana", email="ana@mail.example", verified=True))
    found = await users.by_login("ana@mail.example")
    assert found is not None
    assert found.id == "ana"


# ---- passwords ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "password",
    [
        "short words",
        "x" * 257,
        "ana.rivera.1",
        "Ana.Rivera.12",
        "password1234",
        "Password1234!",
        "123456789012",
        "aaaaaaaaaaaaaaaa",
        "abababababab",
        "qwertyuiop12",
        "!!!!!administrator!!!!!",
        "correcthorsebatterystaple",
        "ＰＡＳＳＷＯＲＤ１２３４",
    ],
)
def test_passwords_that_are_guessed_are_refused(password: str) -> None:
    with pytest.raises(ValueWrong):
        passwords.check_rules(password, "ana.rivera", "ana.rivera@mail.example")


@pytest.mark.parametrize(
    "password", [PASSWORD, OTHER_PASSWORD, "Zażółć gęślą jaźń", "tr0ub4dor&3-twelve", "密码密码很长很长的一句话呀"]
)
def test_good_passwords_are_taken(password: str) -> None:
    passwords.check_rules(password, "ana.rivera", "ana.rivera@mail.example")


async def test_a_password_is_the_same_however_it_is_composed() -> None:
    hashed = await passwords.hash_of("caf\u00e9 am Fluss und Wald")
    assert await passwords.verify(hashed, "cafe\u0301 am Fluss und Wald")


async def test_no_hash_and_a_broken_one_fit_nothing() -> None:
    for hashed in ("", "plain", "$argon2id$v=19$m=1$x"):
        assert not await passwords.verify(hashed, PASSWORD)


@given(st.text(max_size=300))
def test_rules_never_fail_otherwise(password: str) -> None:
    try:
        passwords.check_rules(password, "ana", "ana@mail.example")
    except ValueWrong:
        return
    assert 12 <= len(passwords.normalized(password)) <= 256


async def test_too_many_at_once_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "MAX_WAITING", 2)
    answers = await asyncio.gather(*(passwords.verify("", "x") for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(one, Unavailable) for one in answers) == 4
    assert not await passwords.verify("", "x")
