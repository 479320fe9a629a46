"""Patience with a busy machine, which is slow and not wrong: a minute where the defaults are some seconds."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import partialmethod

import httpx
import pytest

from smart_auth import external, providers
from smart_auth.fetch import Fetcher

SECONDS = 60.0


@pytest.fixture(scope="session", autouse=True)
def patient_callers() -> Iterator[None]:
    """`httpx.get` and the like, and clients that are told nothing else: they all have one default."""
    usual = inspect.signature(httpx.Client).parameters["timeout"].default
    with pytest.MonkeyPatch.context() as patch:
        for part in ("connect", "read", "write", "pool"):
            patch.setattr(usual, part, SECONDS)
        yield


@pytest.fixture(scope="session", autouse=True)
def patient_servers() -> Iterator[None]:
    """Servers in this process, when they ask for keys, about tokens, or an outside provider."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fetcher, "__init__", partialmethod(Fetcher.__init__, seconds=SECONDS))
        patch.setattr(external, "PATIENCE", SECONDS)
        patch.setattr(providers, "SECONDS", SECONDS)
        yield
