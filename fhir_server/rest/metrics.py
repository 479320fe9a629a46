"""What Prometheus sees at /metrics: requests by interaction and type, what is in flight, and what others register.

With several workers `PROMETHEUS_MULTIPROC_DIR` names a directory where every process keeps its figures, and any of
them answers for all; it must be set before this module is imported (docs/decisions/0006).
"""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
    multiprocess,
)

CONTENT_TYPE = CONTENT_TYPE_LATEST
DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
MAX_SERIES = 3000  # pairs of interaction and type; beyond, the type is no longer told apart
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

registry = CollectorRegistry()
_latency = Histogram(
    "fhir_request_seconds",
    "Time from the request line to the last byte handed over.",
    ["interaction", "type"],
    buckets=_BUCKETS,
    registry=registry,
)
_requests = Counter("fhir_requests", "Requests answered.", ["interaction", "status"], registry=registry)
_in_flight = Gauge(
    "fhir_requests_in_flight", "Requests being answered.", registry=registry, multiprocess_mode="livesum"
)
if DIRECTORY not in os.environ:
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)

_latency_of: dict[tuple[str, str], Histogram] = {}
_count_of: dict[tuple[str, int], Counter] = {}


def begin() -> None:
    """A request has come."""
    _in_flight.inc()


def end(interaction: str, type_: str, status: int, seconds: float) -> None:
    """A request was answered; about 2 µs, since the labelled children are kept here."""
    _in_flight.dec()
    latency = _latency_of.get((interaction, type_))
    if latency is None:
        kept = type_ if len(_latency_of) < MAX_SERIES else ""
        latency = _latency_of[interaction, kept] = _latency.labels(interaction, kept)
    latency.observe(seconds)
    count = _count_of.get((interaction, status))
    if count is None:
        count = _count_of[interaction, status] = _requests.labels(interaction, str(status))
    count.inc()


def gauge(name: str, documentation: str, labels: tuple[str, ...] = ()) -> Gauge:
    """A gauge of another module, say a queue's length; with several workers their sum is shown."""
    return Gauge(name, documentation, labels, registry=registry, multiprocess_mode="livesum")


def counter(name: str, documentation: str, labels: tuple[str, ...] = ()) -> Counter:
    """A counter of another module."""
    return Counter(name, documentation, labels, registry=registry)


def histogram(name: str, documentation: str, labels: tuple[str, ...] = ()) -> Histogram:
    """A histogram of another module, in seconds."""
    return Histogram(name, documentation, labels, buckets=_BUCKETS, registry=registry)


def exposition() -> bytes:
    """The text that Prometheus scrapes."""
    if DIRECTORY not in os.environ:
        return generate_latest(registry)
    together = CollectorRegistry()
    multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
    return generate_latest(together)


def prepare_directory(directory: Path) -> None:
    """For the parent of several workers, before it starts them: an empty directory, named in the environment."""
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("*.db"):
        old.unlink()
    os.environ[DIRECTORY] = str(directory)


def forget_process(pid: int) -> None:
    """For the parent, when a worker has ended: its live gauges no longer count."""
    if DIRECTORY in os.environ:
        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
