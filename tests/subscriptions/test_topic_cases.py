"""Point 1: every topic that the guide offers really fires, and only then (tests/cases/subscription_topics.yaml)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from subscriptions.filters import compile_filter, parse_filter
from subscriptions.topic import Topic
from subscriptions.topic_check import accept
from subscriptions.trigger import fires
from tests.subscriptions.topic_samples import BASE, URL, Json, guide, guide_parameters, view

TEXT = (Path(__file__).parents[1] / "cases" / "subscription_topics.yaml").read_text()
CASES: dict[str, list[Json]] = yaml.safe_load(TEXT)


@pytest.fixture(autouse=True)
def _parameters() -> Iterator[None]:
    with guide_parameters():
        yield


def topics() -> dict[str, Topic]:
    """The guide's topics by the last part of their URL, each accepted as a server would."""
    return {one.url.removeprefix(URL): one for one in (accept(basic, BASE) for basic in guide("Basic"))}


def failures(cases: Mapping[str, list[Json]], offered: Mapping[str, Topic]) -> list[str]:
    """What is not as the cases say, and what they leave out."""
    found = [f"{name}: no such topic" for name in cases.keys() - offered.keys()]
    for name, topic in offered.items():
        own = cases.get(name, [])
        if {one["fires"] for one in own} != {True, False}:
            found.append(f"{name}: not shown to fire, and not to")
        fired = {one["after"]["resourceType"] for one in own if one["fires"]}
        found += [f"{name}: never shown to fire for {missing}" for missing in topic.types - fired]
        found += [f"{name}: {one['it']}" for one in own if passes(topic, one) is not one["fires"]]
    return found


def passes(topic: Topic, case: Json) -> bool:
    change = view(case.get("before"), case.get("after"))
    filters = [compile_filter(topic, parse_filter(text, topic), BASE) for text in case.get("filters", ())]
    for one in filters:
        keys = one.keys_of(change.type)
        if one.matches(change) and keys is not None:
            assert not keys.isdisjoint(change.keys), "a change that passes would not be found by its keys"
    return fires(topic, change) and all(one.matches(change) for one in filters)


def test_every_topic_of_the_guide_fires_as_its_cases_say() -> None:
    offered = topics()
    assert len(offered) == len(guide("Basic")) >= 14
    assert failures(CASES, offered) == []


@pytest.mark.parametrize("break_it", ["expectation", "no case", "no such topic", "never fires", "type"])
def test_the_walk_can_fail(break_it: str) -> None:
    cases: dict[str, Any] = deepcopy(CASES)
    match break_it:
        case "expectation":
            cases["case"][0]["fires"] = False
        case "no case":
            del cases["referral"]
        case "no such topic":
            cases["gossip"] = cases["case"]
        case "never fires":
            cases["record"] = [one for one in cases["record"] if not one["fires"]]
        case "type":
            is_task = [one.get("after", {}).get("resourceType") == "Task" for one in cases["emergency"]]
            cases["emergency"] = [one for one, task in zip(cases["emergency"], is_task, strict=True) if not task]
    assert failures(cases, topics())
