"""The state tables of emergencies, and who is on duty: tests/cases/emergency_states.yaml."""

from __future__ import annotations

from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from extensions.emergency import flag, responder, task
from extensions.emergency.duty import is_on_duty
from fhir_server.outcomes import BusinessRule, Conflict
from workflow.states import step

TABLE = yaml.safe_load((Path(__file__).parents[1] / "cases" / "emergency_states.yaml").read_text())
TABLES = {"flag": flag.TRANSITIONS, "task": task.TRANSITIONS, "responder": responder.TRANSITIONS}
STEPS = [
    (name, before, after)
    for name, one in TABLE.items()
    if name in TABLES
    for before, after in product(one["steps"], one["states"])
]


@pytest.mark.parametrize(("name", "before", "after"), STEPS)
def test_a_step(name: str, before: str, after: str) -> None:
    steps: dict[str, list[str]] = TABLE[name]["steps"][before]

    def taken() -> tuple[str, ...]:
        return step(TABLES[name], before, after, what="emergency", expression="x")

    if before == after:
        assert taken() == ()
    elif after in steps:
        assert list(taken()) == steps[after]
    else:
        with pytest.raises(Conflict if before else BusinessRule):
            taken()


@pytest.mark.parametrize("case", TABLE["duty"], ids=lambda case: case["name"])
def test_duty(case: dict[str, Any]) -> None:
    now = datetime.fromisoformat(case["at"]).replace(tzinfo=ZoneInfo("Europe/Berlin"))
    assert is_on_duty(case["role"], now) is case["is"]
