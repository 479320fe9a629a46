"""What the machine must offer: Python, a mongod, disk, open files, a port."""

from __future__ import annotations

import http.client
import os
import resource
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from fhir_server.cli.checks.finding import Finding, fail, ok, warn
from fhir_server.config import Settings
from fhir_server.storage.mongod import MIN_FILES, MongodUnavailable, check_mongod, find_mongod

_DISK_WARN_GB = 5.0
_DISK_FAIL_GB = 0.5


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding about the machine."""
    yield python()
    if not settings.mongodb_uri:
        yield mongod()
        yield open_files()
    yield from data_directory(settings.data_dir)
    yield port(settings.host, settings.port)


def python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < (3, 11):  # noqa: UP036 - the checks may be run by any Python
        return fail("Python", version, "Install Python 3.11 or newer.")
    return ok("Python", version)


def mongod() -> Finding:
    try:
        binary = find_mongod()
        version = check_mongod(binary)
    except MongodUnavailable as problem:
        text, _, advice = str(problem).partition("\n")
        return fail("mongod", text, advice)
    if int(version.partition(".")[0]) < 7:
        advice = "Good for trial and development; for patients' data use MongoDB 8: see docs/running.md."
        return warn("mongod", f"{version} ({binary}), out of its maker's support", advice)
    return ok("mongod", f"{version} ({binary})")


def open_files() -> Finding:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < MIN_FILES:
        return fail("Open files", f"at most {hard}", f"Raise the hard limit to {MIN_FILES} or more (LimitNOFILE=).")
    return ok("Open files", "unlimited" if hard == resource.RLIM_INFINITY else f"up to {hard}")


def data_directory(path: Path) -> Iterator[Finding]:
    """Whether the data directory, or the nearest directory above it that exists, can be written and has room."""
    there = path.resolve()
    while not there.exists():
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        yield fail("Data directory", f"{there} cannot be written", "Change its owner, or choose another: --data-dir.")
        return
    yield ok("Data directory", str(path.resolve()) + ("" if there == path.resolve() else " (made at the first start)"))
    free = shutil.disk_usage(there).free / 1e9
    text = f"{free:.1f} GB free"
    if free < _DISK_FAIL_GB:
        yield fail("Disk", text, "Free some space: a full disk stops every write.")
    elif free < _DISK_WARN_GB:
        yield warn("Disk", text, "Little room: watch it, or move the data directory.")
    else:
        yield ok("Disk", text)


def port(host: str, number: int) -> Finding:
    """Whether the port is free, or a server of ours answers there already."""
    where = f"{host}:{number}"
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((host, number))
            return ok("Port", f"{where} is free")
        except OSError as error:
            reason = error.strerror
    connection = http.client.HTTPConnection(host, number, timeout=5)
    try:
        connection.request("GET", "/health/live")
        if connection.getresponse().status == 200:
            return ok("Port", f"{where} is served by a running server")
    except (OSError, http.client.HTTPException):
        pass
    finally:
        connection.close()
    return fail("Port", f"{where}: {reason}", f"Choose another: fhir-server serve --port {number + 10}")
