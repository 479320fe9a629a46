"""`fhir-server serve` from the outside: start, answer, stop, survive kill -9, refuse in words."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_server.storage.data_directory import DataDirectory, Lock
from fhir_server.storage.embedded import locate
from tests.cli.serving import Serving, command, serving

FHIR = {"Content-Type": "application/fhir+json"}


def create(server: Serving) -> str:
    """Make a Patient and answer its relative URL."""
    answer = httpx.post(f"{server.base}/Patient", json={"resourceType": "Patient", "active": True}, headers=FHIR)
    assert answer.status_code == 201, answer.text
    return f"Patient/{answer.json()['id']}"


def read(server: Serving, url: str) -> dict[str, Any]:
    answer = httpx.get(f"{server.base}/{url}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def kill_mongod(data_dir: Path) -> None:
    pid = DataDirectory(data_dir).pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    lock = Lock(DataDirectory(data_dir).running)
    assert lock.share(60)
    lock.release()


def test_banner_and_orderly_end(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert "NO SIGN-IN" in server.banner
        assert str(tmp_path) in server.banner
        root = server.base.removesuffix("/fhir")
        for page in ("/", "/fhir/metadata", "/docs", "/health/live", "/health/ready"):
            assert httpx.get(root + page).status_code == 200, page
        assert "server" not in httpx.get(f"{root}/fhir/metadata").headers
        assert server.signal(signal.SIGINT) == 0
    assert locate(tmp_path) is None, "the private mongod still runs"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_data_survives_kill_of_server_and_mongod(tmp_path: Path, workers: str) -> None:
    with serving(tmp_path, "--workers", workers) as server:
        first = create(server)
        assert server.signal(signal.SIGKILL) == -signal.SIGKILL  # and its workers follow
        with pytest.raises(httpx.ConnectError):
            httpx.get(server.base)
    with serving(tmp_path, "--workers", workers) as server:  # adopts the mongod
        assert read(server, first)["active"] is True
        second = create(server)
        server.signal(signal.SIGKILL)
        kill_mongod(tmp_path)
    with serving(tmp_path, "--workers", workers) as server:
        assert read(server, first)["active"] is True
        assert read(server, second)["active"] is True


def test_a_killed_mongod_comes_back_under_the_server_and_ends_with_it(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        before = create(server)
        kill_mongod(tmp_path)
        with httpx.Client(timeout=60) as client:
            while (ready := client.get(f"{server.base.removesuffix('/fhir')}/health/ready")).status_code == 503:
                assert ready.headers["Retry-After"]
        assert read(server, before)["active"] is True
        create(server)
        assert server.signal(signal.SIGTERM) == 0
    assert locate(tmp_path) is None, "the mongod that came back still runs"


def test_two_processes_serve_the_same_data_and_end_together(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as server:
        url = create(server)
        for _ in range(20):  # a new connection each: either process may take it
            assert read(server, url)["active"] is True
        assert server.signal(signal.SIGTERM) == 0
    assert locate(tmp_path) is None, "the private mongod still runs"


def test_a_taken_port_is_said_in_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = command("serve", "--port", str(port), "--data-dir", str(tmp_path))
    assert ended.returncode == 1
    assert f"port {port}" in ended.stderr
    assert "--port" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list(tmp_path.iterdir()), "something was started before the port was tried"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"FHIR_WORKERS": "0"}, "FHIR_WORKERS"),
        ({"MONGOD": "/nowhere/mongod"}, "MONGODB_URI="),
        ({"MONGODB_URI": "http://127.0.0.1"}, "MONGODB_URI is wrong"),
    ],
)
def test_wrong_configuration_is_said_in_words(tmp_path: Path, environment: dict[str, str], said: str) -> None:
    ended = command("serve", "--port", "0", "--data-dir", str(tmp_path), **environment)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
