"""What a write may not do although the role opens it: tests/cases/access_prohibitions.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_server.access.principal import SYSTEM
from fhir_server.access.prohibitions import TYPES, prohibited
from tests.access.people import caller, document

Json = dict[str, Any]
CASES = yaml.safe_load((Path(__file__).parent.parent / "cases" / "access_prohibitions.yaml").read_text())


def run(case: Json) -> None:
    before, after = case.get("before"), case.get("after")
    action = "d" if after is None else "u" if before else "c"
    stored = document(after or before or {})
    assert prohibited(caller(case["who"]), action, before, after, stored) is case["refused"]


@pytest.mark.parametrize("case", [pytest.param(one, id=one["name"]) for one in CASES])
def test_case(case: Json) -> None:
    run(case)


def test_the_runner_can_fail() -> None:
    with pytest.raises(AssertionError):
        run({**CASES[0], "refused": True})


def test_every_type_has_a_case() -> None:
    tested = {one[part]["resourceType"] for one in CASES for part in ("before", "after") if one.get(part)}
    assert tested >= TYPES - {"CommunicationRequest"}


def test_the_server_itself_is_not_bound() -> None:
    refused = [one for one in CASES if one["refused"] and one.get("after")]
    assert not any(prohibited(SYSTEM, "u", one.get("before"), one["after"], document(one["after"])) for one in refused)
