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
    vitest = "node_modules/vitest/vitest.mjs"
    done = subprocess.run([str(node), vitest, "run"], cwd=SOURCE, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
