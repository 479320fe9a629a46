"""Real processes: what one tells the other, and what is left of one that is killed (points 10 and 11)."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from fhir_server.config import Settings
from tests.conftest import ROOT
from tests.realtime.house import ANN, DORA, NICK, Site

pytestmark = pytest.mark.asyncio(loop_scope="module")
CALL = "/consultation"


@asynccontextmanager
async def process(settings: Settings) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """A server process on the database, and its URL."""
    environment = {
        **os.environ,
        "MONGODB_URI": settings.mongodb_uri or "",
        "FHIR_DATABASE": settings.database,
        "FHIR_DATA_DIR": str(settings.data_dir),
        "FHIR_OPEN": "false",
        "FHIR_GUIDE": "false",
        "FHIR_LOG_LEVEL": "error",
    }
    command = (sys.executable, "-m", "tests.realtime.process")
    started = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE)
    try:
        assert started.stdout is not None
        async with asyncio.timeout(60):
            line = b""
            while not line.strip().isdigit():
                line = await started.stdout.readline()
                assert line, "the process ended"
        yield f"http://127.0.0.1:{int(line)}", started
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


async def test_who_was_connected_to_a_killed_process_is_gone(site: Site, settings: Settings) -> None:
    async with process(settings) as (url, other):
        there = replace(site, url=url)
        async with (
            site.connect(await site.token(DORA), namespaces=("/", CALL)) as dora,
            there.connect(await site.token(NICK), namespaces=("/", CALL)) as nick,
            there.connect(await site.token(ANN)) as ann,
        ):
            await dora.hears("user:online", lambda data: data == {"userId": NICK})
            await dora.ask("case:join", "ann-case")
            await ann.ask("case:join", "ann-case")
            await dora.ask("join-room", {"roomId": "ann-case"}, CALL)
            await nick.ask("join-room", {"roomId": "ann-case"}, CALL)
            await dora.hears("user-joined")
            assert (await ann.ask("case:message", {"caseId": "ann-case", "message": "Here"}))["ok"]
            await dora.hears("case:message", lambda data: data["sender"] == ANN)
            other.kill()
            await nick.gone.wait()
            await dora.hears("user:offline", lambda data: data == {"userId": NICK})
            await dora.hears("user-left", lambda data: data["userId"] == NICK)
            await dora.hears("case:leave", lambda data: data["userId"] == ANN)
            assert (await dora.ask("user:online"))["users"] == [DORA]
