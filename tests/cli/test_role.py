"""`fhir-server role`: what roles may do, and who has which."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_server.access import roles as policy
from smart_auth.service import SmartAuth
from tests.cli.accounts import Accounts
from tests.cli.serving import command


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


def test_a_policy_of_ones_own_is_shown(accounts: Accounts, tmp_path: Path) -> None:
    """In a process of its own: the policy is a process's."""
    ours = tmp_path / "roles.toml"
    text = (Path(policy.__file__).parent / "roles.toml").read_text()
    ours.write_text(text.replace("[roles.nurse]\nabout = ", "[roles.nurse]\nabout = 'Ours.' # "))
    assert "nurse: Ours." in command("role", FHIR_ROLES=str(ours)).stdout.splitlines()
    ours.write_text("[roles.nurse]")
    wrong = command("role", FHIR_ROLES=str(ours))
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "Traceback" not in wrong.stderr


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
