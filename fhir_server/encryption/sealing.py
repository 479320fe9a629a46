"""Secrets at rest: encrypted and authenticated under a master key that is a file, never in the database."""

from __future__ import annotations

import os
import secrets
import tempfile
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_FORM = b"\x01"  # AES-256-GCM: form, id of the key (4 bytes), nonce (12), ciphertext with its tag
_NONCE = slice(5, 17)


class Sealer:
    """Seals under the first of its master keys, and opens what was sealed under any of them."""

    def __init__(self, keys: list[bytes]) -> None:
        self._first = _id(keys[0])
        self._ciphers = {_id(key): AESGCM(key) for key in keys}

    @classmethod
    def of_file(cls, path: Path) -> Sealer:
        """The keys of a file: one in each line, 32 bytes as base64, the one in use first.

        Raises RuntimeError, naming the file, when it cannot be read or holds anything else.
        """
        try:
            return cls.of_text(path.read_text("ascii"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise RuntimeError(f"The master key cannot be read from {path}: {type(error).__name__}.") from None

    @classmethod
    def of_text(cls, text: str, place: str) -> Sealer:
        """The keys of such a text, from a `place` that the RuntimeError names."""
        try:
            keys = [b64decode(line, validate=True) for line in text.split()]
        except (NotBase64, ValueError):
            keys = []
        if not keys or any(len(key) != 32 for key in keys):
            raise RuntimeError(f"{place} must hold master keys: 32 random bytes as base64, one in each line.")
        return cls(keys)

    def seal(self, data: bytes, context: bytes = b"") -> bytes:
        """The data, readable only with the master key, and only where the same context is named."""
        nonce = secrets.token_bytes(12)
        head = _FORM + self._first
        return head + nonce + self._ciphers[self._first].encrypt(nonce, data, head + context)

    def open(self, sealed: bytes, context: bytes = b"") -> bytes:
        """What was sealed. Raises ValueError when that was under another key, for another context, or is altered."""
        if not self.knows(sealed):
            raise ValueError("sealed under another master key")
        try:
            return self._ciphers[sealed[1:5]].decrypt(sealed[_NONCE], sealed[17:], sealed[:5] + context)
        except InvalidTag:
            raise ValueError("what was sealed is altered") from None

    def knows(self, sealed: bytes) -> bool:
        """Whether it can be sealed under one of these keys."""
        return sealed[:1] == _FORM and sealed[1:5] in self._ciphers

    def is_current(self, sealed: bytes) -> bool:
        """Whether it is sealed under the key in use, rather than one that a rotation left behind."""
        return sealed[:5] == _FORM + self._first


def _id(key: bytes) -> bytes:
    return sha256(b"id of a master key\0" + key).digest()[:4]


def make_file(path: Path) -> None:
    """Write a new master key, for its owner's eyes only, unless the file is there; of parallel calls one wins."""
    if path.exists():
        return
    _write(path, [b64encode(secrets.token_bytes(32)).decode()], replace=False)


def rotate_file(path: Path) -> None:
    """Put a new master key on top of the file; what older ones sealed can still be opened."""
    lines = path.read_text("ascii").split()
    _write(path, [b64encode(secrets.token_bytes(32)).decode(), *lines], replace=True)


def _write(path: Path, lines: list[str], *, replace: bool) -> None:
    """In whole or not at all: under another name (mode 0600) first, and on disk before it gets its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if replace:
            os.replace(name, path)
        else:
            with suppress(FileExistsError):
                os.link(name, path)
        _sync(path.parent)
    finally:
        Path(name).unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
