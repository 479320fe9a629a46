"""`fhir-server key rotate-master | rewrap | rotate-patients` and `doctor`, beside a running server."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from pymongo import MongoClient

from fhir_server.cli.checks.encryption import patient_keys
from fhir_server.cli.checks.finding import Level
from fhir_server.config import Settings
from fhir_server.encryption.sealing import rotate_file
from tests.cli.accounts import Accounts

Json = dict[str, Any]
LABEL = {"system": "http://fhir-server.example/ig/CodeSystem/record-label", "code": "sensitive"}


@pytest.fixture
def accounts(settings: Settings) -> Iterator[Accounts]:
    before = structlog.get_config()
    yield Accounts(settings)
    structlog.configure(**before)


def put(client: httpx.Client, id_: str) -> None:
    about = {"subject": {"reference": f"Patient/{id_}"}, "code": {"text": f"secret of {id_}"}}
    body = {"resourceType": "Condition", "id": id_, "meta": {"security": [LABEL]}, **about}
    client.put(f"/Condition/{id_}", json=body).raise_for_status()


def reads(client: httpx.Client, id_: str) -> bool:
    return bool(client.get(f"/Condition/{id_}").json()["code"]["text"] == f"secret of {id_}")


def test_master_keys_and_patients_keys_rotate(client: httpx.Client, accounts: Accounts, settings: Settings) -> None:
    with MongoClient[Json](settings.mongodb_uri) as mongo:
        rows = mongo[f"{settings.database}_system"]["patient_key"]
        assert patient_keys(mongo, settings).level is Level.OK  # there is none
        for id_ in ("a", "b"):
            put(client, id_)
        before = {row["_id"]: bytes(row["w"]) for row in rows.find()}
        assert patient_keys(mongo, settings).level is Level.OK
        path = settings.data_dir / "master.key"
        assert path.stat().st_mode & 0o777 == 0o600
        path.chmod(0o640)
        assert "can be read by others" in patient_keys(mongo, settings).text
        path.chmod(0o600)

        said = accounts.done("key", "rotate-master")
        assert said[-1] == "Wrapped anew: 2 keys of patients."
        after = {row["_id"]: bytes(row["w"]) for row in rows.find()}
        assert set(after) == set(before)
        assert all(after[id_] != before[id_] for id_ in after)
        path.write_text(path.read_text().splitlines()[0] + "\n")
        assert reads(client, "a")  # the server has its old key, and finds the new one
        put(client, "c")

        rotate_file(path)
        assert patient_keys(mongo, settings).level is Level.WARN
        assert accounts.done("key", "rewrap")[-1] == "Wrapped anew: 3 keys of patients."
        assert patient_keys(mongo, settings).level is Level.OK

        assert accounts.done("key", "rotate-patients", "--patient", "a") == ["Sealed anew: 2 versions."]
        assert [row["_id"] for row in rows.find({"c": True}).sort("_id", 1)] == [
            "Patient/a|2",
            "Patient/b|1",
            "Patient/c|1",
        ]
        assert accounts.done("key", "rotate-patients") == ["Sealed anew: 6 versions."]
        assert [row["n"] for row in rows.find({"c": True}).sort("_id", 1)] == [3, 2, 2]
        assert all(reads(client, id_) for id_ in "abc")
    told = [entry.query for entry in accounts.trail() if entry.interaction == "key"]
    assert told == ["rotate-master", "rewrap", "rotate-patients a", "rotate-patients"]


def test_a_master_key_that_does_not_open_them_is_told(client: httpx.Client, settings: Settings, tmp_path: Path) -> None:
    put(client, "d")
    with MongoClient[Json](settings.mongodb_uri) as mongo:
        lost = patient_keys(mongo, settings.model_copy(update={"data_dir": tmp_path}))
        assert lost.level is Level.FAIL
        other = base64.b64encode(b"o" * 32).decode()
        wrong = patient_keys(mongo, settings.model_copy(update={"master_key": other}))
        assert wrong.level is Level.FAIL
        assert other not in wrong.text + wrong.advice


def test_a_master_key_of_the_environment_is_not_a_file_to_rotate(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    keys = " ".join((settings.data_dir / "master.key").read_text().split())
    monkeypatch.setenv("FHIR_MASTER_KEY", keys)
    assert "not a file here" in accounts.refused("key", "rotate-master")
