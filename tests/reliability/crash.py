"""A real server process that can be killed, and writers that remember what was acknowledged."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

START_SECONDS = 60


class Process:
    """`fhir-server serve` on a data directory of its own, in a process group of its own."""

    def __init__(self, data_dir: Path, *arguments: str, port: int = 0, **settings: str) -> None:
        command = [sys.executable, "-m", "fhir_server.cli", "serve", "--open", "--port", str(port)]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        environment.pop("MONGODB_URI", None)
        environment |= settings
        self._process = subprocess.Popen(
            [*command, "--data-dir", str(data_dir), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            start_new_session=True,
        )
        self.base = ""
        self.output: list[str] = []
        self._ready = threading.Event()
        threading.Thread(target=self._follow, daemon=True).start()
        if not self._ready.wait(START_SECONDS) or not self.base:
            self.kill()
            raise AssertionError("the server did not start:\n" + "".join(self.output[-30:]))

    def _follow(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output.append(line)
            if not self.base and (found := re.search(r"(http://[0-9.:]+)/fhir\b", line)):
                self.base = f"{found[1]}/fhir"
                self._ready.set()
        self._ready.set()

    @property
    def port(self) -> int:
        return urlsplit(self.base).port or 0

    def kill(self) -> None:
        """kill -9 of the server and its workers; the mongod lives in a session of its own and stays."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(60)

    def stop(self) -> int:
        """A polite end; answers the exit code."""
        self._process.terminate()
        return self._process.wait(60)


@contextmanager
def serving(data_dir: Path, *arguments: str, port: int = 0, **settings: str) -> Iterator[Process]:
    """A server process with these settings in its environment, until the block ends."""
    process = Process(data_dir, *arguments, port=port, **settings)
    try:
        yield process
    finally:
        if process._process.poll() is None:
            process.stop()


def mongod_pid(data_dir: Path) -> int:
    """The mongod that runs on this data directory."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"mongod" in line[0] and any(str(data_dir).encode() in part for part in line):
                return int(entry.name)
    raise AssertionError("no mongod runs there")


def call(base: str, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """One request on a connection of its own; raises OSError or HTTPException when it breaks."""
    where = urlsplit(base)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, where.path + path, content, {"Content-Type": "application/fhir+json", **headers})
        response = connection.getresponse()
        data = response.read()
        return response.status, json.loads(data) if data else None
    finally:
        connection.close()


class Writers:
    """Threads that post transactions of two linked resources and note those that were answered 2xx."""

    def __init__(self, base: str, threads: int = 8) -> None:
        self.base = base
        self.acknowledged: list[list[str]] = []
        self.sent = 0
        self._enough = threading.Condition()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(n,), daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def _write(self, number: int) -> None:
        count = 0
        while not self._stop.is_set():
            count += 1
            with self._enough:
                self.sent += 1
            try:
                status, answer = call(self.base, "POST", "/", pair(f"w{number}-{count}"))
            except (OSError, http.client.HTTPException, ValueError):
                continue  # not acknowledged: it may be there or not
            if status == 200:
                with self._enough:
                    self.acknowledged.append([entry["response"]["location"] for entry in answer["entry"]])
                    self._enough.notify_all()

    def wait_for(self, count: int) -> None:
        """Return once this many transactions were acknowledged."""
        with self._enough:
            assert self._enough.wait_for(lambda: len(self.acknowledged) >= count, timeout=120)

    def finish(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)


def pair(tag: str) -> dict[str, Any]:
    """A transaction whose two entries refer to one another: half of it is easily seen."""
    urls = [f"urn:uuid:{tag}-{part}" for part in ("a", "b")]
    entries = [
        {
            "fullUrl": own,
            "resource": {
                "resourceType": "Basic",
                "code": {"text": tag},
                "subject": {"reference": other},
                "identifier": [{"system": "urn:pair", "value": tag}],
            },
            "request": {"method": "POST", "url": "Basic"},
        }
        for own, other in (urls, urls[::-1])
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def everything(base: str) -> dict[str, Any]:
    """Every Basic resource, by "Basic/id", through all pages."""
    found: dict[str, Any] = {}
    path = "/Basic?_count=1000"
    while path:
        status, bundle = call(base, "GET", path)
        assert status == 200
        found.update({f"Basic/{entry['resource']['id']}": entry["resource"] for entry in bundle.get("entry", [])})
        following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
        path = following[0].partition("/fhir")[2] if following else ""
    return found
