"""`fhir-server role`: what roles may do, and who has which."""

from __future__ import annotations

import pytest

from fhir_server.access import roles as policy
from smart_auth.service import SmartAuth
from tests.cli.accounts import Accounts


def roles_of(accounts: Accounts, login: str) -> tuple[str, ...]:
    async def look(auth: SmartAuth) -> tuple[str, ...]:
        user = await auth.users.get(login)
        assert user is not None
        return user.roles

    return accounts.look(look)


def test_every_role_is_listed_with_a_sentence(accounts: Accounts) -> None:
    said = dict(line.split(": ", 1) for line in accounts.done("role"))
    assert said.keys() == policy.policy().roles.keys()
    assert all(said.values())


def test_one_role_is_shown_with_all_that_it_may(accounts: Accounts) -> None:
    said = accounts.done("role", "nurse")
    assert said[0].startswith("nurse: ")
    assert len(said) == 1 + len(policy.policy().roles["nurse"].given)
    assert "  Coverage: rs limited" in said


def test_roles_are_given_and_taken(accounts: Accounts) -> None:
    accounts.done("user", "add", "ada", "--role", "doctor")
    assert accounts.done("role", "nurse", "--user", "Ada") == ["ada is nurse."]
    assert accounts.done("role", "nurse", "--user", "ada") == ["ada is nurse."]
    assert roles_of(accounts, "ada") == ("doctor", "nurse")
    assert accounts.done("role", "doctor", "--user", "ada", "--take") == ["ada is no longer doctor."]
    assert roles_of(accounts, "ada") == ("nurse",)
    told = [entry.query for entry in accounts.trail() if entry.interaction == "role"]
    assert told == ["give nurse ada", "give nurse ada", "take doctor ada"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("king",), "there is no role king; there are administrator"),
        (("--user", "ada"), "name the role"),
        (("doctor", "--take"), "name the user"),
        (("doctor", "--user", "nobody"), "there is no user nobody"),
        (("king", "--user", "ada"), "there is no role king"),
    ],
)
def test_refusals(accounts: Accounts, arguments: tuple[str, ...], said: str) -> None:
    assert said in accounts.refused("role", *arguments)
