"""`fhir-server doctor`: what it finds, what it advises, and its exit code."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pymongo import MongoClient

from fhir_server.cli.checks import access, machine
from fhir_server.cli.checks import database as database_checks
from fhir_server.cli.checks.finding import Level
from fhir_server.config import Settings
from fhir_server.storage.database import Database
from fhir_server.storage.embedded import PrivateMongod, locate
from tests.cli.here import here


def test_a_machine_before_its_first_start(tmp_path: Path) -> None:
    ended = here("doctor", "--port", "0", "--data-dir", tmp_path / "new")
    assert ended.returncode == 0, ended.stdout
    assert "FAIL" not in ended.stdout
    assert not (tmp_path / "new").exists(), "a look around leaves nothing behind"


def test_beside_a_running_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_checks, "_ANSWER_SECONDS", 60)  # a busy machine is slow, not wrong
    with PrivateMongod(tmp_path) as uri:
        ended = here("doctor", "--port", "0", "--data-dir", tmp_path)
        assert ended.returncode == 0, ended.stdout
        assert "Replica set     fhir, 1 member(s)" in ended.stdout
        assert "end after 10 s" in ended.stdout
        assert locate(tmp_path) == uri


def test_failures_have_advice_and_an_exit_code(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = here("doctor", "--port", port, "--data-dir", tmp_path, MONGOD="/nowhere")
    assert ended.returncode == 1
    assert "FAIL mongod" in ended.stdout
    assert "FAIL Port" in ended.stdout
    assert f"--port {port + 10}" in ended.stdout


def test_a_database_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"mongodb://%2F{str(tmp_path)[1:].replace('/', '%2F')}%2Fnone.sock"
    monkeypatch.setattr(database_checks, "_ANSWER_SECONDS", 0.1)  # as long as it is waited for
    ended = here("doctor", "--port", "0", MONGODB_URI=uri)
    assert ended.returncode == 1
    assert "FAIL Database        does not answer" in ended.stdout


async def test_missing_indexes_are_named(mongo_uri: str, database: str) -> None:
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        assert database_checks.indexes(client, database).level is Level.OK
        ours = Database(mongo_uri, database)
        await ours.prepare()
        await ours.close()
        assert database_checks.indexes(client, database).level is Level.OK
        client[f"{database}_fhir"]["resource"].drop_index("key_created")
        finding = database_checks.indexes(client, database)
        assert finding.level is Level.FAIL
        assert "resource.key_created" in finding.text


def test_a_foreign_clusters_transaction_lifetime_is_reported(mongo_uri: str) -> None:
    name = "transactionLifetimeLimitSeconds"
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        client.admin.command({"setParameter": 1, name: 60})
        try:
            finding = database_checks.lifetime(client)
        finally:
            client.admin.command({"setParameter": 1, name: 10})
        assert finding.level is Level.WARN
        assert "60" in finding.text
        assert database_checks.clock(client).level is Level.OK


@pytest.mark.parametrize(("passing", "level"), [(0.01, Level.WARN), (10.01, Level.OK)])
def test_an_answer_that_was_long_on_its_way_is_no_wrong_clock(
    monkeypatch: pytest.MonkeyPatch, passing: float, level: Level
) -> None:
    """The database told its time ten seconds ago: that is wrong, unless its answer took as long."""
    ticks = iter([0.0, passing])
    monkeypatch.setattr(database_checks, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    told = {"localTime": datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=10)}
    client: Any = SimpleNamespace(admin=SimpleNamespace(command=lambda _: told))
    assert database_checks.clock(client).level is level


def test_a_data_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert [f.level for f in machine.data_directory(tmp_path / "file" / "data")] == [Level.FAIL]


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o604])
def test_keys_are_their_owners_alone(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "master.key"
    path.write_text("secret")
    path.chmod(mode)
    found = access.key_file("Master key", path, configured=False)
    assert found.level is (Level.WARN if mode & 0o077 else Level.OK)
    assert "secret" not in found.text


def test_a_key_that_is_configured_must_be_there(tmp_path: Path) -> None:
    assert access.key_file("Audit key", tmp_path / "none", configured=True).level is Level.FAIL
    assert access.key_file("Audit key", tmp_path / "none", configured=False).level is Level.OK
    assert access.key_file("Audit key", Path(__file__) / "none", configured=True).level is Level.FAIL


@pytest.mark.parametrize(
    ("host", "base_url", "level"),
    [
        ("127.0.0.1", None, Level.OK),
        ("0.0.0.0", None, Level.WARN),
        ("0.0.0.0", "https://ehr.example/fhir", Level.OK),
        ("127.0.0.1", "http://localhost:8080/fhir", Level.OK),
        ("127.0.0.1", "http://[::1]:8080/fhir", Level.OK),
        ("0.0.0.0", "http://ehr.example/fhir", Level.WARN),
    ],
)
def test_tokens_come_under_tls(host: str, base_url: str | None, level: Level) -> None:
    assert access.public_url(Settings(host=host, base_url=base_url)).level is level


def test_open_mode_and_a_missing_trail_are_warned_of(tmp_path: Path) -> None:
    def texts(**given: Any) -> list[str]:
        return [f"{one.level.name} {one.subject} {one.text}" for one in access.examine(Settings(**given))]

    assert texts(open=True, data_dir=tmp_path) == ["WARN Sign-in none: open mode"]
    assert "WARN Audit trail off" in texts(open=False, audit=False, data_dir=tmp_path)
