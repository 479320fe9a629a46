"""Whatever is sent to an operation, the answer is FHIR and never a failure of the server."""

from __future__ import annotations

import json
import os
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PATHS = [
    *("$versions", "$meta", "$diff", "Patient/$meta", "Patient/$validate", "Patient/f/$validate", "Patient/f/$meta"),
    *("Patient/f/$meta-add", "Patient/f/$meta-delete", "Patient/f/$everything", "Encounter/f/$everything"),
    *("Observation/$lastn", "Composition/$document", "Composition/f/$document", "DocumentReference/$docref"),
    *("Patient/f/$diff", "Patient/never/$erase", "Patient/$everything", "$nothing"),
]
NAMES = [
    *("resource", "mode", "profile", "meta", "from", "to", "fromVersion", "includeMeta", "max", "patient", "subject"),
    *("code", "start", "end", "_since", "_type", "_count", "_cursor", "id", "persist", "graph", "type", "on-demand"),
]
TEXTS = ["Patient/f", "f", "1", "0", "true", "2020", "2020-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "Observation"]
# No lone surrogates: no client can send them in a URL.
_text = st.sampled_from(TEXTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_scalar = st.none() | st.booleans() | st.integers(-5, 5) | _text
_value = st.sampled_from(["valueString", "valueCode", "valueMeta", "valueCoding", "valueBoolean", "resource", "part"])
_tree = st.recursive(
    _scalar,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["resourceType", "id", "tag", "code", "system"]), inner, max_size=3)
    ),
    max_leaves=6,
)
_part = st.builds(lambda n, v, x: {"name": n, v: x}, st.sampled_from(NAMES), _value, _tree)
_parameters = st.builds(lambda p: {"resourceType": "Parameters", "parameter": p}, st.lists(_part, max_size=3))


@pytest.fixture(scope="module")
def filled(server: str) -> str:
    for type_, more in (("Patient", {}), ("Encounter", {"status": "planned", "class": {"code": "AMB"}})):
        body = {"resourceType": type_, "id": "f", **more}
        for _ in range(2):
            assert httpx.put(f"{server}/{type_}/f", json=body, timeout=60).is_success
    return server


def test_any_call_is_answered(filled: str) -> None:
    @settings(max_examples=300, deadline=None, derandomize="CI" in os.environ, suppress_health_check=list(HealthCheck))
    @given(
        path=st.sampled_from(PATHS),
        query=st.lists(st.tuples(st.sampled_from(NAMES), _text), max_size=3),
        body=st.none() | _parameters | _tree,
    )
    def check(path: str, query: list[tuple[str, str]], body: Any) -> None:
        method = "GET" if body is None else "POST"
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/fhir+json"}
        answer = client.request(method, f"/{path}", params=query, content=content, headers=headers)
        assert answer.status_code < 500, answer.text
        assert "resourceType" in answer.json()
        if answer.status_code >= 400:
            assert answer.json()["issue"][0]["diagnostics"]

    with httpx.Client(base_url=filled, timeout=60) as client:
        check()
