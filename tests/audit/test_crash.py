"""A process that is killed loses nothing of what it had answered, and leaves whole chains."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from fhir_server.audit.lines import decode
from fhir_server.audit.trail import WITNESS
from fhir_server.audit.verify import Verification
from tests.audit.conftest import Process

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("round_", range(2))
@pytest.mark.parametrize("mode", ["wait", "spool"])
async def test_a_killed_process_loses_nothing(
    process: Process, mongo_uri: str, database: str, tmp_path: Path, mode: str, round_: int
) -> None:
    await process.database.resource.delete_many({})
    await process.database.version.delete_many({})
    script = [sys.executable, "-m", "tests.audit.crash", mongo_uri, database, str(tmp_path), mode]
    child = subprocess.Popen(script, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert child.stdout is not None
    told = [child.stdout.readline().strip() for _ in range(random.randint(50, 600))]
    child.kill()
    told += child.stdout.read().split("\n")[:-1]  # what it had said before; half a line does not count
    child.wait()
    child.stdout.close()
    await process.database.abandon_dead_transactions()
    # The next server of this data directory brings what the killed one left in its files.
    successor = Process(mongo_uri, database, tmp_path, wait=False)
    await successor.start()
    await successor.stop()
    assert not list(tmp_path.glob("audit/*"))
    await process.trail.anchors.bury()
    await process.trail.anchors.make(period=0)
    kept: set[str] = set()
    async for found in process.trail.store.groups.find({}):
        kept |= {f"{one.type}/{one.id}" for one in decode(found["e"])}
    assert set(told) - kept == set()
    written = {key for key in kept if key.startswith("Basic/w")}
    stored = {row["_id"] async for row in process.database.resource.find({"_id": {"$in": sorted(written)}}, {"_id": 1})}
    assert written == stored, "an entry without its write"
    report = await Verification(process.trail.store, process.trail.keys, tmp_path / WITNESS).run()
    assert report.ok, report
    assert report.unsigned == 0
