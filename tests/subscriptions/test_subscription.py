"""Reading Subscriptions: every field of what they ask for, and whatever else comes as their content."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.outcomes import FhirError, Unprocessable
from subscriptions import address, payload
from subscriptions.extensions import BACKPORT, OURS
from subscriptions.subscription import FilterBy, Subscription, parse
from tests.subscriptions.test_refusals import TABLE

Json = dict[str, Any]
VALID: Json = {**TABLE["valid"], "id": "s1", "meta": {"versionId": "7"}}
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["url", "extension", "valueString", "type", "endpoint", "a"]), inner)
    ),
    max_leaves=8,
)


def refusal(resource: Json) -> FhirError | None:
    try:
        parse(resource)
    except FhirError as error:
        return error
    return None


def test_what_a_subscription_asks_for() -> None:
    resource = {
        **VALID,
        "end": "2030-01-01T00:00:00Z",
        "contact": [{"system": "email", "value": "it@example.org"}],
        "status": "error",
        "error": "It did not answer.",
    }
    assert parse(resource) == Subscription(
        id="s1",
        version=7,
        status="error",
        channel="rest-hook",
        topic="http://fhir-server.example/topic/visits",
        filters=(FilterBy("Encounter", "patient=Patient/1"),),
        endpoint="https://hooks.example.org/fhir",
        payload="application/fhir+json",
        content="id-only",
        headers=("Authorization: Bearer secret",),
        heartbeat=60,
        timeout=30,
        max_count=20,
        end=1_893_456_000_000_000,
        contact=("it@example.org",),
        error="It did not answer.",
    )


def test_point_4_a_channel_of_ours_keeps_a_code_of_R4() -> None:
    resource = copy.deepcopy(VALID)
    coding = {"system": OURS, "code": "socketio"}
    extension = {"url": BACKPORT + "backport-channel-type", "valueCoding": coding}
    resource["channel"] = {
        "type": "websocket",
        "_type": {"extension": [extension]},
        "payload": "application/fhir+json",
        "_payload": resource["channel"]["_payload"],
    }
    found = parse(resource)
    assert (found.channel, found.endpoint, found.heartbeat, found.max_count) == ("socketio", "", 0, 1)


def test_R4s_own_form() -> None:
    channel = {"type": "rest-hook", "endpoint": "https://hooks.example.org/"}
    resource = {**VALID, "criteria": "Observation?status=final", "_criteria": {}, "channel": channel}
    found = parse(resource)
    assert (found.topic, found.criteria, found.is_plain, found.level) == ("", "Observation?status=final", True, "empty")
    found = parse({**resource, "channel": {**channel, "payload": "application/fhir+json"}})
    assert (found.is_plain, found.level) == (True, "full-resource")


def test_all_that_is_wrong_is_told_at_once() -> None:
    resource = {**VALID, "criteria": "visits", "status": "draft", "channel": {**VALID["channel"], "endpoint": "a"}}
    with pytest.raises(Unprocessable) as caught:
        parse(resource)
    assert {place for issue in caught.value.issues for place in issue.expression} == {
        "Subscription.status",
        "Subscription.criteria",
        "Subscription.channel.endpoint",
    }


@given(st.dictionaries(st.sampled_from([*VALID, "end", "contact", "extension", "error"]), JSON_VALUES))
def test_whatever_comes_is_read_or_refused(changes: Json) -> None:
    refused = refusal({**copy.deepcopy(VALID), **changes})
    assert refused is None or (refused.status == 422 and all(issue.expression for issue in refused.issues))


@given(st.dictionaries(st.sampled_from([*VALID["channel"], "_type", "header"]), JSON_VALUES))
def test_whatever_comes_as_a_channel_is_read_or_refused(changes: Json) -> None:
    refused = refusal({**VALID, "channel": {**copy.deepcopy(VALID["channel"]), **changes}})
    assert refused is None or refused.status == 422


@given(st.text(max_size=60), st.sampled_from(sorted(address.SCHEMES)))
def test_an_endpoint_that_is_accepted_is_a_plain_one(text: str, channel: str) -> None:
    schemes, _ = address.SCHEMES[channel]
    for start in ("", "https://", "https://a.example/", "mailto:", "mailto:a@"):
        endpoint = start + text
        if address.endpoint_problem(endpoint, schemes) == "":
            assert endpoint.isascii()
            assert endpoint.isprintable()
            assert not set(' \\#<>"{}|^`') & set(endpoint.removeprefix("mailto:").partition("@")[2] or endpoint)


@given(st.text(max_size=40))
def test_a_header_that_is_accepted_is_one_line(text: str) -> None:
    for header in (text, f"X-A:{text}", f"{text}: a"):
        if address.header_problem(header) == "":
            assert not set("\r\n\0") & set(header)
            assert header.isascii()
            assert header.partition(":")[0].lower() != "host"


@given(st.text(max_size=40), st.sampled_from(sorted(address.SCHEMES)))
def test_a_payload_that_is_accepted_is_one_that_is_written(text: str, channel: str) -> None:
    for mime in (text, f"application/fhir+json;{text}", f"text/plain;attach={text}", f"application/fhir+json{text}"):
        if payload.problem(mime, channel) == "":
            assert mime.isprintable()
            type_, _ = payload.parse(mime)
            assert type_ in ("application/fhir+json", "application/fhir+xml", "application/json") or type_ in (
                "application/xml",
                "text/plain",
                "text/html",
            )


@pytest.mark.parametrize("payload_", ["application/fhir+json;\ncharset=utf-8", "application/fhir+json\r;charset=utf-8"])
def test_point_8_a_payload_cannot_add_headers(payload_: str) -> None:
    assert payload.problem(payload_, "rest-hook")
