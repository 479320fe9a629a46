"""`fhir-server user`: who may sign in, on a real database."""

from __future__ import annotations

import pytest

from smart_auth.grant import Grant, new_id
from smart_auth.service import SmartAuth
from tests.cli.accounts import Accounts

CHOSEN = "a quiet walk by the river"


def add(accounts: Accounts, login: str, *more: str) -> str:
    """A new user; the password that was made."""
    said = accounts.done("user", "add", login, *more)
    assert said[0] == f"Added {login}."
    assert said[1].startswith("Password: ")
    return said[1].removeprefix("Password: ")


def may_enter(accounts: Accounts, login: str, password: str) -> bool:
    async def look(auth: SmartAuth) -> bool:
        return await auth.users.check_password(login, password) is not None

    return accounts.look(look)


def test_a_user_is_added_and_listed(accounts: Accounts) -> None:
    password = add(accounts, "ada", "--role", "doctor", "--role", "nurse", "--fhir-user", "Practitioner/ada")
    assert len(password) >= 16
    assert may_enter(accounts, "ada", password)
    assert not may_enter(accounts, "ada", CHOSEN)
    assert "ada  doctor, nurse  Practitioner/ada" in accounts.done("user", "list")


def test_the_password_can_be_typed_and_is_told_to_nobody(accounts: Accounts) -> None:
    said = accounts.done("user", "add", "typist", "--password-stdin", typed=f"{CHOSEN}\n")
    assert said == ["Added typist."]
    assert may_enter(accounts, "typist", CHOSEN)
    other = "seven green umbrellas"
    said = accounts.done("user", "password", "typist", "--password-stdin", typed=f"{other}\n")
    assert said == ["Changed; whoever was signed in as typist is signed out."]
    assert may_enter(accounts, "typist", other)
    assert not may_enter(accounts, "typist", CHOSEN)


@pytest.mark.parametrize("action", ["password", "disable", "remove"])
def test_who_may_not_go_on_is_signed_out_everywhere(accounts: Accounts, action: str) -> None:
    login = f"{action}-me"
    add(accounts, login)

    async def sign_in(auth: SmartAuth) -> tuple[str, str]:
        issued = await auth.tokens.issue(Grant(new_id(), "app", user=login, scopes="user/*.rs"), seconds=600)
        return issued.access, await auth.sessions.start(login)

    access, session = accounts.look(sign_in)

    async def lasts(auth: SmartAuth) -> tuple[bool, bool]:
        return await auth.tokens.find(access) is not None, await auth.sessions.find(session) is not None

    assert accounts.look(lasts) == (True, True)
    accounts.done("user", action, login.upper())  # names are not case-sensitive
    assert accounts.look(lasts) == (False, False)


def test_a_disabled_user_can_come_back(accounts: Accounts) -> None:
    password = add(accounts, "bea")
    accounts.done("user", "disable", "bea")
    assert "bea  no role  -  (disabled)" in accounts.done("user", "list")
    assert not may_enter(accounts, "bea", password)
    accounts.done("user", "enable", "bea")
    assert may_enter(accounts, "bea", password)


@pytest.mark.parametrize(
    ("arguments", "typed", "said"),
    [
        (("add",), "", "name the user"),
        (("add", "taken"), "", "is there already"),
        (("add", "new", "--role", "king"), "", "there is no role king"),
        (("add", "new", "--fhir-user", "Observation/1"), "", "A user is a Practitioner"),
        (("add", "new", "--email", "nowhere"), "", "e-mail address"),
        (("add", "a b"), "", "A user name has"),
        (("add", "new", "--password-stdin"), "short\n", ""),
        (("add", "new", "--password-stdin"), "", ""),
        (("password", "nobody"), "", "there is no user nobody"),
        (("disable", "nobody"), "", "there is no user nobody"),
        (("remove", "nobody"), "", "there is no user nobody"),
    ],
)
def test_refusals(accounts: Accounts, arguments: tuple[str, ...], typed: str, said: str) -> None:
    accounts("user", "add", "taken")
    assert said in accounts.refused("user", *arguments, typed=typed)
    assert not any(line.startswith("new ") for line in accounts.done("user", "list"))


def test_an_unknown_action_is_named(accounts: Accounts) -> None:
    ended = accounts("user", "promote", "ada")
    assert ended.code == 2
    assert "promote" in ended.error


def test_the_audit_trail_tells_who_was_changed_and_no_password(accounts: Accounts) -> None:
    password = add(accounts, "told")
    accounts.done("user", "disable", "told")
    entries = [one for one in accounts.trail() if one.interaction == "user"]
    assert [one.query for one in entries if one.query.endswith(" told")] == ["add told", "disable told"]
    assert {one.agent.name for one in entries} == {"fhir-server user"}
    assert password not in repr(entries)
