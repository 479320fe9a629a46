"""Two servers for all tests of validation, on a real database, without HTTP: one of them has US Core."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from pymongo import MongoClient

from fhir_server.config import Settings
from fhir_server.main import running
from tests.validation.judge import US_CORE, Judge, us_core_examples
from tests.validation.mutation_table import definitions


@asynccontextmanager
async def judging(mongo_uri: str, prefix: str, data_dir: Path, *, strict: bool = False) -> AsyncIterator[Judge]:
    settings = Settings(
        mongodb_uri=mongo_uri, database=prefix, data_dir=data_dir, log_level="warning", strict_validation=strict
    )
    async with running(settings) as parts:
        yield Judge(parts)
    with MongoClient[dict[str, object]](mongo_uri) as client:
        for name in client.list_database_names():
            if name.startswith(f"{prefix}_"):
                client.drop_database(name)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def judge(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Judge]:
    """A validator that knows R4 and the profiles of our own cases."""
    async with judging(mongo_uri, "t_validation", tmp_path_factory.mktemp("data")) as found:
        await found.learn(definitions("mutations_profiles"))
        yield found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def us_core(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Judge]:
    """A validator that knows R4 and US Core."""
    if not US_CORE.is_file():
        pytest.skip("US Core 6.1.0 is not at ../shared/packages")
    async with judging(mongo_uri, "t_us_core", tmp_path_factory.mktemp("data")) as found:
        await found.learn_package(US_CORE)
        found.others = us_core_examples()
        yield found
