"""What is refused as a Subscription, and what is not: tests/cases/subscription_refusals.yaml, sent as creates."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_server.config import Settings
from fhir_server.outcomes import FhirError
from tests.subscriptions.desk import Desk, desk

Json = dict[str, Any]
TABLE = yaml.safe_load((Path(__file__).parent.parent / "cases" / "subscription_refusals.yaml").read_text())
_LONG = "{2000 characters}"


@pytest.fixture(scope="module")
def settings(mongo_uri: str, database: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(mongodb_uri=mongo_uri, database=database, data_dir=tmp_path_factory.mktemp("data"))


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[Desk]:
    async with desk(settings) as made:
        yield made


def changed(valid: Json, case: Json) -> Json:
    """The valid Subscription with the changes of a case."""
    resource: Json = copy.deepcopy(valid)
    for path, value in case.get("set", {}).items():
        node, last = _parent(resource, path)
        given = value.replace(_LONG, "a" * 2000) if isinstance(value, str) else value
        if isinstance(node, list) and int(last) == len(node):
            node.append(given)
        else:
            node[int(last) if isinstance(node, list) else last] = given
    for path in case.get("drop", ()):
        node, last = _parent(resource, path)
        node.pop(int(last) if isinstance(node, list) else last)
    return resource


def _parent(resource: Json, path: str) -> tuple[Any, str]:
    node: Any = resource
    *ways, last = path.split(".")
    for way in ways:
        node = node[int(way)] if isinstance(node, list) else node[way]
    return node, last


async def verdict(server: Desk, case: Json) -> str:
    """ "" when a case of the table holds; else what happened instead."""
    try:
        await server.ask("POST", "Subscription", changed(TABLE["valid"], case))
    except FhirError as error:
        places = [place for issue in error.issues for place in issue.expression]
        told = " ".join(issue.diagnostics for issue in error.issues)
        if any(secret in told for secret in ("secret", "peter", "Patient/1")):
            return f"the answer repeats content: {told}"
        if error.status != case.get("status", 422) or case["expression"] not in places:
            return f"{error.status} at {places}: {error}"
        return ""
    return "it was accepted"


async def test_point_3_what_cannot_be_served_is_refused(server: Desk) -> None:
    assert len(TABLE["refused"]) >= 60
    wrong = {case["name"]: said for case in TABLE["refused"] if (said := await verdict(server, case))}
    assert wrong == {}


async def test_point_3_what_can_be_served_is_accepted(server: Desk) -> None:
    wrong = {}
    for case in TABLE["accepted"]:
        try:
            await server.ask("POST", "Subscription", changed(TABLE["valid"], case))
        except FhirError as error:
            wrong[case["name"]] = str(error)
    assert wrong == {}


async def test_the_table_can_fail(server: Desk) -> None:
    assert await verdict(server, {"expression": "Subscription.criteria"}) == "it was accepted"
    misplaced = {"set": {"criteria": "visits"}, "expression": "Subscription.end"}
    assert "Subscription.criteria" in await verdict(server, misplaced)
    names = [case["name"] for case in TABLE["refused"]]
    assert len(names) == len(set(names))
