"""A private mongod under the data directory, shared by every process that uses the directory.

Two locks (flock) decide who does what. `users`: each process that uses the mongod holds it shared; who can take it
alone is the last one, and stops the mongod. `owner`: one of the users supervises, and restarts the mongod when it
dies; the next in line takes over. The mongod itself holds a third, `running`, through an inherited descriptor, so
that it is known to live even when everyone who started it was killed; it is then adopted.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import structlog
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from fhir_server.config import Settings
from fhir_server.storage.data_directory import DataDirectory, Lock
from fhir_server.storage.mongod import MongodUnavailable, check_mongod, find_mongod, raise_file_limit

log = structlog.get_logger(__name__)

REPLICA_SET = "fhir"
OPLOG_MB = 512
TRANSACTION_SECONDS = 10
_START_SECONDS = 120.0  # recovery after a kill under load included
_STOP_SECONDS = 30.0
_SUPERVISE_SECONDS = 0.25
_LONGEST_PAUSE = 30.0
_NOT_YET_INITIALIZED, _INVALID_REPLICA_SET_CONFIG = 94, 93


class PrivateMongod:
    """This process's share in the mongod of a data directory.

    `start()` answers the connection string of a primary, starting a mongod when none runs; `stop()` ends the share,
    and the mongod when nobody else has one. In between the mongod is restarted whenever it dies.
    """

    def __init__(self, data_dir: Path, cache_gb: float = 0.5) -> None:
        self._files = DataDirectory(data_dir)
        self._cache_gb = cache_gb
        self._users = Lock(self._files.users)
        self._owner = Lock(self._files.owner)
        self._running = Lock(self._files.running)
        self._leaving = threading.Event()
        self._supervisor: threading.Thread | None = None
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Join or start the mongod and answer its URI once it is primary; raises MongodUnavailable."""
        self._leaving.clear()
        try:
            self._files.make()
        except OSError as error:
            raise MongodUnavailable(
                f"The data directory {self._files.home} cannot be used: {error.strerror}."
            ) from error
        if not self._users.share(_STOP_SECONDS):
            raise MongodUnavailable(f"The mongod of {self._files.home} is being stopped and does not end.")
        try:
            if self._owner.take():
                self._adopt_or_launch()
            else:
                self._wait_for_owner()
        except BaseException:
            self.stop()
            raise
        self._supervisor = threading.Thread(target=self._supervise, name="mongod-supervisor", daemon=True)
        self._supervisor.start()
        return uri_of(self._files.socket())

    def stop(self) -> None:
        """End this process's share; the last one to leave stops the mongod, cleanly."""
        if not self._users.held:
            return
        self._leaving.set()
        if self._supervisor is not None:
            self._supervisor.join()
            self._supervisor = None
        if self._users.take() and (self._owner.held or self._owner.take()):
            self._terminate()
        self._owner.release()
        self._users.release()

    def __enter__(self) -> str:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    # Starting

    def _adopt_or_launch(self) -> None:
        if not (self._alive() and self._adopt()):
            self._launch()
            self._wait_for_primary()

    def _adopt(self) -> bool:
        """Take over the mongod that runs; False when it was dying, as one that was just killed is for a moment."""
        log.info("mongod adopted", pid=self._files.pid())
        try:
            self._wait_for_primary()
        except MongodUnavailable:
            if self._alive() or self._leaving.is_set():
                raise
            return False
        return True

    def _wait_for_owner(self) -> None:
        """Another process starts or runs the mongod; become its owner should that process die meanwhile."""
        deadline = time.monotonic() + _START_SECONDS
        while not _ready(self._files.socket()):
            if self._owner.take():
                return self._adopt_or_launch()
            if time.monotonic() > deadline:
                raise MongodUnavailable(f"Another process owns {self._files.home}, but its mongod does not answer.")
            self._leaving.wait(0.1)
        return None

    def _launch(self) -> None:
        binary = find_mongod()
        check_mongod(binary)
        raise_file_limit()
        self._files.rotate_log()
        socket_path = self._files.choose_socket()
        if not self._running.take():
            raise MongodUnavailable(f"Another mongod runs on {self._files.db}.")
        try:
            with open(self._files.log, "ab") as output:
                self._child = subprocess.Popen(
                    [str(binary), *self._arguments(socket_path)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,  # Ctrl-C reaches the server alone, which then stops it in order
                    pass_fds=[self._running.descriptor],
                )
        finally:
            self._running.release()  # ours only: the child keeps the lock through its copy
        log.info("mongod started", pid=self._child.pid, socket=str(socket_path))

    def _arguments(self, socket_path: Path) -> list[str]:
        return [
            *("--dbpath", str(self._files.db)),
            *("--bind_ip", str(socket_path), "--nounixsocket"),  # this socket only: no TCP port, none in /tmp
            *("--replSet", REPLICA_SET),
            *("--oplogSize", str(OPLOG_MB)),
            *("--wiredTigerCacheSizeGB", str(max(self._cache_gb, 0.25))),
            *("--setParameter", f"transactionLifetimeLimitSeconds={TRANSACTION_SECONDS}"),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
            *("--noscripting", "--quiet"),
            *("--slowOpSampleRate", "0"),  # a slow operation's line would hold values of resources
        ]

    def _wait_for_primary(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        path = self._files.socket()
        while not _listening(path):
            self._must_live(deadline)
        while not _ready(path):  # with a new client each time: what one learned before replSetInitiate is stale
            try:
                with _client(path) as client:
                    _make_replica_set(client, path)
            except PyMongoError as error:
                log.debug("mongod is not ready", reason=type(error).__name__)
            self._must_live(deadline)

    def _must_live(self, deadline: float) -> None:
        """Pause shortly; raises MongodUnavailable when the mongod has ended, or not answered in time."""
        if not self._alive():
            code = self._child.returncode if self._child else None
            raise MongodUnavailable(
                f"mongod ended (exit {code}). The end of {self._files.log}:\n{self._files.log_end()}"
            )
        if time.monotonic() > deadline:
            raise MongodUnavailable(f"mongod did not become ready in {_START_SECONDS:.0f} s; see {self._files.log}.")
        if self._leaving.wait(0.02):
            raise MongodUnavailable("The mongod is not waited for any longer: this process is leaving.")

    # Running

    def _alive(self) -> bool:
        if self._child is not None and self._child.poll() is None:
            return True
        return self._running.is_taken()

    def _supervise(self) -> None:
        pause = 0.0
        while not self._leaving.wait(_SUPERVISE_SECONDS):
            if not self._owner.held and not self._owner.take():
                continue
            if self._alive():
                pause = 0.0
                continue
            log.error("mongod died and is started again", exit=self._child.returncode if self._child else None)
            if self._leaving.wait(pause):
                return
            try:
                self._adopt_or_launch()
            except (MongodUnavailable, OSError) as error:
                pause = min(max(2 * pause, 1.0), _LONGEST_PAUSE)
                log.error("mongod does not start", reason=str(error).splitlines()[0], next_try_seconds=pause)

    def _terminate(self) -> None:
        if not self._alive():
            return
        pid = self._child.pid if self._child is not None and self._child.poll() is None else self._files.pid()
        if pid is None:
            return
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while self._alive():
            if time.monotonic() > deadline:
                log.warning("mongod does not end in time and is killed", pid=pid)
                os.kill(pid, signal.SIGKILL)
                deadline += _STOP_SECONDS
            time.sleep(0.02)
        log.info("mongod stopped", pid=pid)


def locate(data_dir: Path) -> str | None:
    """The connection string of the mongod that runs on `data_dir` and is ready; None when there is none."""
    path = DataDirectory(data_dir).socket()
    return uri_of(path) if _ready(path) else None


@contextmanager
def database_uri(settings: Settings) -> Iterator[str]:
    """The database for as long as the block runs: the configured one, else the private mongod of the data directory.

    A mongod that runs already is used as it is; one that had to be started stops with its last user.
    Raises MongodUnavailable.
    """
    if settings.mongodb_uri:
        yield settings.mongodb_uri
        return
    with PrivateMongod(settings.data_dir, settings.mongod_cache_gb) as uri:
        yield uri


def uri_of(path: Path) -> str:
    """The connection string of a mongod that listens on the socket `path`."""
    return f"mongodb://{quote(str(path), safe='')}/?directConnection=true"


def is_private(uri: str) -> bool:
    """Whether `uri` leads to a private mongod (a Unix socket) and not to a configured database."""
    return uri.startswith("mongodb://%2F") and uri.endswith(".sock/?directConnection=true")


def _client(path: Path) -> MongoClient[dict[str, Any]]:
    return MongoClient(uri_of(path), serverSelectionTimeoutMS=2000, connectTimeoutMS=2000, socketTimeoutMS=10_000)


def _listening(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        return probe.connect_ex(str(path)) == 0


def _ready(path: Path) -> bool:
    if not _listening(path):
        return False
    with _client(path) as client:
        try:
            return bool(client.admin.command("hello").get("isWritablePrimary"))
        except PyMongoError:
            return False


def _make_replica_set(client: MongoClient[dict[str, Any]], path: Path) -> None:
    """Make a replica set of one, or give the one there is the socket's new path after the directory moved."""
    member = {"_id": 0, "host": str(path)}
    try:
        client.admin.command("replSetGetStatus")
    except OperationFailure as error:
        if error.code == _NOT_YET_INITIALIZED:
            client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [member]})
        elif error.code == _INVALID_REPLICA_SET_CONFIG:
            config = client.local["system.replset"].find_one() or {}
            config |= {"version": config.get("version", 0) + 1, "members": [config["members"][0] | member]}
            client.admin.command("replSetReconfig", config, force=True)
        else:
            raise
