"""The files of a private mongod, and the locks by which processes agree about it."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import tempfile
import time
from pathlib import Path

_MAX_SOCKET_PATH = 100  # bytes; the kernel takes 107, and mongod's own names are a little longer
_MAX_LOG_BYTES = 50_000_000


class Lock:
    """An advisory lock (flock) on a file; it ends with the last process that holds its descriptor."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = -1
        self.held = False

    def take(self) -> bool:
        """Try to hold the lock alone, giving up a share for it; False when another process is in the way."""
        return self._try(fcntl.LOCK_EX)

    def share(self, seconds: float) -> bool:
        """Hold the lock together with others, waiting up to `seconds` for one who holds it alone."""
        deadline = time.monotonic() + seconds
        while not self._try(fcntl.LOCK_SH):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def release(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor, self.held = -1, False

    def is_taken(self) -> bool:
        """Whether some process holds the lock alone, this one included."""
        other = Lock(self.path)
        try:
            return not other._try(fcntl.LOCK_SH)
        finally:
            other.release()

    def _try(self, kind: int) -> bool:
        if self.descriptor < 0:
            self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self.descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            return False
        self.held = True
        return True


class DataDirectory:
    """Where a private mongod keeps its database, log, socket and locks: `<data_dir>/mongod`, for its owner only."""

    def __init__(self, data_dir: Path) -> None:
        self.home = data_dir.expanduser().resolve() / "mongod"
        self.db = self.home / "db"
        self.log = self.home / "mongod.log"
        self.users = self.home / "users.lock"
        self.owner = self.home / "owner.lock"
        self.running = self.home / "running.lock"
        self._elsewhere = self.home / "socket"  # holds the socket's path when it cannot be in `home`

    def make(self) -> None:
        """Create what is missing, readable by nobody else; raises PermissionError where that is not allowed."""
        self.db.mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o700)

    def pid(self) -> int | None:
        """The process id that the running mongod has noted."""
        try:
            return int((self.db / "mongod.lock").read_text())
        except (OSError, ValueError):
            return None

    def socket(self) -> Path:
        """Where the mongod listens, or would."""
        try:
            return Path(self._elsewhere.read_text())
        except OSError:
            return self.home / "mongod.sock"

    def choose_socket(self) -> Path:
        """The socket for a new mongod: in `home`, or where its path is too long or cannot hold one, elsewhere."""
        inside = self.home / "mongod.sock"
        if _can_hold(inside):
            self._elsewhere.unlink(missing_ok=True)
            return inside
        before = self.socket()
        if before != inside and _is_private(before.parent) and _can_hold(before):
            return before
        base = os.environ.get("XDG_RUNTIME_DIR") or "/tmp"
        outside = Path(tempfile.mkdtemp(prefix="fhir-mongod-", dir=base)) / "mongod.sock"
        self._elsewhere.write_text(str(outside))
        return outside

    def rotate_log(self) -> None:
        """Set a large log aside; called before a start, when nobody writes to it."""
        if self.log.exists() and self.log.stat().st_size > _MAX_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))

    def log_end(self, lines: int = 5) -> str:
        """The last lines of the log; it never shows content, only what mongod says about itself."""
        try:
            with open(self.log, "rb") as log:
                log.seek(max(0, self.log.stat().st_size - 8192))
                return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
        except OSError:
            return "(no log)"


def _can_hold(path: Path) -> bool:
    """Whether a Unix socket can be made at `path`: not everywhere (long paths, some mounted volumes)."""
    if len(os.fsencode(path)) > _MAX_SOCKET_PATH:
        return False
    probe = path.with_name("p.sock")
    try:
        probe.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as attempt:
            attempt.bind(str(probe))
        probe.unlink()
    except OSError:
        return False
    return True


def _is_private(directory: Path) -> bool:
    """Whether `directory` is a real one of ours that nobody else may enter: others could plant one under /tmp."""
    try:
        found = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) == 0o700
