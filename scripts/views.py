"""Build what browsers run from its TypeScript: `python -m scripts.views`; quick when nothing changed.

`--check` looks at types and lint instead, where there is a node; `--strict` fails when there is none.

Node comes from the machine (20.19 or newer), or else from the wheel that `requirements-node.lock` pins. Packages are
those of each folder's package-lock.json. Without node the server runs all the same, and /app says what is missing.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "web_views" / "app"
BUILT = ROOT / "web_views" / "static" / "app"
STAMP = BUILT / ".source"
MODULES = SOURCE / "node_modules"
LOCK = ROOT / "requirements-node.lock"
OLDEST = (20, 19)
CHECKS = (("typescript/bin/tsc", "--noEmit"), ("eslint/bin/eslint.js", "."))
QUIET = ("--no-audit", "--no-fund", "--loglevel=error")


class CannotBuild(Exception):
    """The views cannot be built here; the text says why."""


class NoNode(CannotBuild):
    """There is no node here, and none can be had."""


def build(*, force: bool = False) -> bool:
    """Build the views unless they are built of this very source; whether there was something to do.

    Raises CannotBuild.
    """
    source = fingerprint()
    if not force and STAMP.is_file() and STAMP.read_text() == source:
        return False
    node = find_node()
    install(node)
    print("Building the views", flush=True)
    run(node, "node_modules/vite/bin/vite.js", "build")
    STAMP.write_text(source)
    return True


def check() -> None:
    """Types and lint of the views. Raises CannotBuild, with what is wrong."""
    node = find_node()
    install(node)
    for script, *arguments in CHECKS:
        print(f"Checking the views: {script.split('/')[0]}", flush=True)
        run(node, f"node_modules/{script}", *arguments)


def fingerprint() -> str:
    """Of every file that the build reads."""
    digest = hashlib.sha256()
    for path in sorted(SOURCE.rglob("*")):
        if MODULES not in path.parents and path.is_file() and not path.name.endswith((".test.ts", ".test.tsx")):
            digest.update(str(path.relative_to(SOURCE)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def install(node: Path) -> None:
    """The packages that the lock pins, unless they are there."""
    lock, stamp = SOURCE / "package-lock.json", MODULES / ".installed"
    if stamp.is_file() and stamp.read_bytes() == lock.read_bytes():
        return
    print("Installing what the views are built with", flush=True)
    npm = shutil.which("npm", path=str(node.parent)) or shutil.which("npm")
    if npm is None:
        raise NoNode("npm is not beside node")
    command([npm, "ci", *QUIET], node)
    shutil.copy(lock, stamp)


def find_node() -> Path:
    """Node of the machine, or of the wheel, which is installed when it has to be. Raises CannotBuild."""
    beside = Path(sys.executable).parent / "node"
    for found in (shutil.which("node"), str(beside) if beside.exists() else None):
        if found is not None and version(found) >= OLDEST:
            return Path(found)
    print(f"Installing {LOCK.name} into .venv", flush=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, "--require-hashes", "--requirement", str(LOCK)], capture_output=True, text=True)
    if done.returncode or not beside.exists():
        raise NoNode(f"there is no node {OLDEST[0]}.{OLDEST[1]} or newer, and its wheel cannot be installed")
    return beside


def version(node: str) -> tuple[int, ...]:
    """(20, 19, 2); () for what does not run."""
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True).stdout
    except OSError:
        return ()
    return tuple(int(number) for number in re.findall(r"\d+", said))


def run(node: Path, *arguments: str) -> None:
    """Run a script of the source folder. Raises CannotBuild."""
    command([str(node), *arguments], node)


def command(words: list[str], node: Path) -> None:
    environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(words, cwd=SOURCE, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise CannotBuild(f"{' '.join(words[:3])} failed:\n{done.stdout}{done.stderr}")


def main() -> int:
    """Exit status 1 when something is wrong with them; without node only `--strict` minds: a server runs without."""
    given = sys.argv[1:]
    try:
        check() if "--check" in given else build(force="--force" in given)
    except NoNode as problem:
        print(f"Note: nothing is done about the views at /app: {problem}", flush=True)
        return int("--strict" in given)
    except CannotBuild as problem:
        print(f"The views at /app: {problem}", flush=True)
        return int("--strict" in given or "--check" in given)
    return 0


if __name__ == "__main__":
    sys.exit(main())
