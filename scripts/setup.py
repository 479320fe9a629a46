"""Make .venv with everything a server needs, using nothing but Python itself; quick when nothing changed.

`python3 scripts/setup.py` installs what `requirements.lock` pins, `--dev` what `requirements-dev.lock` pins, and
then the project itself, in place. The first lines are plain enough for an old Python to say what it lacks.
"""

import sys

if sys.version_info < (3, 11):
    sys.exit(
        "fhir-server needs Python 3.11 or newer; %s is Python %d.%d.\n"
        "Install one (Debian 12+, Ubuntu 24.04+: apt-get install python3 python3-venv), or name another:\n"
        "    make setup PYTHON=python3.12" % ((sys.executable,) + sys.version_info[:2])
    )

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
JAVASCRIPT = (ROOT / "tests" / "clients", ROOT / "web_views" / "end_to_end")
NO_VENV = """\
This Python cannot make virtual environments: its `venv` or `ensurepip` module is missing.
On Debian and Ubuntu:  apt-get install python3-venv"""
NO_PACKAGES = """\
Installing the pinned packages failed (see above). Without a network, point pip at a mirror or a directory of
wheels, for example:  PIP_FIND_LINKS=/path/to/wheels make setup"""
NO_JAVASCRIPT = """\
Note: %s, so the tests that need JavaScript packages (%s) will be skipped.
On Debian and Ubuntu:  apt-get install nodejs npm"""


def main() -> None:
    dev = "--dev" in sys.argv[1:]
    install_python(dev)
    if dev:
        for folder in JAVASCRIPT:
            install_javascript(folder)


def install_python(dev: bool) -> None:
    """The environment, with what the server needs or what its development needs."""
    lock = ROOT / ("requirements-dev.lock" if dev else "requirements.lock")
    stamp = VENV / (".installed-dev" if dev else ".installed")
    if not PYTHON.exists():
        create()
    if stamp.is_file() and stamp.read_text() == fingerprint(lock):
        return
    print(f"Installing {lock.name} into .venv", flush=True)
    install("--require-hashes", "--requirement", str(lock))
    install("--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    if dev:  # all of a server's packages are among them
        (VENV / ".installed").write_text(fingerprint(ROOT / "requirements.lock"))
    stamp.write_text(fingerprint(lock))
    warn_about_mongod()


def fingerprint(lock: Path) -> str:
    """What the environment depends on: the lock, the project's declaration, and the Python that made it."""
    digest = hashlib.sha256()
    for path in (lock, ROOT / "pyproject.toml", Path(__file__), VENV / "pyvenv.cfg"):
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()


def create() -> None:
    """Make the virtual environment, or say which package of the system is missing."""
    print(f"Making .venv with Python {sys.version.split()[0]}", flush=True)
    missing = [name for name in ("venv", "ensurepip") if not importable(name)]
    made = not missing and subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)]).returncode == 0
    if not made:
        shutil.rmtree(VENV, ignore_errors=True)
        sys.exit(NO_VENV)


def importable(name: str) -> bool:
    return subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True).returncode == 0


def install(*arguments: str) -> None:
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
    done = subprocess.run(pip, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}\n{NO_PACKAGES}")


def install_javascript(folder: Path) -> None:
    """What a folder's lock pins, when npm is there: the clients of the tests, and what the browser modules need."""
    lock, stamp = folder / "package-lock.json", folder / "node_modules" / ".installed"
    if not lock.exists() or (stamp.exists() and stamp.read_bytes() == lock.read_bytes()):
        return
    name = folder.relative_to(ROOT)
    npm = shutil.which("npm")
    if npm is None:
        print(NO_JAVASCRIPT % ("npm is not on this machine", name), flush=True)
        return
    print(f"Installing package-lock.json into {name}", flush=True)
    done = subprocess.run([npm, "ci"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        print(done.stdout + NO_JAVASCRIPT % ("npm could not install them", name), flush=True)
        return
    shutil.copy(lock, stamp)


def warn_about_mongod() -> None:
    """Say now, not at the first start, that no private database can run here and what to do about it."""
    if not os.environ.get("MONGODB_URI") and not os.environ.get("FHIR_MONGODB_URI"):
        check = "from fhir_server.storage.mongod import mongod_problem; print(mongod_problem() or '', end='')"
        problem = subprocess.run([str(PYTHON), "-c", check], cwd=ROOT, capture_output=True, text=True).stdout
        if problem:
            print(f"\nNote: {problem}\n", flush=True)


if __name__ == "__main__":
    main()
