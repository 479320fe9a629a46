"""State tables: which steps there are, and who may take them."""

from __future__ import annotations

import pytest

from fhir_server.access import Principal
from fhir_server.access.principal import SYSTEM
from fhir_server.outcomes import BusinessRule, Conflict, Forbidden
from workflow.states import Transitions, allow, step

DOOR: Transitions = {
    "": {"closed": ()},
    "closed": {"open": ("keeper",), "locked": ("keeper", "owner")},
    "open": {"closed": ()},
}


def walk(before: str, after: str) -> tuple[str, ...]:
    return step(DOOR, before, after, what="door", expression="Door.status")


def test_a_step_says_who_may_take_it() -> None:
    assert walk("closed", "locked") == ("keeper", "owner")
    assert walk("", "closed") == walk("open", "closed") == ()


@pytest.mark.parametrize("state", ["closed", "locked", "never heard of"])
def test_to_stay_is_no_step(state: str) -> None:
    assert walk(state, state) == ()


def test_a_step_that_is_none_names_the_state_that_there_is() -> None:
    with pytest.raises(Conflict) as refused:
        walk("open", "locked")
    assert refused.value.status == 409
    assert "The door is open and cannot become locked; from there it can become closed." in str(refused.value)
    with pytest.raises(Conflict, match="which is the end of it"):
        walk("locked", "open")


def test_nothing_begins_in_the_middle() -> None:
    with pytest.raises(BusinessRule) as refused:
        walk("", "open")
    assert refused.value.issues[0].expression == ("Door.status",)


def test_who_may() -> None:
    nurse = Principal("nick", user="Practitioner/nick", roles=("nurse",))
    allow(nurse, (), {}, what="door")
    allow(nurse, ("keeper", "owner"), {"owner": True}, what="door")
    with pytest.raises(Forbidden, match="Only the keeper or owner may"):
        allow(nurse, ("keeper", "owner"), {"keeper": False}, what="door")


@pytest.mark.parametrize(
    "unbound",
    [
        SYSTEM,
        Principal("import", client="import", roles=("system",)),
        Principal("ada", user="Practitioner/ada", roles=("administrator",)),
    ],
    ids=lambda one: one.name,
)
def test_the_server_services_and_administrators_are_not_bound(unbound: Principal) -> None:
    allow(unbound, ("keeper",), {}, what="door")
