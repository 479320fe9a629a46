"""Metrics of several processes add up, and what callers invent makes no series."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from fhir_server.rest import metrics

ONE_WORKER = """
from fhir_server.rest import metrics
metrics.begin()
metrics.end("read", "Patient", 200, 0.01)
print(metrics.exposition().decode())
"""


def test_workers_add_up(tmp_path: Path) -> None:
    environment = {**os.environ, metrics.DIRECTORY: str(tmp_path)}
    for _ in range(2):
        ran = subprocess.run(
            [sys.executable, "-c", ONE_WORKER], env=environment, capture_output=True, text=True, check=True
        )
    assert 'fhir_requests_total{interaction="read",status="200"} 2.0' in ran.stdout
    assert 'fhir_request_seconds_count{interaction="read",type="Patient"} 2.0' in ran.stdout


def test_the_directory_begins_empty(tmp_path: Path) -> None:
    (tmp_path / "counter_1.db").touch()
    before = os.environ.get(metrics.DIRECTORY)
    try:
        metrics.prepare_directory(tmp_path)
        assert os.environ[metrics.DIRECTORY] == str(tmp_path)
        assert not list(tmp_path.iterdir())
    finally:
        os.environ.pop(metrics.DIRECTORY, None)
        if before is not None:
            os.environ[metrics.DIRECTORY] = before


def test_others_register_theirs() -> None:
    metrics.gauge("test_queue_length", "Waiting.", ("queue",)).labels("a").set(3)
    metrics.counter("test_things", "Things.").inc()
    metrics.histogram("test_flush_seconds", "Flushes.").observe(0.002)
    text = metrics.exposition().decode()
    assert 'test_queue_length{queue="a"} 3.0' in text
    assert "test_things_total 1.0" in text
    assert 'test_flush_seconds_bucket{le="0.0025"} 1.0' in text
