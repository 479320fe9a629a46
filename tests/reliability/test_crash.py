"""kill -9 at any moment: what was acknowledged is there, nothing is half there, history has no gap."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.crash import Writers, call, everything, mongod_pid, serving


def assert_whole(base: str, writers: Writers) -> dict[str, Any]:
    there = everything(base)
    for locations in writers.acknowledged:
        for location in locations:
            key = location.partition("/fhir/")[2].partition("/_history")[0]
            assert key in there, f"{key} was acknowledged and is gone"
            status, version = call(base, "GET", "/" + location.partition("/fhir/")[2])
            assert (status, version) == (200, there[key])
    for key, resource in there.items():
        other = there.get(resource["subject"]["reference"])
        assert other is not None, f"{key} is half of a transaction"
        assert other["subject"]["reference"] == key
    assert len(there) % 2 == 0
    return there


def test_kill_9_of_the_server_loses_nothing_acknowledged(tmp_path: Path) -> None:
    with serving(tmp_path) as first:
        writers = Writers(first.base)
        writers.wait_for(100)
        first.kill()
        writers.finish()
    with serving(tmp_path) as second:
        there = assert_whole(second.base, writers)
        assert len(there) >= 200
        assert call(second.base, "POST", "/Basic", {"resourceType": "Basic", "code": {"text": "alive"}})[0] == 201


def test_kill_9_of_mongod_loses_nothing_acknowledged_and_the_server_goes_on(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        writers = Writers(server.base)
        writers.wait_for(50)
        os.kill(mongod_pid(tmp_path), signal.SIGKILL)
        before = len(writers.acknowledged)
        writers.wait_for(before + 50)
        writers.finish()
        assert_whole(server.base, writers)


def test_kill_9_of_both(tmp_path: Path) -> None:
    with serving(tmp_path) as first:
        writers = Writers(first.base)
        writers.wait_for(50)
        os.kill(mongod_pid(tmp_path), signal.SIGKILL)
        first.kill()
        writers.finish()
    with serving(tmp_path) as second:
        assert_whole(second.base, writers)


def test_two_workers_serve_the_same_data(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as server:
        for number in range(40):
            # Each call is a connection of its own, so both workers get some; a write is seen by the next read.
            body = {"resourceType": "Basic", "id": f"n{number}", "code": {"text": "x"}}
            assert call(server.base, "PUT", f"/Basic/n{number}", body)[0] == 201
            assert call(server.base, "GET", f"/Basic/n{number}")[0] == 200
        writers = Writers(server.base)
        writers.wait_for(100)
        writers.finish()
        assert sum(1 for key in everything_paired(server.base)) % 2 == 0


def everything_paired(base: str) -> list[str]:
    return [key for key, resource in everything(base).items() if "identifier" in resource]


def test_a_polite_stop_answers_what_is_in_flight(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        writers = Writers(server.base)
        writers.wait_for(20)
        assert server.stop() == 0
        writers.finish()
    with pytest.raises(AssertionError, match="no mongod"):
        mongod_pid(tmp_path)
    with serving(tmp_path) as again:
        assert_whole(again.base, writers)
