"""What profiles say is heard: each case of cases/profiles.yaml gives the errors that it expects, and no others."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from fhir_server.json import decode, encode
from tests.validation.conftest import judging
from tests.validation.corpus import Json
from tests.validation.judge import Judge
from tests.validation.mutation_table import OURS, definitions, table
from tests.validation.test_mutations import compare, name_of


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def judges(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[bool, Judge]]:
    """Strict or not → a validator that knows the profiles of our cases."""
    data_dir = tmp_path_factory.mktemp("data")
    async with (
        judging(mongo_uri, "t_profiles", data_dir / "lenient") as lenient,
        judging(mongo_uri, "t_strict_profiles", data_dir / "strict", strict=True) as strict,
    ):
        await lenient.learn(definitions("profiles"))
        await strict.learn(definitions("profiles"))
        yield {False: lenient, True: strict}


async def verify(judges: dict[bool, Judge], case: Json) -> None:
    named = case.get("profile", "")
    profiles = [named if ":" in named else OURS + named] if named else []
    resource = {name: value for name, value in case["resource"].items() if value is not None}
    compare(case, await judges[case.get("strict", False)].issues(decode(encode(resource)), profiles=profiles))


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("case", table("profiles")["cases"], ids=name_of)
async def test_case(judges: dict[bool, Judge], case: Json) -> None:
    await verify(judges, case)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("case", table("profiles")["planted"], ids=name_of)
async def test_planted_case_fails(judges: dict[bool, Judge], case: Json) -> None:
    with pytest.raises(AssertionError):
        await verify(judges, case)


def test_each_case_has_a_name_of_its_own() -> None:
    names = [case["name"] for case in table("profiles")["cases"]]
    assert len(set(names)) == len(names)
