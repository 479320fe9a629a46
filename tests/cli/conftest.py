"""What the tests of the commands share."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
import structlog

from fhir_server.config import Settings
from tests.cli.accounts import Accounts


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_heard() -> None:
    """What a shell starts in its background ignores SIGINT, and so would all the commands that are started here."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def accounts(settings: Settings) -> Iterator[Accounts]:
    """The commands about accounts; what they do to the log's configuration ends with the module."""
    before = structlog.get_config()
    yield Accounts(settings.model_copy(update={"open": False}))
    structlog.configure(**before)
