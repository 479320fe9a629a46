"""Point 1, end to end: every topic that a running server accepts from the guide fires as its cases say, and only then.

The cases are those of tests/cases/subscription_topics.yaml: `before` is written over REST, then somebody subscribes,
then `after` is written, and `$events` tells what was heard.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

import ig
from fhir_server.config import Settings
from subscriptions.extensions import BACKPORT
from tests.conftest import serve
from tests.subscriptions.topic_samples import URL

Json = dict[str, Any]
CASES: dict[str, list[Json]] = yaml.safe_load(
    (Path(__file__).parents[1] / "cases" / "subscription_topics.yaml").read_text()
)
CANONICAL = (
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/capabilitystatement-subscriptiontopic-canonical"
)
PATIENCE = 60  # seconds
STAFF = ("d", "e", "s")  # who takes part in what the cases tell of; a case accepts only those who work here
_TEXT: Json = {"text": "x"}
_SOMEBODY: Json = {"reference": "Patient/9"}
# What R4 requires of these types and no topic looks at, so that the cases leave it out.
REQUIRED: dict[str, Json] = {
    "Appointment": {"participant": [{"actor": _SOMEBODY, "status": "accepted"}]},
    "Consent": {"category": [_TEXT], "policyRule": _TEXT},
    "DiagnosticReport": {"code": _TEXT},
    "DocumentReference": {"content": [{"attachment": {"title": "x"}}]},
    "Encounter": {"class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}},
    "Flag": {"code": _TEXT, "subject": _SOMEBODY},
    "MedicationDispense": {"medicationCodeableConcept": _TEXT},
    "MedicationRequest": {"medicationCodeableConcept": _TEXT, "subject": _SOMEBODY},
}


@pytest.fixture(scope="module")
def api(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a server that installed the guide as any other package."""
    file = tmp_path_factory.mktemp("guide") / f"{ig.package_name()}.tgz"
    file.write_bytes(ig.archive())
    with serve(settings.model_copy(update={"packages": str(file)})) as base, httpx.Client(timeout=60) as client:
        client.base_url = httpx.URL(base)
        client.headers["Content-Type"] = "application/fhir+json"
        yield client


def accepted(api: httpx.Client) -> set[str]:
    """The topics that the CapabilityStatement lists, by the last part of their URL."""
    (rest,) = api.get("/metadata").raise_for_status().json()["rest"]
    (listed,) = (one for one in rest["resource"] if one["type"] == "Subscription")
    urls = [one["valueCanonical"] for one in listed["extension"] if one["url"] == CANONICAL]
    return {url.removeprefix(URL) for url in urls}


