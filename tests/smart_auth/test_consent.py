"""The consent page: plain words, dropping scopes, categories, saying no."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.access.scopes import parse_scope
from fhir_server.config import Settings
from fhir_server.definitions import RESOURCE_TYPES
from smart_auth import offers, scope_words
from smart_auth.clients import Client
from smart_auth.scopes import is_within
from tests.smart_auth.visitor import APP, Reader, Visitor, World, said, world

OBSERVATION = "http://terminology.hl7.org/CodeSystem/observation-category"
CONDITION = "http://terminology.hl7.org/CodeSystem/condition-category"


@pytest.fixture
async def made(settings: Settings) -> AsyncIterator[World]:
    async with world(settings) as found:
        yield found


async def asked(made: World, scope: str, login: str = "ana") -> tuple[Visitor, httpx.Response]:
    """Somebody before the consent page."""
    visitor = made.visitor()
    response = await visitor.sign_in(login, url=made.authorize_url(scope))
    return visitor, await visitor.follow(response)


async def granted(made: World, visitor: Visitor, page: httpx.Response, **fields: list[str]) -> str:
    """What the app gets for these answers."""
    answer = await visitor.submit(page, fields, press=("decision", "allow"))
    return str((await made.tokens(await visitor.follow(answer)))["scope"])


async def test_scopes_are_told_in_words(made: World) -> None:
    _, page = await asked(
        made, "openid fhirUser launch/patient patient/Observation.rs patient/Condition.cruds offline_access"
    )
    text = Reader(page.text).text
    for words in (
        "Growth Chart asks for access",
        "your own record",
        "Ana Rivera",
        "Know who you are",
        "See your test results and measurements",
        "See your diagnoses and health problems",
        "Add, change and delete your diagnoses and health problems",
        "Keep access when you are not here",
        "app.example",
    ):
        assert words in " ".join(text.split()), words
    assert "patient/" not in text
    assert ".rs" not in text


async def test_everything_allowed_is_what_was_asked_for(made: World) -> None:
    scope = "openid fhirUser launch/patient patient/Observation.rs patient/Condition.read patient/*.rs offline_access"
    visitor, page = await asked(made, scope)
    assert await granted(made, visitor, page) == scope


async def test_scopes_can_be_dropped(made: World) -> None:
    visitor, page = await asked(made, "openid launch/patient patient/Patient.r patient/Observation.rs offline_access")
    assert await granted(made, visitor, page, agree=["2s"]) == "launch/patient patient/Patient.r"


async def test_changes_can_be_dropped_and_reading_kept(made: World) -> None:
    visitor, page = await asked(made, "launch/patient patient/MedicationRequest.cruds patient/Encounter.*")
    scope = await granted(made, visitor, page, agree=["1s", "2s"])
    assert scope == "launch/patient patient/MedicationRequest.rs patient/Encounter.read"


async def test_only_some_kinds(made: World) -> None:
    visitor, page = await asked(made, "launch/patient patient/Observation.rs patient/Condition.rs")
    fields = {
        "category-1": [f"{OBSERVATION}|laboratory", f"{OBSERVATION}|vital-signs"],
        "category-2": [f"{CONDITION}|problem-list-item"],
    }
    assert (await granted(made, visitor, page, **fields)).split() == [
        "launch/patient",
        f"patient/Observation.rs?category={OBSERVATION}|laboratory",
        f"patient/Observation.rs?category={OBSERVATION}|vital-signs",
        f"patient/Condition.rs?category={CONDITION}|problem-list-item",
    ]


async def test_the_kinds_of_us_core_are_offered(made: World) -> None:
    _, page = await asked(made, "launch/patient patient/Observation.rs patient/Condition.rs")
    offered = {value for name, value in Reader(page.text).forms[0].fields if name.startswith("category-")}
    assert {f"{CONDITION}|problem-list-item", f"{CONDITION}|encounter-diagnosis"} < offered
    assert "http://hl7.org/fhir/us/core/CodeSystem/condition-category|health-concern" in offered
    for code in ("vital-signs", "laboratory", "survey", "social-history"):
        assert f"{OBSERVATION}|{code}" in offered
    for code in offered:
        assert parse_scope(f"patient/Observation.rs?category={code}") is not None


async def test_kinds_are_not_offered_where_the_app_chose_them_itself(made: World) -> None:
    visitor, page = await asked(made, f"launch/patient patient/Observation.rs?category={OBSERVATION}|survey")
    assert "Only some kinds" not in page.text
    assert "Only: Results of questionnaires and tests." in page.text
    assert "survey" in await granted(made, visitor, page)


async def test_no_kind_at_all_is_no_access(made: World) -> None:
    visitor, page = await asked(made, "openid launch/patient patient/Observation.rs")
    assert await granted(made, visitor, page, **{"category-2": []}) == "openid launch/patient"


async def test_nothing_chosen_is_asked_again(made: World) -> None:
    visitor, page = await asked(made, "openid launch/patient patient/Observation.rs")
    response = await visitor.submit(page, {"agree": []}, press=("decision", "allow"))
    assert response.status_code == 422
    assert 'role="alert"' in response.text


@pytest.mark.parametrize("press", [("decision", "deny"), ("decision", "x"), None])
async def test_anything_but_yes_is_no(made: World, press: tuple[str, str] | None) -> None:
    visitor, page = await asked(made, "openid launch/patient patient/Observation.rs")
    answer = await visitor.submit(page, press=press)
    assert said(answer)["error"] == "access_denied"
    assert said(answer)["state"] == "the state"
    again = await visitor.submit(page, press=("decision", "allow"))
    assert again.status_code == 400


async def test_more_than_was_asked_for_cannot_be_agreed_to(made: World) -> None:
    visitor, page = await asked(made, "openid launch/patient patient/Observation.rs")
    agree = ["2s", "2c", "9s", "identity", "offline_access", "patient/*.cruds", "system/*.rs"]
    fields = {"agree": agree, "category-2": [f"{OBSERVATION}|laboratory", "http://x|y", "&_id=1"]}
    assert await granted(made, visitor, page, **fields) == (
        f"openid launch/patient patient/Observation.rs?category={OBSERVATION}|laboratory"
    )


async def test_a_trusted_app_is_not_asked_about_unless_it_wants(made: World) -> None:
    ana = made.visitor()
    url = made.authorize_url("launch/patient patient/Observation.rs", client="trusted")
    answer = await ana.follow(await ana.sign_in("ana", url=url))
    assert "code" in said(answer)
    page = await ana.follow(await ana.get(url + "&prompt=consent"))
    assert "House app asks for access" in " ".join(Reader(page.text).text.split())


async def test_consent_needs_a_sign_in(made: World) -> None:
    visitor = made.visitor()
    start = await visitor.get(made.authorize_url("openid"))
    request = start.headers["location"].partition("request=")[2]
    response = await visitor.get(f"/auth/consent?request={request}")
    assert "/auth/continue" in response.headers["location"]


async def test_who_registered_itself_is_told_of(made: World) -> None:
    if await made.auth.clients.get("stranger") is None:
        client = Client("stranger", "<b>Stranger</b>", redirect_uris=(APP,), registration_hash=b"x" * 32)
        await made.auth.clients.add(client)
    ana = made.visitor()
    page = await ana.follow(await ana.sign_in("ana", url=made.authorize_url("openid", client="stranger")))
    assert "registered itself" in page.text
    assert "<b>Stranger</b>" not in page.text


async def test_the_form_may_lead_to_the_app_and_nowhere_else(made: World) -> None:
    _, page = await asked(made, "openid")
    policy = page.headers["content-security-policy"]
    assert "form-action 'self' https://app.example;" in policy


async def test_the_whole_record_of_a_patient_whom_one_chooses(made: World) -> None:
    _, page = await asked(made, "launch/patient patient/*.rs user/Observation.rs", "diaz")
    text = " ".join(Reader(page.text).text.split())
    assert "a patient whom you choose next" in text
    assert "See everything in this patient's health record" in text
    assert "See test results and measurements of every patient you may see" in text


async def test_a_scope_of_the_system_is_not_for_people(made: World) -> None:
    visitor, page = await asked(made, "openid system/Observation.rs")
    assert await granted(made, visitor, page) == "openid"


# ---- the words and the answers, without a server -----------------------------------------------------

TYPES = st.sampled_from([*sorted(RESOURCE_TYPES), "*"])
ACTIONS = st.sampled_from(["r", "s", "rs", "cud", "cruds", "c", "us", "read", "write", "*"])
SCOPES = st.lists(
    st.builds(
        lambda level, type_, actions: f"{level}/{type_}.{actions}", st.sampled_from(["patient", "user"]), TYPES, ACTIONS
    )
    | st.sampled_from(["openid", "fhirUser", "launch/patient", "offline_access", "online_access"]),
    max_size=8,
    unique=True,
)


@given(SCOPES, st.data())
def test_answers_never_give_more_than_was_asked_for(scopes: list[str], data: st.DataObject) -> None:
    lines = [one for _, some in offers.offers(scopes, is_own=True, offline_days=90) for one in some]
    agreed = data.draw(st.sets(st.sampled_from([one.key for one in lines]))) if lines else set()
    kinds = {
        one.field: data.draw(st.lists(st.sampled_from([code for code, _ in one.categories]), unique=True))
        for one in lines
        if one.field
    }
    found = offers.granted(scopes, agreed, kinds)
    for scope in found:
        assert scope in scopes or is_within(scope, scopes), scope
    everything = {one.field: [code for code, _ in one.categories] for one in lines if one.field}
    assert offers.granted(scopes, {one.key for one in lines}, everything) == tuple(scopes)
    assert not [one for one in offers.granted(scopes, (), {}) if parse_scope(one)]


@given(SCOPES)
def test_every_scope_has_its_line(scopes: list[str]) -> None:
    keys = [one.key for _, some in offers.offers(scopes, is_own=False, offline_days=90) for one in some]
    assert len(keys) == len(set(keys))
    for place, text in enumerate(scopes):
        if parse_scope(text) is not None:
            assert f"{place}s" in keys or f"{place}c" in keys


@pytest.mark.parametrize("type_", sorted(RESOURCE_TYPES))
def test_every_type_has_words(type_: str) -> None:
    assert scope_words.things(type_, "patient", is_own=True).strip()
    assert scope_words.group_of(type_) in scope_words.GROUPS
