"""Our own server for a measurement: its processes and private database in a temporary directory, gone afterwards."""

from __future__ import annotations

import os
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
    """A running server: its base URL, main process and data directory, and how long its first answer took."""

    base: str
    pid: int
    data_dir: Path
    seconds: float


def command(port: int, workers: int, data_dir: Path) -> list[str]:
    """The command line of a server without sign-in."""
    serve = "import sys; from fhir_server.cli import main; sys.exit(main())"
    where = ["--port", str(port), "--workers", str(workers), "--data-dir", str(data_dir)]
    return [sys.executable, "-c", serve, "serve", "--host", "127.0.0.1", *where, "--open"]


@contextmanager
def serving(workers: int) -> Iterator[Started]:
    """A server of ours on a free port; Unusable with the end of its log when it does not come up."""
    with tempfile.TemporaryDirectory(prefix="fhir-bench-") as folder:
        port, data_dir, log = free_port(), Path(folder) / "data", Path(folder) / "server.log"
        environment = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
        began = time.perf_counter()
        with log.open("wb") as out:
            process = subprocess.Popen(
                command(port, workers, data_dir), stdout=out, stderr=out, env=environment, start_new_session=True
            )
        try:
            base = f"http://127.0.0.1:{port}/fhir"
            wait_until_ready(f"{base}/metadata", process, log)
            yield Started(base, process.pid, data_dir, time.perf_counter() - began)
        finally:
            stop(process)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
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
