"""Our own server for a measurement: its processes and private database in a temporary directory, gone afterwards."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.session import Unusable

FOREIGN = ("MONGODB_URI", "FHIR_")  # settings of the caller's environment that must not reach a measurement
START_SECONDS, STOP_SECONDS = 60, 20


@dataclass(frozen=True, slots=True)
class Started:
    """A running server: its base URL, main process and data directory, and how long its first answer took.

    `headers` is what a caller sends with each request, where one has to sign in.
    """

    base: str
    pid: int
    data_dir: Path
    seconds: float
    headers: tuple[str, ...] = ()


RUN = (sys.executable, "-c", "import sys; from fhir_server.cli import main; sys.exit(main())")
SCOPES = "system/*.cruds"


def command(port: int, workers: int, data_dir: Path, *, sign_in: bool = False) -> list[str]:
    """The command line of a server, without sign-in unless that is asked for."""
    where = ["--port", str(port), "--workers", str(workers), "--data-dir", str(data_dir)]
    return [*RUN, "serve", "--host", "127.0.0.1", *where, *([] if sign_in else ["--open"])]


@contextmanager
def serving(workers: int, *, sign_in: bool = False, audit: bool = True, scopes: str = SCOPES) -> Iterator[Started]:
    """A server of ours on a free port; Unusable with the end of its log when it does not come up.

    With `sign_in` it asks for a token, and one with `scopes` goes with each request; without `audit` it keeps no
    trail.
    """
    with tempfile.TemporaryDirectory(prefix="fhir-bench-") as folder:
        port, data_dir, log = free_port(), Path(folder) / "data", Path(folder) / "server.log"
        environment = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
        environment["FHIR_AUDIT"] = str(audit).lower()
        began = time.perf_counter()
        with log.open("wb") as out:
            process = subprocess.Popen(
                command(port, workers, data_dir, sign_in=sign_in),
                stdout=out,
                stderr=out,
                env=environment,
                start_new_session=True,
            )
        try:
            base = f"http://127.0.0.1:{port}/fhir"
            wait_until_ready(f"{base}/metadata", process, log)
            ready = time.perf_counter() - began
            headers = (f"Authorization: Bearer {_token(data_dir, scopes, environment)}",) if sign_in else ()
            yield Started(base, process.pid, data_dir, ready, headers)
        finally:
            stop(process)


def _token(data_dir: Path, scopes: str, environment: dict[str, str]) -> str:
    """A token that the server's own command mints."""
    mint = [*RUN, "token", "--scope", scopes, "--data-dir", str(data_dir)]
    done = subprocess.run(mint, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise Unusable(f"No token: {done.stderr}")
    return done.stdout.splitlines()[-1]


def free_port() -> int:
    """A port that nobody has, below those that systems give to whoever asks for any: it stays free until it is used."""
    while True:
        port = random.randrange(20_000, 32_768)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Ask until the server answers."""
    end = time.perf_counter() + START_SECONDS
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.perf_counter() < end and process.poll() is None:
        with suppress(OSError), direct.open(url, timeout=5):
            return
        time.sleep(0.02)
    tail = log.read_text("utf-8", "replace")[-2000:]
    raise Unusable(f"The server did not start (exit status {process.poll()}). The end of its log:\n{tail}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to end, and its whole process group when it does not."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
