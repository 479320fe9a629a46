"""CPU and memory of processes, seen from outside."""

import os
import subprocess
import sys

import pytest

from benchmarks.processes import tree, usage

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_a_child_belongs_to_the_tree_and_can_be_found_by_its_command_line() -> None:
    script = "import sys; print('up', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, "/tmp/some-data-dir"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout
        assert child.stdout.readline() == b"up\n"
        assert child.pid in tree([os.getpid()])
        assert child.pid in tree([], mentioning="/tmp/some-data-dir")
        assert child.pid not in tree([child.pid + 1_000_000])
        used = usage([child.pid])
        assert used.server_rss > 1_000_000
        assert (used.database_rss, used.database_cpu) == (0, 0)
        child.communicate()


def test_own_cpu_time_grows() -> None:
    before = usage([os.getpid()]).server_cpu
    while usage([os.getpid()]).server_cpu == before:
        sum(range(10_000))


def test_the_machine_works_at_least_as_much() -> None:
    assert usage([os.getpid()]).machine_cpu >= usage([os.getpid()]).server_cpu


def test_a_process_that_ended_counts_nothing() -> None:
    assert usage([2**22 + 1]).server_rss == 0
