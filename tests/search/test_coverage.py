"""Every search parameter of R4 is proved by a case, or named here with the reason: none is silently ignored.

`python -m tests.search.test_coverage` prints the count and the list.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from fhir_server import definitions
from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.search.registry import parameters
from tests.search import samples

Pair = tuple[str, str]
CASES = Path(__file__).parent.parent / "cases"
# Parameter → why no search by it is answered.
REFUSED = {"_query": "a named query is an operation of a server's own, and R4 publishes none"}
# Proved for every type at once, by the cases of these files.
COMMON = {"_id", "_lastUpdated", "_text", "_content"}


def every() -> set[Pair]:
    """All pairs of type and parameter that R4 publishes."""
    return {(name, code) for name in RESOURCE_TYPES for code in parameters(name)}


def proved() -> set[Pair]:
    """Those with a case: tests/search/test_extract.py finds a value at each place and not another one,
    tests/joins/test_index.py sees that an index serves it, and tests/search/test_composite.py mixes elements."""
    found = {(field.parameter.resource_type, field.parameter.code) for field, _ in samples.every()}
    found |= {(name, code) for name, code in every() if parameters(name)[code].type == "composite"}
    return found | _named()


def _named() -> set[Pair]:
    """What the cases of tests/cases/search_*.yaml search for; common parameters count for every type."""
    found: set[Pair] = set()
    for path in sorted(CASES.glob("search_*.yaml")):
        for case in yaml.safe_load(path.read_text())["cases"]:
            type_, _, text = case["search"].partition("?")
            for pair in text.split("&"):
                code = pair.partition("=")[0].partition(":")[0]
                if code in COMMON:
                    found |= {(name, code) for name in RESOURCE_TYPES}
                elif case.get("finds"):
                    found.add((type_, code))
    return found


def test_every_parameter_is_proved_or_named() -> None:
    unproved = every() - proved()
    assert {code for _, code in unproved} == REFUSED.keys()


def test_what_is_not_proved_is_noticed() -> None:
    assert ("Location", "near") in proved()
    assert ("Location", "near") not in proved() - _named()


def test_the_published_numbers() -> None:
    """1,375 definitions; 1,706 pairs when those of all resources are counted once."""
    assert len(definitions.search_parameters()) == 1375
    assert len({pair for pair in every() if not pair[1].startswith("_")}) + 9 == 1706


if __name__ == "__main__":
    refused = sorted(every() - proved())
    print(f"{len(every())} pairs of type and parameter, {len(every() & proved())} proved, {len(refused)} refused:")
    for one, why in REFUSED.items():
        print(f"  {one} ({sum(code == one for _, code in refused)} types): {why}")
