"""The private mongod: started, shared, stopped, and never losing data to a kill -9."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from fhir_server.config import Settings
from fhir_server.storage import embedded
from fhir_server.storage.data_directory import DataDirectory, Lock
from fhir_server.storage.embedded import PrivateMongod, database_uri, locate
from fhir_server.storage.mongod import MongodUnavailable

Document = dict[str, Any]

OTHER_PROCESS = """
import sys
from pathlib import Path
from fhir_server.storage.embedded import PrivateMongod
with PrivateMongod(Path(sys.argv[1])) as uri:
    print(uri, file=sys.stderr, flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """A second process with a share in the mongod; `communicate()` makes it leave."""
    with subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent.parent,
    ) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said.startswith("mongodb://"), said + process.stderr.read()
        yield process
        if process.poll() is None:
            process.communicate()


@contextmanager
def connected(uri: str) -> Iterator[MongoClient[Document]]:
    with MongoClient[Document](uri, w="majority", journal=True, serverSelectionTimeoutMS=60_000) as client:
        # One that was killed and started again answers a moment before it takes writes.
        while not client.admin.command("hello")["isWritablePrimary"]:
            pass
        yield client


def put(uri: str, number: int) -> None:
    with connected(uri) as client:
        client.test.written.insert_one({"_id": number})


def written(uri: str) -> list[int]:
    with connected(uri) as client:
        return sorted(document["_id"] for document in client.test.written.find())


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def wait_until_gone(data_dir: Path) -> None:
    lock = Lock(DataDirectory(data_dir).running)
    assert lock.share(60), "the mongod still runs"
    lock.release()


def test_starts_answers_and_stops(tmp_path: Path) -> None:
    with PrivateMongod(tmp_path) as uri:
        with connected(uri) as client:
            hello = client.admin.command("hello")
            assert hello["isWritablePrimary"]
            assert hello["setName"] == "fhir"
            lifetime = client.admin.command("getParameter", transactionLifetimeLimitSeconds=1)
            assert lifetime["transactionLifetimeLimitSeconds"] == 10
        assert locate(tmp_path) == uri
    assert locate(tmp_path) is None
    wait_until_gone(tmp_path)


def test_transactions_and_change_streams_work(tmp_path: Path) -> None:
    with PrivateMongod(tmp_path) as uri, connected(uri) as client:
        client.test.create_collection("c")
        with client.test.c.watch() as changes:
            with client.start_session() as session, session.start_transaction():
                client.test.c.insert_one({"_id": 1}, session=session)
            assert next(changes)["documentKey"] == {"_id": 1}


def test_only_this_user_can_reach_it(tmp_path: Path) -> None:
    with PrivateMongod(tmp_path):
        path = DataDirectory(tmp_path).socket()
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        pid = DataDirectory(tmp_path).pid()
        inodes = set()
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # it was closed meanwhile
                inodes.add(os.readlink(link))
        listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        assert not [entry for entry in listening if f"socket:[{entry[9]}]" in inodes], "mongod has a TCP port"


def test_data_survives_a_clean_restart(tmp_path: Path) -> None:
    with PrivateMongod(tmp_path) as uri:
        put(uri, 1)
    with PrivateMongod(tmp_path) as uri:
        assert written(uri) == [1]


def test_a_killed_mongod_is_started_again_without_loss(tmp_path: Path) -> None:
    with PrivateMongod(tmp_path) as uri:
        for number in range(3):
            put(uri, number)
            before = DataDirectory(tmp_path).pid()
            kill(before)
            assert written(uri) == list(range(number + 1))
            assert DataDirectory(tmp_path).pid() != before


def test_the_mongod_of_a_killed_server_is_adopted(tmp_path: Path) -> None:
    with another_process(tmp_path) as server:
        uri = locate(tmp_path)
        assert uri is not None
        put(uri, 1)
        orphan = DataDirectory(tmp_path).pid()
        kill(server.pid)
        server.wait()
        with PrivateMongod(tmp_path) as uri:
            assert DataDirectory(tmp_path).pid() == orphan
            assert written(uri) == [1]
            kill(orphan)  # the adopter supervises it, too
            assert written(uri) == [1]
        wait_until_gone(tmp_path)


