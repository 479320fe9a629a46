"""The program starts our own server, and says why when it cannot."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.server import free_port, wait_until_ready
from benchmarks.session import Unusable

QUICK = ["--seconds", "0.3", "--repetitions", "1", "--warm-up", "0.1", "--connections", "4", "--synthea", "absent"]


def test_our_own_server_answers_every_workload_rightly(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    assert main(["--server", "--workers", "1", "--json", str(out), *QUICK]) == 0
    (run,) = json.loads(out.read_text())["runs"]
    assert run["options"]["workers"] == 1
    for found in run["measurements"]:
        assert found["requests"] > 0, found["name"]
        assert not found["wrong"], found["name"]
        assert not found["failed"], found["name"]
        assert found["server_rss"] > 0, found["name"]
        assert found["database_rss"] > 0, found["name"]


def test_a_server_that_does_not_come_up_is_told_with_its_log(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-c", "import sys; sys.exit('no mongod here')"], stderr=out)
    process.wait()
    with pytest.raises(Unusable, match="no mongod here"):
        wait_until_ready(f"http://127.0.0.1:{free_port()}/", process, log)
