"""Who sees certain patients only is no burden for everybody else's changes, and misses nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from zlib import crc32

import pytest

from fhir_server.access import Principal
from fhir_server.access.principal import ANYONE
from fhir_server.access.scopes import resource_scopes
from fhir_server.access.visibility import condition
from subscriptions import reach
from subscriptions.index import Entry, Index
from subscriptions.reach import Reach, keys_of
from tests.subscriptions.plant import Plant, observation, plant
from tests.subscriptions.test_index import entry

Json = dict[str, Any]


def somebody(user: str, role: str, scopes: str, *own: str, patient: str = "", **more: Any) -> Principal:
    return Principal(
        user,
        scopes=resource_scopes(scopes),
        client="app",
        user=user,
        roles=(role,),
        patient=patient,
        own=frozenset(own),
        **more,
    )


ANN = somebody("Patient/ann", "patient", "patient/*.rs user/*.rs", "Patient/ann", patient="Patient/ann")
PROXY = somebody("RelatedPerson/p", "proxy", "user/*.rs", "Patient/ann", "Patient/ben")
PANEL = {"Patient/ann": "referral"}
DOCTOR = somebody("Practitioner/d", "doctor", "user/*.rs", panel=PANEL)
LAUNCHED = somebody("Practitioner/d", "doctor", "patient/*.rs", patient="Patient/ann", panel=PANEL)
BOTH = somebody("Practitioner/d", "doctor", "user/*.rs patient/*.rs", patient="Patient/ann", panel=PANEL)
SERVICE = Principal("lab", scopes=resource_scopes("system/*.rs"), client="lab", roles=("system",))
APP = Principal("app", scopes=resource_scopes("patient/*.rs"), client="app", roles=("system",), patient="Patient/ann")


@pytest.mark.parametrize(
    ("principal", "patients"),
    [
        (ANN, {"Patient/ann"}),
        (PROXY, {"Patient/ann", "Patient/ben"}),
        (LAUNCHED, {"Patient/ann"}),
        (APP, {"Patient/ann"}),
    ],
)
@pytest.mark.parametrize("type_", ["Observation", "Encounter", "Patient", "DiagnosticReport"])
def test_rights_that_end_with_patients_tell_their_keys(principal: Principal, patients: set[str], type_: str) -> None:
    keys = keys_of(principal, type_)
    assert keys is not None
    assert {key[3:].removeprefix(">") for key in keys} == patients
    assert all(key[3] == ">" for key in keys)


@pytest.mark.parametrize("principal", [ANYONE, DOCTOR, BOTH, SERVICE])
def test_rights_that_may_grow_at_any_moment_tell_none(principal: Principal) -> None:
    assert keys_of(principal, "Observation") is None


@pytest.mark.parametrize("type_", ["Slot", "Practitioner", "Binary"])
def test_what_is_everybodys_and_what_no_key_tells_has_none(type_: str) -> None:
    assert condition(ANN, type_, "r") is not None
    assert keys_of(ANN, type_) is None


class Known:
    """Rights by the name that is kept."""

    def __init__(self, *principals: Principal) -> None:
        self.by_name = {one.name: one for one in principals}
        self.asked = 0

    def remember(self, principal: Principal) -> Json:
        return {"name": principal.name}

    async def again(self, kept: Json) -> Principal | None:
        self.asked += 1
        return self.by_name.get(kept["name"])


@pytest.fixture
async def one(mongo_uri: str, database: str, request: pytest.FixtureRequest) -> AsyncIterator[Plant]:
    prefix = f"{database}_{crc32(request.node.name.encode())}"
    async with plant(mongo_uri, prefix, rights=Known(ANN, PROXY, DOCTOR)) as made:
        await made.leads()
        yield made


async def bound(made: Plant, id_: str, keys: int) -> None:
    """Return once the index finds the subscription by so many patients' keys."""

    async def is_so() -> bool:
        index = indexes[-1]
        found = index.get(id_)
        return found is not None and len({key[4:] for key in found.reach.get("Observation", ())}) == keys

    await made.until(is_so)


indexes: list[Index] = []


@pytest.fixture(autouse=True)
def seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every index of an engine, as it is made."""
    make = Reach.__init__

    def made(self: Reach, index: Index, rights: Any) -> None:
        indexes.append(index)
        make(self, index, rights)

    monkeypatch.setattr(Reach, "__init__", made)
    monkeypatch.setattr(reach, "SETTLED", 0.05)


async def test_of_other_patients_nothing_is_looked_at(one: Plant) -> None:
    await one.subscribe("s", "Observation", owner={"name": "Patient/ann"})
    await bound(one, "s", 1)
    index = indexes[-1]
    assert not index.needs_content("Observation")
    await one.put(observation("other", patient="ben"))
    await one.put(observation("mine", patient="ann"))
    await one.put(None, "Observation/mine")
    await one.put(observation("back", patient="ann"))
    assert [event.id for event in await one.counted("s", 2)] == ["mine", "back"]


async def test_who_has_patients_in_their_care_is_asked_at_every_change(one: Plant) -> None:
    await one.subscribe("d", "Observation", owner={"name": "Practitioner/d"})
    await one.subscribe("s", "Observation", owner={"name": "Patient/ann"})
    await bound(one, "s", 1)
    assert indexes[-1].needs_content("Observation")
    await one.put(observation("other", patient="ann"))
    assert len(await one.counted("d", 1)) == 1


async def test_a_leader_that_starts_finds_them_in_the_background(one: Plant) -> None:
    await one.subscribe("s", "Observation", owner={"name": "Patient/ann"})
    await one.engine.stop()
    await one.engine.start()
    await one.leads()
    await bound(one, "s", 1)
    await one.put(observation("mine", patient="ann"))
    assert len(await one.counted("s", 1)) == 1


async def test_another_patient_of_a_proxy_counts_from_the_change_of_the_proxy_on(one: Plant) -> None:
    rights = Known(somebody("RelatedPerson/p", "proxy", "user/*.rs", "Patient/ann"))
    one.engine._rights = rights
    await one.engine.stop()
    await one.engine.start()
    await one.leads()
    await one.subscribe("s", "Observation", owner={"name": "RelatedPerson/p"})
    await bound(one, "s", 1)
    rights.by_name["RelatedPerson/p"] = PROXY
    await one.put({"resourceType": "RelatedPerson", "id": "p", "patient": {"reference": "Patient/ben"}})
    await one.put(observation("ben", patient="ben"))
    assert [event.id for event in await one.counted("s", 1)] == ["ben"]
    await bound(one, "s", 2)


async def test_of_many_patients_who_filter_by_nothing_one_is_a_candidate() -> None:
    users = [
        somebody(f"Patient/{n}", "patient", "patient/*.rs", f"Patient/{n}", patient=f"Patient/{n}") for n in range(9)
    ]
    index = Index()
    rights = Known(*users)
    found = Reach(index, rights)
    for number, user in enumerate(users):
        index.add(one := _owned(str(number), "Observation", user))
        found.expect(one)
    index.add(filtered := _owned("filtered", "Observation?patient=1", users[1]))
    found.expect(filtered)
    await found._work(iter(list(found._waiting.values())))
    assert rights.asked == len(users), "whose filter names a patient is not asked for"
    keys = keys_of(users[7], "Observation")
    assert keys is not None
    assert [one.id for one in index.candidates("Observation", lambda: keys)] == ["7"]
    assert index.candidates("Observation", lambda: ["000>Patient/nobody"]) == []


def _owned(id_: str, criteria: str, user: Principal) -> Entry:
    made = entry(id_, criteria)
    made.owner = {"name": user.name}
    return made
