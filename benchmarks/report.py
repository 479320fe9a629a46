"""What was measured, as a table for people and as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.load import Measurement

Json = dict[str, Any]
HEAD = ("workload", "conn", "median ms", "p99 ms", "req/s", "resources/s", "cpu ms", "server", "database", "RSS MB")
CLIENT_BUSY = 0.8  # of a core: above it the load program itself may be what is measured
OTHERS_BUSY = 0.2  # of a core: above it the machine is not quiet enough


def machine() -> Json:
    """What the figures depend on and nothing that names the machine."""
    cpus = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "cpu": cpus[0] if cpus else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 2**20, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def row(m: Measurement) -> tuple[str, ...]:
    cpu = (m.server_cpu + m.database_cpu, m.server_cpu, m.database_cpu)
    memory = f"{m.server_rss / 2**20:.0f} + {m.database_rss / 2**20:.0f}"
    figures = (f"{m.p50:.2f}", f"{m.p99:.2f}", f"{m.rate:,.0f}", f"{m.units:,.0f}", *(f"{c:.3f}" for c in cpu))
    return (m.name, str(m.connections), *figures, memory)


def table(measurements: Sequence[Measurement]) -> str:
    """A Markdown table; CPU in ms per request (import: per resource), memory of the largest process of each kind."""
    rows = [HEAD, *(row(m) for m in measurements)]
    widths = [max(len(r[i]) for r in rows) for i in range(len(HEAD))]
    lines = [
        "| "
        + " | ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(r, widths, strict=True)))
        + " |"
        for r in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (w + 1) + (":" if i else "-") for i, w in enumerate(widths)) + "|")
    return "\n".join(lines)


def remarks(measurements: Sequence[Measurement]) -> list[str]:
    """What a reader must know before believing the table: wrong answers, failures, throttling, a busy machine."""
    found = []
    for m in measurements:
        found += [f"{m.name}: WRONG {count} × {reason}" for reason, count in sorted(m.wrong.items())]
        found += [f"{m.name}: failed {count} × {status}" for status, count in sorted(m.failed.items())]
        if m.throttled:
            found.append(f"{m.name}: told to wait {m.throttled} times (429 or 503 with Retry-After)")
        if m.client_busy > CLIENT_BUSY:
            found.append(f"{m.name}: the load program used {m.client_busy:.0%} of a core and may be the limit")
        if m.others_busy > OTHERS_BUSY:
            found.append(f"{m.name}: other processes used {m.others_busy:.1f} cores meanwhile; measure again in quiet")
    return found


def document(runs: Sequence[tuple[Json, Sequence[Measurement]]]) -> Json:
    """The JSON that --json writes: the machine, and each run's options with its measurements."""
    return {
        "machine": machine(),
        "runs": [{"options": options, "measurements": [asdict(m) for m in found]} for options, found in runs],
    }
