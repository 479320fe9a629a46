"""A `fhir-server serve` of its own for a test, as a user would start it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
BASE = re.compile(r"FHIR R4 base\s+(http://\S+/fhir)")


class Serving:
    """A running server: its base URL, its banner, and the process that was started."""

    def __init__(self, process: subprocess.Popen[str], log: IO[str]) -> None:
        self.process = process
        self.banner = ""
        assert process.stdout is not None
        self._output = process.stdout
        for line in self._output:
            self.banner += line
            if "Ctrl-C" in line:
                break
        found = BASE.search(self.banner)
        log.seek(0)
        assert found, f"no banner, but: {self.banner}\n{log.read()[-4000:]}"
        self.base = found[1]

    def signal(self, number: signal.Signals) -> int:
        """Send a signal, wait until this and every worker process has ended, and answer the exit code."""
        self.process.send_signal(number)
        self._output.read()  # the workers write there, too: its end is theirs
        return self.process.wait()


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `fhir-server` with these arguments to its end."""
    return subprocess.run(
        [sys.executable, "-m", "fhir_server.cli", *arguments],
        cwd=ROOT,
        env={**clean_environment(), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


@contextmanager
def serving(data_dir: Path, *arguments: str, **environment: str) -> Iterator[Serving]:
    """Serve `data_dir` on a free port until the block ends: in open mode, unless FHIR_OPEN="false" is given."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with (
        open(data_dir / "stderr.log", "w+") as log,
        subprocess.Popen(
            [sys.executable, "-m", "fhir_server.cli", "serve", "--port", "0", "--data-dir", str(data_dir), *arguments],
            cwd=ROOT,
            env={**clean_environment(), "FHIR_OPEN": "true", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            yield Serving(process, log)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait()


def clean_environment() -> dict[str, str]:
    """The environment without anything that configures a server."""
    return {k: v for k, v in os.environ.items() if not k.startswith("FHIR_") and k not in ("MONGODB_URI", "PORT")}
