"""The key that seals the trail: a file beside the database, not in it, so that who changes one cannot fix the other."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

_BYTES = 32


def read_keys(path: Path) -> list[bytes]:
    """The keys of the file, one in hex per line, made when there is none: the first seals, the others only verify.

    Raises RuntimeError for a file that cannot be read or holds no key.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        keys = [bytes.fromhex(line) for line in path.read_text().split()]
    except (OSError, ValueError) as error:
        raise RuntimeError(f"The audit key {path} cannot be read: {type(error).__name__}.") from None
    if not keys or any(len(key) < _BYTES for key in keys):
        raise RuntimeError(f"The audit key {path} must hold lines of {2 * _BYTES} hexadecimal digits.")
    return keys


def _make(path: Path) -> None:
    """Several processes may do this at once: one wins, and the file is whole whenever it is there."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(_BYTES) + "\n")
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
