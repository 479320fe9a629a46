"""The master key, which opens the patients' keys: from a file, from the environment, or held by a key service.

A key service (KMS, HSM) is any object with the methods of Master. FHIR_MASTER_KEY_SERVICE names what makes it, as
"package.module:function"; the function gets the settings.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from pathlib import Path
from typing import Protocol

from fhir_server.config import Settings
from fhir_server.encryption.sealing import Sealer, make_file


class Master(Protocol):
    """What wraps the keys of patients. `context` is the id of the key: what is wrapped opens under no other."""

    async def wrap(self, key: bytes, context: str) -> bytes:
        """The key as the database may keep it. Raises RuntimeError when that cannot be done now."""

    async def unwrap(self, wrapped: bytes, context: str) -> bytes:
        """The key again. Raises ValueError when something else wrapped it, RuntimeError when nobody can tell now."""

    def is_current(self, wrapped: bytes) -> bool:
        """Whether it was wrapped by the key in use, and not by one that a rotation left behind."""


class LocalMaster:
    """Master keys that this process holds itself: the lines of FHIR_MASTER_KEY, or of the master key's file.

    With `make` the file in the data directory is made when it is not there; a configured one never is.
    """

    def __init__(self, settings: Settings, *, make: bool = False) -> None:
        self._settings = settings
        self._sealer = sealer(settings, make=make)

    async def wrap(self, key: bytes, context: str) -> bytes:
        return self._sealer.seal(key, context.encode())

    async def unwrap(self, wrapped: bytes, context: str) -> bytes:
        if not self._sealer.knows(wrapped):  # the file may have got another key since
            self._sealer = await asyncio.to_thread(sealer, self._settings)
        return self._sealer.open(wrapped, context.encode())

    def is_current(self, wrapped: bytes) -> bool:
        return self._sealer.is_current(wrapped)


def master(settings: Settings, make: bool = False) -> Master:
    """The configured master key. Raises RuntimeError, saying what is wrong, when there is none to be had."""
    if not settings.master_key_service:
        return LocalMaster(settings, make=make)
    module, _, name = settings.master_key_service.partition(":")
    try:
        made: Master = getattr(import_module(module), name)(settings)
    except (ImportError, AttributeError, ValueError) as error:
        raise RuntimeError(f"FHIR_MASTER_KEY_SERVICE={settings.master_key_service} is not there: {error}.") from None
    return made


def sealer(settings: Settings, *, make: bool = False) -> Sealer:
    """The master keys of the environment or the file; only the file in the data directory is ever made."""
    if settings.master_key:
        return Sealer.of_text(settings.master_key, "FHIR_MASTER_KEY")
    if make and settings.master_key_file is None:
        make_file(file(settings))
    return Sealer.of_file(file(settings))


def file(settings: Settings) -> Path:
    """Where the master keys are, unless the environment holds them."""
    return settings.master_key_file or settings.data_dir.expanduser() / "master.key"
