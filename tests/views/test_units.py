"""What the views reckon, away from any page: vitest over web_views/app/src."""

from __future__ import annotations

import subprocess

from scripts.views import SOURCE, CannotBuild, find_node
from tests.clients.node import missing


def test_the_logic_of_the_views(built: None) -> None:
    try:
        node = find_node()
    except CannotBuild as problem:
        missing(str(problem))
    # Of its own it gives each test 5 seconds, and a busy machine is slow, not wrong.
    run = ["node_modules/vitest/vitest.mjs", "run", "--testTimeout=60000", "--hookTimeout=60000"]
    done = subprocess.run([str(node), *run], cwd=SOURCE, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
