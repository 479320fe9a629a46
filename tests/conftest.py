"""What tests share: one private mongod for the run, a database of their own per module, a real server on loopback."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import certifi
import httpx
import hypothesis
import pytest
import socketio  # noqa: F401  # whole, before realtime/protocol.py takes the server alone: tests are clients, too
import uvicorn
from argon2 import PasswordHasher
from pymongo import MongoClient

from fhir_server.config import Settings
from fhir_server.storage.embedded import PrivateMongod
from fhir_server.storage.mongod import mongod_problem
from scripts.run_tests import keep_bytecode
from smart_auth import passwords
from tests.patience import patient_callers

__all__ = ["patient_callers"]
ROOT = Path(__file__).resolve().parent.parent


keep_bytecode()
# No test is measured by the clock: a machine that is busy is not a failure.
hypothesis.settings.register_profile(
    "untimed",
    hypothesis.settings.default,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("untimed")
# Most tests count what they stored themselves; tests/ig loads the guide.
os.environ.setdefault("FHIR_GUIDE", "false")
# What a test asks may take as long as the machine is busy; those about the limit set their own.
os.environ.setdefault("FHIR_QUERY_SECONDS", "60")
# And most ask nothing of who calls; tests/smart_auth, tests/leak and tests/clients do.
os.environ.setdefault("FHIR_OPEN", "true")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The material beside the project (published definitions, Synthea bundles); tests that need it skip without it."""
    path = ROOT.parent / "shared"
    if not path.is_dir():
        pytest.skip("needs the folder `shared` beside the project, which is not there")
    return path


@pytest.fixture(scope="session")
def mongo_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A private mongod for the whole run."""
    problem = mongod_problem()
    if problem:
        pytest.fail(problem, pytrace=False)
    with PrivateMongod(tmp_path_factory.mktemp("mongod"), cache_gb=0.5) as uri:
        yield uri


@pytest.fixture(scope="session", autouse=True)
def ended_in_order() -> Iterator[None]:
    """SIGTERM, as `timeout` sends it, ends a run like Ctrl-C: no mongod is left behind."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """What argon2 costs is for who guesses; in this process each hash takes the least. Those we start pay it all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        yield


@pytest.fixture(scope="session", autouse=True)
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Each client loads the certificates of some hundred authorities; no test leaves loopback, and one is enough."""
    end = "-----END CERTIFICATE-----\n"
    file = tmp_path_factory.mktemp("authority") / "one.pem"
    file.write_text(Path(certifi.where()).read_text().partition(end)[0] + end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        yield


@pytest.fixture(scope="module")
def database(mongo_uri: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database prefix that no other test module uses; its databases are dropped at the end."""
    prefix = "t_" + re.sub(r"\W", "_", request.module.__name__.removeprefix("tests."))[-40:]
    yield prefix
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        for name in client.list_database_names():
            if name.startswith(f"{prefix}_"):
                client.drop_database(name)


@pytest.fixture(scope="module")
def settings(mongo_uri: str, database: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of the module's server; a module that needs others overrides this fixture."""
    return Settings(
        mongodb_uri=mongo_uri, database=database, data_dir=tmp_path_factory.mktemp("data"), port=0, log_level="warning"
    )


@pytest.fixture(scope="module")
def server(settings: Settings) -> Iterator[str]:
    """A real server on a free port of loopback; yields the FHIR base URL."""
    with serve(settings) as base:
        yield base


@pytest.fixture
def client(server: str) -> Iterator[httpx.Client]:
    """A client of the module's server: `client.get("/Patient/1")`."""
    with httpx.Client(base_url=server, timeout=60, headers={"Content-Type": "application/fhir+json"}) as session:
        yield session


@contextmanager
def serve(settings: Settings) -> Iterator[str]:
    """Run the application of `settings` in a thread of its own for as long as the block lasts."""
    from fhir_server.main import create_app

    with socket.create_server((settings.host, settings.port)) as listener:
        port = listener.getsockname()[1]
        app = create_app(settings.model_copy(update={"port": port}))
        config = uvicorn.Config(app, lifespan="on", log_level="warning", access_log=False, timeout_graceful_shutdown=5)
        decided = threading.Event()
        running = _Announcing(config, decided.set)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        decided.wait(60)
        if not running.started:
            pytest.fail("the server did not start; its log says why", pytrace=False)
        try:
            yield f"http://{settings.host}:{port}/fhir"
        finally:
            running.should_exit = True
            thread.join(30)


class _Announcing(uvicorn.Server):
    """A server that tells when it accepts connections, or has given up."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self._announce()


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test that reaches for another machine fails, even when the code under test hides the refusal."""
    offences: list[str] = []

    def guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
        def check(sock: socket.socket, address: Any) -> Any:
            if sock.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
                offences.append(str(address[0]))
                raise ConnectionRefusedError(f"tests may only reach loopback, not {address[0]}")
            return connect(sock, address)

        return check

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, guarded(getattr(socket.socket, name)))
    yield
    assert not offences, f"the test reached for {', '.join(sorted(set(offences)))}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"
