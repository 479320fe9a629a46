"""`fhir-server` in the process of the tests: what a user types, without the second that a process takes to start."""

from __future__ import annotations

import io
import os
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from subprocess import CompletedProcess

import pytest
import structlog

from fhir_server.cli import main
from tests.cli.serving import clean_environment

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def here(*arguments: object, **environment: str) -> CompletedProcess[str]:
    """Run the command to its end, as `serving.command` does; what it changes in its process is put back."""
    line = ["fhir-server", *map(str, arguments)]
    out, errors = io.StringIO(), io.StringIO()
    handlers, log = [signal.getsignal(one) for one in _SIGNALS], structlog.get_config()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(errors):
        patch.setattr(sys, "argv", line)
        for name in os.environ.keys() - clean_environment().keys():
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            code = _ended(errors)
        finally:
            structlog.configure(**log)
            for number, handler in zip(_SIGNALS, handlers, strict=True):
                signal.signal(number, handler)
    return CompletedProcess(line, code, out.getvalue(), errors.getvalue())


def _ended(errors: io.StringIO) -> int:
    """The exit code: words instead of a number are said on standard error, as Python does."""
    try:
        main()
    except SystemExit as end:
        if isinstance(end.code, str):
            errors.write(f"{end.code}\n")
            return 1
        return end.code or 0
    return 0
