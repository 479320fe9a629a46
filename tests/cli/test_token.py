"""`fhir-server token`: a token for a script, beside a running server or before one starts."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo import MongoClient

from fhir_server.cli import commands
from fhir_server.config import Settings
from smart_auth.grant import Grant
from smart_auth.service import SmartAuth
from tests.cli.accounts import Accounts
from tests.cli.serving import Serving, command, serving
from tests.conftest import serve

FHIR = {"Content-Type": "application/fhir+json"}
ADA = {"resourceType": "Patient", "id": "ada", "active": True}
BEN = {"resourceType": "Patient", "id": "ben", "active": True}


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    """A server that wants to see a token."""
    return settings.model_copy(update={"open": False})


@pytest.fixture(scope="module")
def clinic(accounts: Accounts, server: str) -> str:
    """The base URL of a server with two patients, a user for one of them and a doctor."""
    write = bearer(token(accounts, "--scope", "system/*.cruds")) | FHIR
    for patient in (ADA, BEN):
        assert httpx.put(f"{server}/Patient/{patient['id']}", json=patient, headers=write).status_code == 201
    accounts.done("user", "add", "ada", "--role", "patient", "--fhir-user", "Patient/ada")
    accounts.done("user", "add", "dora", "--role", "doctor", "--fhir-user", "Practitioner/dora")
    accounts.done("user", "add", "gone", "--role", "doctor")
    accounts.done("user", "disable", "gone")
    jwks_uri = "https://feed.example/jwks"
    accounts.done("client", "add", "feed", "--backend", "--jwks-uri", jwks_uri, "--scope", "system/Patient.rs")
    accounts.done("client", "add", "off", "--redirect-uri", "https://off.example/back")
    accounts.done("client", "disable", "off")
    return server


def token(accounts: Accounts, *arguments: str) -> str:
    """The token, alone on the last line of what the command said."""
    (access,) = accounts.done("token", *arguments)
    assert len(access) == 43
    return access


def bearer(access: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {access}"}


def status(base: str, path: str, access: str, method: str = "GET", **body: Any) -> int:
    return httpx.request(method, f"{base}/{path}", headers=bearer(access) | FHIR, **body).status_code


def test_a_service_reads_and_does_not_write(accounts: Accounts, clinic: str) -> None:
    access = token(accounts, "--scope", "system/*.rs")
    assert status(clinic, "Patient", access) == 200
    assert status(clinic, "Patient/ada", access, "PUT", json=ADA) == 403
    assert status(clinic, "Patient/ada", access[:-1] + "x") == 401


def test_a_patients_token_is_for_that_patient_only(accounts: Accounts, clinic: str) -> None:
    for arguments in (("--patient", "ada"), ("--patient", "Patient/ada"), ("--user", "ada")):
        access = token(accounts, "--scope", "patient/Patient.rs", *arguments)
        assert status(clinic, "Patient/ada", access) == 200
        assert status(clinic, "Patient/ben", access) == 404


def test_a_users_token_follows_the_users_roles(accounts: Accounts, clinic: str) -> None:
    access = token(accounts, "--scope", "user/*.cruds", "--user", "Dora")
    assert status(clinic, "Patient/ben", access) == 200
    accounts.done("role", "observer", "--user", "dora")
    accounts.done("role", "doctor", "--user", "dora", "--take")
    assert status(clinic, "Patient/ben", access) in (403, 404)
    accounts.done("role", "doctor", "--user", "dora")
    assert status(clinic, "Patient/ben", access) == 200
    accounts.done("user", "disable", "dora")
    assert status(clinic, "Patient/ben", access) == 401
    accounts.done("user", "enable", "dora")


def test_it_lasts_as_long_as_it_is_told_to(accounts: Accounts, clinic: str) -> None:
    access = token(accounts, "--scope", "system/*.rs", "--minutes", "5")

    async def seconds(auth: SmartAuth) -> float:
        live = await auth.tokens.find(access)
        assert live is not None
        return (live.expires - live.issued).total_seconds()

    assert accounts.look(seconds) == 300
    for minutes in ("0", "61", "-1", "x"):
        assert accounts("token", "--scope", "system/*.rs", "--minutes", minutes).code == 2


def test_disabling_the_commands_client_ends_all_its_tokens(accounts: Accounts, clinic: str) -> None:
    access = token(accounts, "--scope", "system/*.rs")
    accounts.done("client", "disable", "fhir-server-token")
    assert status(clinic, "Patient", access) == 401
    assert "there is no active client fhir-server-token" in accounts.refused("token", "--scope", "system/*.rs")
    accounts.done("client", "enable", "fhir-server-token")
    assert status(clinic, "Patient", access) == 401, "what was revoked stays so"


def test_nobody_signs_in_with_the_commands_client(accounts: Accounts, clinic: str) -> None:
    asked = {"client_id": "fhir-server-token", "response_type": "code", "redirect_uri": "http://localhost/"}
    answer = httpx.get(f"{clinic.removesuffix('/fhir')}/auth/authorize", params=asked)
    assert answer.status_code == 400
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--scope", ""), "no scope is asked for"),
        (("--scope", "everything"), "everything: this server has no such scope"),
        (("--scope", "system/Patient.sr"), "system/Patient.sr: this server has no such scope"),
        (("--scope", "patient/*.rs"), "patient/*.rs: needs --patient"),
        (("--scope", "system/*.rs patient/*.rs"), "patient/*.rs: needs --patient"),
        (("--scope", "patient/*.rs", "--patient", "nobody"), "there is no Patient/nobody"),
        (("--scope", "patient/*.rs", "--patient", "../Patient/ada"), "there is no Patient/"),
        (("--scope", "user/*.rs"), "user/*.rs: needs --user"),
        (("--scope", "openid"), "openid: needs --user"),
        (("--scope", "system/*.rs", "--user", "dora"), "system/*.rs: is for services"),
        (("--scope", "user/*.rs", "--user", "nobody"), "there is no active user nobody"),
        (("--scope", "user/*.rs", "--user", "gone"), "there is no active user gone"),
        (("--scope", "system/*.rs", "--client", "nobody"), "there is no active client nobody"),
        (("--scope", "system/*.rs", "--client", "off"), "there is no active client off"),
        (("--scope", "system/*.rs", "--client", "feed"), "more than the client feed is registered for"),
        (("--scope", "system/Patient.rs", "--client", "feed", "--user", "dora"), "for a user or for a client"),
    ],
)
def test_what_cannot_be_given_is_refused_in_words(
    accounts: Accounts, clinic: str, arguments: tuple[str, ...], said: str
) -> None:
    assert said in accounts.refused("token", *arguments)


def test_a_client_gets_what_it_is_registered_for(accounts: Accounts, clinic: str) -> None:
    access = token(accounts, "--scope", "system/Patient.r", "--client", "feed")
    assert status(clinic, "Patient/ada", access) == 200
    assert status(clinic, "Observation/x", access) == 403


def test_the_trail_tells_of_it_and_the_database_does_not_know_it(accounts: Accounts, clinic: str) -> None:
    access = token(accounts, "--scope", "patient/*.rs", "--user", "ada")
    entry = [one for one in accounts.trail() if one.interaction == "token"][-1]
    assert (entry.query, entry.patients, entry.agent.user) == ("patient/*.rs", ("Patient/ada",), "Patient/ada")
    assert (entry.agent.client, entry.outcome) == ("fhir-server-token", 0)
    reader = bearer(token(accounts, "--scope", "system/AuditEvent.rs"))
    events = httpx.get(f"{clinic}/AuditEvent", params={"subtype": "token"}, headers=reader)
    assert events.status_code == 200
    assert events.json()["entry"]
    with MongoClient[dict[str, Any]](accounts.settings.mongodb_uri) as client:
        system = client[f"{accounts.settings.database}_system"]
        for name in system.list_collection_names():
            assert access not in repr(list(system[name].find())), name


def test_a_failed_audit_trail_gives_no_token(accounts: Accounts, clinic: str, tmp_path: Path) -> None:
    (tmp_path / "master.key").write_bytes((accounts.settings.data_dir / "master.key").read_bytes())
    (tmp_path / "audit.key").write_text("not a key")
    other = Accounts(accounts.settings.model_copy(update={"data_dir": tmp_path}))
    assert "audit key" in other.refused("token", "--scope", "system/*.rs")


def test_no_option_takes_a_secret() -> None:
    """What stands on a command line, everybody on the machine can read."""
    from typer.main import get_command

    named = {
        option
        for one in get_command(commands()).commands.values()  # type: ignore[attr-defined]
        for parameter in one.params
        for option in parameter.opts
        if not getattr(parameter, "is_flag", False)
    }
    assert "--scope" in named
    assert not {one for one in named if any(word in one for word in ("password", "secret", "key", "token"))} - _PUBLIC


_PUBLIC: set[str] = set()


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Serving]]:
    """A server with its private database, as a user starts it."""
    data_dir = tmp_path_factory.mktemp("private")
    with serving(data_dir, FHIR_OPEN="false", FHIR_GUIDE="false") as running:
        yield data_dir, running


def test_beside_a_running_server_with_its_private_database(private: tuple[Path, Serving]) -> None:
    data_dir, running = private
    ended = command("token", "--data-dir", str(data_dir), "--scope", "system/*.rs")
    assert ended.returncode == 0, ended.stderr
    access = ended.stdout.splitlines()[-1]
    assert ended.stdout == f"{access}\n"
    assert ended.stderr == "Scopes: system/*.rs\n"
    assert status(running.base, "Patient", access) == 200
    assert access not in _command_lines()
    for name in ("master.key", "audit.key"):
        assert stat.S_IMODE((data_dir / name).stat().st_mode) == 0o600
    for path in data_dir.rglob("*.log"):
        assert access not in path.read_text(errors="replace"), path


def test_a_refusal_from_outside_has_no_traceback(private: tuple[Path, Serving]) -> None:
    ended = command("token", "--data-dir", str(private[0]), "--scope", "patient/*.rs")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("fhir-server: no token:")
    assert "Traceback" not in ended.stderr


def _command_lines() -> str:
    """What every process of this machine was started with."""
    lines = []
    for pid in filter(str.isdigit, os.listdir("/proc") if os.path.isdir("/proc") else []):
        try:
            lines.append(Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(lines)


def test_before_any_server_was_started(tmp_path: Path) -> None:
    """The first command makes database and keys; the server that is started afterwards knows the token."""
    ended = command("token", "--data-dir", str(tmp_path), "--scope", "system/*.rs")
    assert ended.returncode == 0, ended.stderr
    with serving(tmp_path, FHIR_OPEN="false", FHIR_GUIDE="false") as running:
        assert status(running.base, "Patient", ended.stdout.strip()) == 200


def test_the_planted_grant_is_seen(accounts: Accounts, settings: Settings) -> None:
    """The check for what the database knows can fail: a token put there is found."""
    planted = Grant("planted", "x" * 43)

    async def plant(auth: SmartAuth) -> None:
        await auth.tokens.issue(planted, seconds=60)

    accounts.look(plant)
    with MongoClient[dict[str, Any]](settings.mongodb_uri) as client:
        assert "x" * 43 in repr(list(client[f"{settings.database}_system"]["auth_grants"].find()))


def test_open_mode_settings_do_not_keep_it_from_working(accounts: Accounts, settings: Settings) -> None:
    """FHIR_OPEN in the environment is the server's: accounts can be made ready before it is taken away."""
    with serve(settings) as base:
        os.environ["FHIR_OPEN"] = "true"
        assert status(base, "Patient", token(accounts, "--scope", "system/*.rs")) == 200
