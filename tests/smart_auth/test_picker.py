"""The choice of a patient and of a visit, among those the user may see."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from fhir_server.config import Settings
from tests.smart_auth.visitor import Reader, Visitor, World, said, store, world

SCOPE = "launch/patient patient/Observation.rs"


@pytest.fixture
async def made(settings: Settings) -> AsyncIterator[World]:
    async with world(settings) as found:
        yield found


async def chooser(made: World, login: str, scope: str = SCOPE) -> tuple[Visitor, httpx.Response]:
    """Somebody after the consent page."""
    visitor = made.visitor()
    consent = await visitor.follow(await visitor.sign_in(login, url=made.authorize_url(scope)))
    return visitor, await visitor.follow(await visitor.submit(consent, press=("decision", "allow")))


def choices(page: httpx.Response, name: str = "patient") -> list[str]:
    return [value for form in Reader(page.text).forms for key, value in form.buttons if key == name and value]


def chosen(page: httpx.Response) -> int:
    """The number of the form whose buttons choose."""
    return next(n for n, form in enumerate(Reader(page.text).forms) if form.method == "post")


@pytest.mark.parametrize(("login", "patient"), [("ana", "ana"), ("rosa", "leo")])
async def test_who_has_one_record_is_not_asked(made: World, login: str, patient: str) -> None:
    _, answer = await chooser(made, login)
    assert (await made.tokens(answer))["patient"] == patient


async def test_a_proxy_of_several_chooses_among_them(made: World) -> None:
    pat, page = await chooser(made, "pat")
    assert choices(page) == ["leo", "zoe"]
    assert 'role="search"' not in page.text
    answer = await pat.follow(await pat.submit(page, press=("patient", "zoe")))
    assert (await made.tokens(answer))["patient"] == "zoe"


@pytest.mark.parametrize("patient", ["ana", "nobody", "", "leo,ana", "leo|ana", "../ana", "leo\\"])
async def test_nobody_else_can_be_chosen(made: World, patient: str) -> None:
    pat, page = await chooser(made, "pat")
    response = await pat.submit(page, press=("patient", patient))
    assert response.status_code == 422
    assert "Choose a patient from the list" in response.text


async def test_a_doctor_searches(made: World) -> None:
    diaz, page = await chooser(made, "diaz")
    assert {"ana", "leo", "zoe"} <= set(choices(page))
    for fields, expected in (
        ({"name": "leo"}, ["leo"]),
        ({"name": "riv zo"}, ["zoe"]),
        ({"birthdate": "1984"}, ["ana"]),
        ({"name": "rivera", "birthdate": "2018-01-31"}, ["zoe"]),
        ({"name": "nobody"}, []),
        ({"name": "rivera,leo"}, []),
        ({"name": "$|,\\"}, []),
    ):
        found = await diaz.submit(page, fields, number=0)
        assert found.status_code == 200
        assert choices(found) == expected, fields
    page = await diaz.submit(page, {"name": "leo"}, number=0)
    answer = await diaz.follow(await diaz.submit(page, press=("patient", "leo"), number=chosen(page)))
    assert (await made.tokens(answer))["patient"] == "leo"


@pytest.mark.parametrize(
    "birth", ["29.2.1984", "1984-2-29", "gt1984-01-01", "x", "1984-13-45", "2023-02-29", "1984-00", "0000"]
)
async def test_a_birth_date_is_written_as_a_date(made: World, birth: str) -> None:
    diaz, page = await chooser(made, "diaz")
    response = await diaz.submit(page, {"birthdate": birth}, number=0)
    assert response.status_code == 422
    reader = Reader(response.text)
    assert reader.inputs["birthdate"]["aria-describedby"] == "birthdate-error"
    assert reader.inputs["birthdate"]["value"] == birth


async def test_who_may_see_nobody_is_told_so(made: World) -> None:
    sam, page = await chooser(made, "sam")
    assert choices(page) == []
    assert "nobody whom you may see" in page.text
    assert (await sam.submit(page, press=("patient", "ana"), number=chosen(page))).status_code == 422


async def test_a_specialist_sees_those_referred_to_them(made: World) -> None:
    referral = {
        "resourceType": "ServiceRequest",
        "id": "r1",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/zoe"},
        "performer": [{"reference": "Practitioner/sam"}],
    }
    await store(made, referral)
    _, page = await chooser(made, "sam")
    found = choices(page)
    await store(made, {**referral, "status": "completed"})
    assert found == ["zoe"]


async def test_names_are_escaped(made: World) -> None:
    nasty = {"resourceType": "Patient", "id": "nasty", "name": [{"text": "<script>alert(1)</script> Nasty"}]}
    await store(made, nasty)
    diaz, page = await chooser(made, "diaz")
    found = await diaz.submit(page, {"name": "<script>alert"}, number=0)
    assert "<script>alert" not in found.text
    await store(made, {**nasty, "name": [{"text": "Zzz"}]})


async def test_one_can_go_back_without_choosing(made: World) -> None:
    diaz, page = await chooser(made, "diaz")
    answer = await diaz.submit(page, press=("decision", "deny"), number=chosen(page))
    assert said(answer)["error"] == "access_denied"


async def test_a_patient_scope_asks_for_a_patient_too(made: World) -> None:
    """Point 9: what no patient was chosen for is never granted."""
    pat, page = await chooser(made, "pat", "openid patient/Observation.rs")
    assert choices(page) == ["leo", "zoe"]
    answer = await pat.follow(await pat.submit(page, press=("patient", "leo")))
    tokens = await made.tokens(answer)
    assert (tokens["scope"], tokens["patient"]) == ("openid patient/Observation.rs", "leo")


async def test_without_patient_scopes_there_is_no_choice(made: World) -> None:
    _, answer = await chooser(made, "diaz", "openid user/Observation.rs")
    assert "patient" not in await made.tokens(answer)


async def test_a_visit_is_chosen(made: World) -> None:
    ana, page = await chooser(made, "ana", f"{SCOPE} launch/encounter")
    assert choices(page, "encounter") == ["e2", "e1"]
    assert "9 March 2026" in page.text
    answer = await ana.follow(await ana.submit(page, press=("encounter", "e1")))
    tokens = await made.tokens(answer)
    assert (tokens["patient"], tokens["encounter"]) == ("ana", "e1")


async def test_one_can_go_on_without_a_visit(made: World) -> None:
    ana, page = await chooser(made, "ana", f"{SCOPE} launch/encounter")
    answer = await ana.follow(await ana.submit(page, press=("encounter", "")))
    tokens = await made.tokens(answer)
    assert "encounter" not in tokens
    assert "launch/encounter" not in tokens["scope"]


async def test_a_visit_of_another_patient_cannot_be_chosen(made: World) -> None:
    pat, page = await chooser(made, "pat", f"{SCOPE} launch/encounter")
    page = await pat.follow(await pat.submit(page, press=("patient", "leo")))
    assert choices(page, "encounter") == []
    response = await pat.submit(page, press=("encounter", "e1"))
    assert response.status_code == 422
    assert (await pat.submit(page, press=("decision", "deny"))).headers["location"].startswith("https://app.example")


async def test_the_choice_is_only_for_who_has_agreed(made: World) -> None:
    pat, page = await chooser(made, "pat")
    request = dict(Reader(page.text).forms[0].fields)["request"]
    other = made.visitor()
    await other.sign_in("diaz")
    assert (await other.get(f"/auth/patient?request={request}")).status_code == 400
    await pat.submit(await pat.get("/auth/logout"))
    assert (await pat.get(f"/auth/patient?request={request}")).status_code == 400