class Walk:
    """All cases, written and heard once."""

    def __init__(self, api: httpx.Client, cases: Mapping[str, list[Json]]) -> None:
        self._api = api
        self._cases = {f"{name}-{n}": (name, one) for name, own in cases.items() for n, one in enumerate(own)}
        self._subscriptions: dict[tuple[str, tuple[str, ...]], str] = {}
        self._heard: dict[str, list[str]] = {}  # foci by subscription, asked for at the end
        for id_ in STAFF:
            self._put(id_, {"resourceType": "Practitioner"})
        for id_, (_, case) in self._cases.items():
            self._put(id_, case.get("before"))
        for name, case in self._cases.values():
            key = name, tuple(case.get("filters", ()))
            if key not in self._subscriptions:
                self._subscriptions[key] = self._subscribe(*key)
        end = self._subscribe_to("Basic?_id=the-end")
        self._wait(lambda: all(status == "active" for status, _ in self._statuses().values()))
        for id_, (_, case) in self._cases.items():
            if "after" in case:
                self._put(id_, case["after"])
            else:
                assert api.delete(f"/{case['before']['resourceType']}/{id_}").status_code in (200, 204)
        self._put("the-end", {"resourceType": "Basic", "code": {"text": "the end"}})
        self._wait(lambda: self._statuses()[end][1] == "1")  # numbers are given in the order of commits

    def times(self, id_: str) -> int:
        """How often the case's change was an event of its subscription."""
        name, case = self._cases[id_]
        shown = case.get("after") or case["before"]
        key = f"/{shown['resourceType']}/{id_}"
        return sum(
            focus.endswith(key) for focus in self._foci(self._subscriptions[name, tuple(case.get("filters", ()))])
        )

    def _foci(self, subscription: str) -> list[str]:
        """What the events of a subscription are about, as `$events` tells it."""
        if subscription not in self._heard:
            bundle = self._api.get(f"/Subscription/{subscription}/$events?content=id-only").raise_for_status().json()
            parts = [one["part"] for one in bundle["entry"][0]["resource"]["parameter"] if "part" in one]
            foci = [one["valueReference"]["reference"] for part in parts for one in part if one["name"] == "focus"]
            self._heard[subscription] = foci
        return self._heard[subscription]

    def failures(self) -> list[str]:
        """The cases that were heard another number of times than they say, and topics that nothing showed."""
        return [
            f"{id_}: {case['it']} was heard {times} times"
            for id_, (_, case) in self._cases.items()
            if (times := self.times(id_)) != int(case["fires"])
        ]

    def _put(self, id_: str, resource: Json | None) -> None:
        if resource is not None:
            whole = {**REQUIRED.get(resource["resourceType"], {}), **resource, "id": id_}
            answer = self._api.put(f"/{resource['resourceType']}/{id_}", json=whole)
            assert answer.status_code in (200, 201), f"{id_}: {answer.text}"

    def _subscribe(self, name: str, filters: tuple[str, ...]) -> str:
        extension = [{"url": BACKPORT + "backport-filter-criteria", "valueString": one} for one in filters]
        return self._subscribe_to(URL + name, extension)

    def _subscribe_to(self, criteria: str, extension: list[Json] | None = None) -> str:
        level = [{"url": BACKPORT + "backport-payload-content", "valueCode": "id-only"}]
        channel = {"type": "websocket", "payload": "application/fhir+json", "_payload": {"extension": level}}
        resource = {"resourceType": "Subscription", "status": "requested", "reason": "test", "criteria": criteria}
        named = {"_criteria": {"extension": extension}} if extension else {}
        answer = self._api.post("/Subscription", json={**resource, **named, "channel": channel})
        assert answer.status_code == 201, f"{criteria}: {answer.text}"
        return str(answer.json()["id"])

    def _statuses(self) -> dict[str, tuple[str, str]]:
        """By subscription: its status, and how many events it has had."""
        bundle = self._api.get("/Subscription/$status").raise_for_status().json()
        found = {}
        for entry in bundle["entry"]:
            told = {one["name"]: one for one in entry["resource"]["parameter"]}
            id_ = told["subscription"]["valueReference"]["reference"].rpartition("/")[2]
            found[id_] = told["status"]["valueCode"], told["events-since-subscription-start"]["valueString"]
        return found

    @staticmethod
    def _wait(holds: Callable[[], bool]) -> None:
        for _ in range(PATIENCE * 20):
            if holds():
                return
            threading.Event().wait(0.05)  # nobody tells a plain reader
        raise AssertionError("it did not happen in time")


@pytest.fixture(scope="module")
def walk(api: httpx.Client) -> Walk:
    return Walk(api, CASES)


def test_point_1_every_accepted_topic_has_cases_that_fire_and_that_do_not(api: httpx.Client) -> None:
    offered = accepted(api)
    assert len(offered) >= 14
    assert offered == CASES.keys()
    assert all({one["fires"] for one in own} == {True, False} for own in CASES.values())


def test_point_1_every_accepted_topic_fires_over_rest_and_only_then(walk: Walk) -> None:
    assert walk.failures() == []


@pytest.mark.parametrize("fires", [True, False])
def test_point_1_the_walk_can_fail(walk: Walk, fires: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A case that says the contrary is found."""
    id_, (_, case) = next(one for one in walk._cases.items() if one[1][1]["fires"] is fires)
    monkeypatch.setitem(case, "fires", not fires)
    assert [one.split(":")[0] for one in walk.failures()] == [id_]
