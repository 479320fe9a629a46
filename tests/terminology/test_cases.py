"""Value sets and hierarchies, sentence by sentence: tests/cases/terminology.yaml over a real database."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from fhir_server.access.principal import SYSTEM
from fhir_server.main import Server
from fhir_server.outcomes import FhirError
from fhir_server.terminology import above, below, codes_in, expand
from fhir_server.terminology.valueset import Expansion
from tests.terminology.storing import BASE, put

Json = dict[str, Any]
CONTENT = yaml.safe_load((Path(__file__).parent.parent / "cases" / "terminology.yaml").read_text())
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stored(parts: Server) -> Server:
    for key, resource in CONTENT["resources"].items():
        await put(parts, {**resource, "id": key.partition("/")[2]})
    return parts


def pairs(codes: Iterable[str]) -> list[tuple[str, str]]:
    """ "a|dog" with the short name of its system → (system, code)."""
    split = [code.partition("|") for code in codes]
    return [(CONTENT["systems"].get(system, system), code) for system, _, code in split]


async def check(server: Server, case: Json) -> None:
    """Run one case; raises AssertionError when it does not come out as it says."""
    found = await attempt(server, case)
    if isinstance(found, FhirError):
        assert "error" in case, found
        assert case["error"] in str(found)
        assert [issue.code for issue in found.issues] == [case["code"]]
        assert 400 <= found.status < 500
        return
    assert "error" not in case, "was not refused"
    if isinstance(found, frozenset):
        assert found == set(pairs(case["codes"]))
        return
    assert list(found.members) == pairs(case["codes"])
    assert [(one.system, one.code) for one in found.members.values()] == pairs(case["codes"])
    for flag in {"abstract", "inactive"} & case.keys():
        flagged = [key for key, one in found.members.items() if getattr(one, flag)]
        assert flagged == pairs(case[flag]), flag
    assert [(one, "") for one in found.partial] == pairs(case.get("partial", ()))
    assert await codes_in(server.repository, SYSTEM, BASE, case["expand"]) == set(pairs(case["codes"]))


async def attempt(server: Server, case: Json) -> Expansion | frozenset[tuple[str, str]] | FhirError:
    """What the case asks for, or its refusal; any other exception passes through."""
    caller = (server.repository, SYSTEM, BASE)
    try:
        if "expand" in case:
            return await expand(*caller, case["expand"])
        function = below if "below" in case else above
        ((system, code),) = pairs([case.get("below") or case["above"]])
        return await function(*caller, system, code)
    except FhirError as refusal:
        return refusal


@pytest.mark.parametrize("case", [pytest.param(case, id=case["spec"][:60]) for case in CONTENT["cases"]])
async def test_case(stored: Server, case: Json) -> None:
    await check(stored, case)


LIST = "http://example.org/vs/list"


@pytest.mark.parametrize(
    "wrong",
    [
        {"expand": LIST, "codes": ["a|dog", "a|duck", "sct|388618009"]},
        {"expand": LIST, "codes": ["a|duck", "a|dog"]},
        {"expand": LIST, "codes": ["a|duck", "a|dog", "sct|388618009"], "inactive": ["a|dog"]},
        {"expand": LIST, "codes": ["a|duck", "a|dog", "sct|388618009"], "abstract": ["a|dog"]},
        {"expand": LIST, "codes": ["a|duck", "a|dog", "sct|388618009"], "partial": ["a"]},
        {"expand": LIST, "error": "refused", "code": "not-found"},
        {"expand": "http://example.org/vs/none", "error": "is not known", "code": "invalid"},
        {"expand": "http://example.org/vs/none", "error": "another reason", "code": "not-found"},
        {"expand": "http://example.org/vs/none", "codes": []},
        {"below": "a|mammal", "codes": ["a|mammal"]},
        {"above": "a|dog", "codes": ["a|dog"]},
        {"below": "a|mammal", "error": "refused", "code": "invalid"},
    ],
)
async def test_a_wrong_case_fails(stored: Server, wrong: Json) -> None:
    with pytest.raises(AssertionError):
        await check(stored, wrong)
