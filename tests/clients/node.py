"""Journeys whose client is written in JavaScript: a script of scripts/, driven step by step."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

HERE = Path(__file__).parent
INSTALLED = HERE / "node_modules" / ".package-lock.json"


class Refused(Exception):
    """A step threw; `told` has the error's name, message, code, status, OAuth error and description."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(json.dumps({name: value for name, value in told.items() if value}))
        self.told = told


class Script:
    """A running script: `script("read", id="1")` does one step and answers what it answered, or raises Refused."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, step: str, /, **argument: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"step": step, **argument}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the script ended; its message is above"
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["value"]


@contextmanager
def script(name: str) -> Iterator[Script]:
    """Run scripts/`name` until the block ends."""
    command = [node(), str(HERE / "scripts" / name)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Script(process)
        assert process.stdin is not None
        process.stdin.close()  # which ends the script's loop


def node() -> str:
    """The path of node, once the packages of the lock are there as well; skips otherwise, and fails in CI."""
    found = shutil.which("node")
    if found is None:
        missing("node is not on this machine")
    if not INSTALLED.exists():
        missing("the JavaScript clients are not installed: make dev")
    return found


def missing(what: str) -> NoReturn:
    """Skip the test for want of something on this machine; in CI everything has to be there."""
    if os.environ.get("CI"):
        pytest.fail(what, pytrace=False)
    pytest.skip(what)
