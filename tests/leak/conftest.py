"""The stage of the leak test: one for all its tests, on a loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from fhir_server.config import Settings
from tests.leak.oracle import Oracle
from tests.leak.referee import CALLERS, Caller, Referee
from tests.leak.stage import Ask, Stage, stage
from tests.leak.world import BASE


@dataclass
class Court:
    """The stage with everybody known at its door."""

    stage: Stage
    oracles: dict[str, Oracle]
    run: Callable[..., None]

    def hear(self, caller: Caller, asks: list[Ask]) -> Referee:
        """What the referee says of these requests of one caller."""
        self.stage.admit(self.oracles[caller.name])
        principal = caller.principal()
        self.stage.doorman.principals[caller.name] = lambda: principal
        referee = Referee(self.stage, caller, self.oracles)

        async def judge() -> None:
            for ask in asks:
                await referee.judge(ask)

        self.run(judge())
        return referee


@pytest.fixture(scope="session")
def court(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Court]:
    data = tmp_path_factory.mktemp("leak")
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        made = runner.run(
            stack.enter_async_context(stage(mongo_uri, "t_leak", lambda name: _settings(mongo_uri, name, data)))
        )
        for caller in CALLERS:
            made.doorman.principals[caller.name] = caller.principal
        oracles = {one.name: Oracle(one.principal(), one.scopes, made.chronicle.today) for one in CALLERS}
        yield Court(made, oracles, runner.run)
        runner.run(stack.aclose())


def _settings(uri: str, name: str, data: Path) -> Settings:
    return Settings(mongodb_uri=uri, database=name, data_dir=data, base_url=BASE, log_level="error", guide=False)
