"""schemathesis generates requests from our own OpenAPI; the server answers each of them properly."""

from __future__ import annotations

import os
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok

from tests.rest.test_bad_input import Answer
from tests.rest.test_fuzz import proper

Operation = schemathesis.schemas.APIOperation[Any, Any, Any, Any]
TYPES = ("/Patient", "/Observation")  # all types share their code; two of them cover it
COUNT = 21  # operations: seven paths of each type and those of the base


@pytest.fixture(scope="module")
def operations(server: str) -> list[Operation]:
    document = httpx.get(server.removesuffix("/fhir") + "/openapi.json").json()
    document["servers"] = [{"url": server}]
    document["paths"] = {
        path: item
        for path, item in document["paths"].items()
        if not path[1:2].isupper() or f"/{path.split('/')[1]}" in TYPES
    }
    schema = schemathesis.openapi.from_dict(document)
    return [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_generated_requests(operations: list[Operation], server: str, mode: schemathesis.GenerationMode) -> None:
    assert len(operations) >= COUNT

    @settings(max_examples=200, deadline=None, derandomize="CI" in os.environ, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        operation = data.draw(st.sampled_from(operations))
        case = data.draw(operation.as_strategy(generation_mode=mode))
        answer = case.call(base_url=server, headers={"Accept": "application/fhir+json"}, timeout=60)
        content_type = ", ".join(answer.headers.get("content-type", ()))
        proper(Answer(answer.status_code, content_type, answer.content))

    check()
