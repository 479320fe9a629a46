"""What a process imports before it serves: nothing that few servers ever need, for each start waits for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LATER = ("aiohttp", "click", "httpcore", "httpx", "jinja2", "pint", "redis", "requests", "rich")


def said(program: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_few_need_is_imported_when_they_do() -> None:
    assert said(f"import sys, fhir_server.main; print(*(name for name in {LATER} if name in sys.modules))") == ""


def test_a_command_imports_no_other() -> None:
    program = "import sys; from fhir_server.cli import commands; commands('serve'); print('rich' in sys.modules)"
    assert said(program) == "False"


def test_what_was_hidden_is_there_for_others() -> None:
    assert said("import fhir_server.main, aiohttp, redis, rich; print(rich.__name__)") == "rich"


def test_redis_is_found_where_it_is_configured() -> None:
    program = """
import fhir_server.main
from realtime.redis_relay import RedisRelay
relay = RedisRelay("redis://127.0.0.1:1/0")
relay._redis_connect()
print(type(relay.redis).__module__)
"""
    assert said(program).startswith("redis.")
