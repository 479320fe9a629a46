"""CPU time and resident memory of a server's processes, read from /proc (Linux).

https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
DATABASES = {"mongod", "mongos", "postgres", "mysqld", "mariadbd", "redis-server"}


@dataclass(frozen=True, slots=True)
class Usage:
    """What the processes have used so far: CPU seconds, and resident bytes of the largest of each kind.

    `machine_cpu` is the CPU seconds of everything that runs on the machine.
    """

    server_cpu: float = 0.0
    database_cpu: float = 0.0
    server_rss: int = 0
    database_rss: int = 0
    machine_cpu: float = 0.0


def tree(roots: Iterable[int], mentioning: str | None = None) -> set[int]:
    """The roots and all their descendants, and every process whose command line contains `mentioning`.

    A database that the server detached from itself is found by its data directory on the command line.
    """
    parents = {int(entry.name): _parent(entry) for entry in PROC.iterdir() if entry.name.isdigit()}
    found = {pid for pid in roots if pid in parents}
    if mentioning:
        found |= {pid for pid in parents if pid != os.getpid() and mentioning in _command(pid)}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def usage(pids: Iterable[int]) -> Usage:
    """What these processes have used up to now; one that has ended counts nothing."""
    cpu, rss = {True: 0.0, False: 0.0}, {True: 0, False: 0}
    for pid in pids:
        try:
            name, _, rest = (PROC / str(pid) / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        fields = rest.split()
        database = name in DATABASES
        cpu[database] += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        rss[database] = max(rss[database], int(fields[21]) * os.sysconf("SC_PAGE_SIZE"))
    return Usage(cpu[False], cpu[True], rss[False], rss[True], machine_cpu())


def machine_cpu() -> float:
    """CPU seconds that the whole machine has worked since it started, what a hypervisor took included."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, (PROC / "stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _parent(entry: Path) -> int:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def _command(pid: int) -> str:
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""