def test_data_survives_the_death_of_both(tmp_path: Path) -> None:
    with another_process(tmp_path) as server:
        uri = locate(tmp_path)
        assert uri is not None
        put(uri, 1)
        kill(server.pid)
        kill(DataDirectory(tmp_path).pid())
        server.wait()
    with PrivateMongod(tmp_path) as uri:
        assert written(uri) == [1]


def test_a_mongod_that_dies_while_it_is_adopted_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = DataDirectory(tmp_path)
    files.make()
    dying = Lock(files.running)
    assert dying.take()  # a killed mongod holds it until the kernel is done with it
    listening = embedded._listening

    def die_first(path: Path) -> bool:
        dying.release()
        return listening(path)

    monkeypatch.setattr(embedded, "_listening", die_first)
    with PrivateMongod(tmp_path) as uri:
        put(uri, 1)
        assert written(uri) == [1]


def test_every_acknowledged_write_survives_kills_during_a_load(tmp_path: Path) -> None:
    acknowledged: list[int] = []
    stop = threading.Event()

    def load(uri: str) -> None:
        with connected(uri) as client:
            number = 0
            while not stop.is_set():
                number += 1
                try:
                    client.test.written.insert_one({"_id": number})
                except PyMongoError:
                    continue  # not acknowledged: it may be there or not
                acknowledged.append(number)

    with PrivateMongod(tmp_path) as uri:
        thread = threading.Thread(target=load, args=(uri,))
        thread.start()
        try:
            for round_ in range(2):
                put(uri, -1 - round_)
                kill(DataDirectory(tmp_path).pid())
                with connected(uri) as client:  # waits for the one that takes its place
                    client.admin.command("ping")
        finally:
            stop.set()
            thread.join()
        assert acknowledged
        assert set(acknowledged) <= set(written(uri))


def test_the_last_user_stops_it(tmp_path: Path) -> None:
    with another_process(tmp_path) as command:
        with PrivateMongod(tmp_path) as uri:
            put(uri, 1)
            command.communicate()  # the one that started it leaves first
            assert written(uri) == [1]
            kill(DataDirectory(tmp_path).pid())  # and whoever is left takes over
            assert written(uri) == [1]
        wait_until_gone(tmp_path)


def test_a_command_beside_the_server_leaves_it_running(tmp_path: Path) -> None:
    with PrivateMongod(tmp_path) as uri:
        with another_process(tmp_path) as command:
            command.communicate()
        assert locate(tmp_path) == uri


def test_a_moved_data_directory_keeps_its_data(tmp_path: Path) -> None:
    with PrivateMongod(tmp_path / "here") as uri:
        put(uri, 1)
    (tmp_path / "here").rename(tmp_path / "there")
    with PrivateMongod(tmp_path / "there") as uri:
        assert written(uri) == [1]


def test_a_path_too_long_for_a_socket(tmp_path: Path) -> None:
    data_dir = tmp_path / ("long" * 30)
    with PrivateMongod(data_dir) as uri:
        put(uri, 1)
        path = DataDirectory(data_dir).socket()
        assert not path.is_relative_to(tmp_path)
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.unlink(missing_ok=True)
    path.parent.rmdir()  # as a restart of the machine does with /tmp
    with PrivateMongod(data_dir) as uri:
        assert written(uri) == [1]
    DataDirectory(data_dir).socket().unlink(missing_ok=True)
    DataDirectory(data_dir).socket().parent.rmdir()


def test_a_configured_database_is_used_as_it_is(tmp_path: Path) -> None:
    settings = Settings(mongodb_uri="mongodb://127.0.0.1:1/?replicaSet=x", data_dir=tmp_path)
    with database_uri(settings) as uri:
        assert uri == settings.mongodb_uri
    assert not list(tmp_path.iterdir())


def test_a_data_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MongodUnavailable, match="cannot be used"):
        PrivateMongod(tmp_path / "file").start()


def test_a_start_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "mongod-that-ends"
    fake.write_text("#!/bin/sh\necho db version v6.0.5\n")
    fake.chmod(0o755)
    monkeypatch.setenv("MONGOD", str(fake))
    with pytest.raises(MongodUnavailable, match="mongod ended"):
        PrivateMongod(tmp_path).start()
    monkeypatch.delenv("MONGOD")
    with PrivateMongod(tmp_path) as uri:
        put(uri, 1)
