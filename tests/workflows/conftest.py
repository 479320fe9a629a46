"""One clinic for all scenario tests: a server with sign-in and its guide; each test makes patients of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fhir_server.config import Settings
from tests.conftest import serve
from tests.workflows.clinic import MAILBOX, Clinic, open_clinic, quick_leases
from tests.workflows.mailbox import delivering


@pytest.fixture(scope="session")
def clinic(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    data_dir = tmp_path_factory.mktemp("clinic")
    with delivering(data_dir / MAILBOX) as smtp_url:
        settings = Settings(
            mongodb_uri=mongo_uri,
            database="t_clinic",
            data_dir=data_dir,
            port=0,
            log_level="warning",
            open=False,
            guide=True,
            self_registration=True,
            smtp_url=smtp_url,
            mail_from="no-reply@clinic.example",
        )
        with quick_leases(), serve(settings) as base, open_clinic(base, settings) as clinic:
            yield clinic
