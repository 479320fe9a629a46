"""The second factor: setting it up, using it, losing it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace

import httpx
import pyotp
import pytest

from fhir_server.config import Settings
from smart_auth import page, second_factor
from tests.smart_auth.visitor import PASSWORD, Reader, Visitor, World, said, world


@pytest.fixture(autouse=True)
def moment(monkeypatch: pytest.MonkeyPatch) -> float:
    """The clock of the codes stands still: in the next half minute the code that was used would be another one."""
    now = time.time()
    monkeypatch.setattr(second_factor, "time", SimpleNamespace(time=lambda: now))
    return now


@pytest.fixture
async def made(settings: Settings) -> AsyncIterator[World]:
    async with world(settings, second_factor_roles="administrator, nurse") as found:
        yield found


def secret_in(response: httpx.Response) -> str:
    found = re.search(r"<code>([A-Z2-7 ]+)</code>", response.text)
    assert found, response.text
    return found[1].replace(" ", "")


def code_of(secret: str, steps: int = 0) -> str:
    return pyotp.TOTP(secret).at(int(second_factor.time.time()) + 30 * steps)


async def enrol(made: World, login: str = "ana") -> tuple[Visitor, str, list[str]]:
    """Somebody who has turned it on; their secret and recovery codes."""
    visitor = made.visitor()
    form = await visitor.follow(await visitor.sign_in(login))
    if "Set up a second factor" not in form.text:
        form = await visitor.get("/auth/second-factor/set-up")
    secret = secret_in(form)
    done = await visitor.submit(form, {"code": code_of(secret), "password": PASSWORD})
    assert done.status_code == 200, done.text
    codes = re.findall(r"<li>([a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4})</li>", done.text)
    return visitor, secret, codes


async def test_setting_up_gives_ten_recovery_codes_once(made: World) -> None:
    ana, secret, codes = await enrol(made)
    assert len(set(codes)) == second_factor.RECOVERY_CODES
    row = await made.auth.database.system["auth_user"].find_one({"_id": "ana"})
    assert row is not None
    assert secret not in str(row)
    assert secret.encode() not in bytes(row["totp"])
    assert not any(code in str(row) for code in codes)
    assert (await ana.get("/auth/second-factor/set-up")).headers["location"].endswith("/auth/account")


async def test_the_picture_is_an_image_of_ours(made: World) -> None:
    ana = made.visitor()
    await ana.sign_in("ana")
    text = (await ana.get("/auth/second-factor/set-up")).text
    assert 'src="data:image/svg+xml;base64,' in text
    assert 'alt="QR code' in text


async def test_after_the_password_comes_the_code(made: World) -> None:
    _, secret, _ = await enrol(made)
    ana = made.visitor()
    page_ = await ana.follow(await ana.sign_in("ana"))
    assert "Confirm that it is you" in page_.text
    assert (await ana.get("/auth/apps")).status_code == 303
    assert (await ana.get("/auth/account")).status_code == 303
    before = ana.http.cookies[page.COOKIE]
    done = await ana.submit(page_, {"code": code_of(secret, 1)})
    assert done.status_code == 303
    assert ana.http.cookies[page.COOKIE] != before
    assert (await ana.get("/auth/apps")).status_code == 200


async def test_the_app_waits_for_the_code(made: World) -> None:
    _, secret, _ = await enrol(made)
    ana = made.visitor()
    page_ = await ana.follow(await ana.sign_in("ana", url=made.authorize_url("openid", client="trusted")))
    assert "Confirm that it is you" in page_.text
    request = dict(Reader(page_.text).forms[0].fields)["request"]
    early = await ana.follow(await ana.get(f"/auth/continue?request={request}"))
    assert "Sign in" in early.text
    back = await ana.follow(await ana.submit(page_, {"code": code_of(secret, 1)}))
    assert "code" in said(back)


async def test_a_code_counts_once_even_in_parallel(made: World) -> None:
    _, secret, _ = await enrol(made)
    visitors = [made.visitor() for _ in range(4)]
    pages = [await one.follow(await one.sign_in("ana")) for one in visitors]
    code = code_of(secret, 1)
    answers = await asyncio.gather(*(v.submit(p, {"code": code}) for v, p in zip(visitors, pages, strict=True)))
    assert sorted(one.status_code for one in answers) == [303, 403, 403, 403]


async def test_the_code_that_set_it_up_and_older_ones_are_used(made: World) -> None:
    _, secret, _ = await enrol(made)
    for steps in (0, -1):
        ana = made.visitor()
        page_ = await ana.follow(await ana.sign_in("ana"))
        assert (await ana.submit(page_, {"code": code_of(secret, steps)})).status_code == 403


@pytest.mark.parametrize("code", ["", "000000x", "12345", "１２３４５６", "aaaa-bbbb-cccc", "a" * 500])
async def test_what_is_no_code_is_refused_at_its_field(made: World, code: str) -> None:
    await enrol(made)
    ana = made.visitor()
    page_ = await ana.follow(await ana.sign_in("ana"))
    response = await ana.submit(page_, {"code": code})
    assert response.status_code == 403
    assert Reader(response.text).inputs["code"]["aria-invalid"] == "true"


async def test_recovery_codes_count_once(made: World) -> None:
    _, _, codes = await enrol(made)
    for code, status in ((codes[0].upper(), 303), (codes[0], 403), (codes[1].replace("-", " "), 303)):
        ana = made.visitor()
        page_ = await ana.follow(await ana.sign_in("ana"))
        assert (await ana.submit(page_, {"code": code})).status_code == status


async def test_guessing_codes_locks_the_second_factor(made: World) -> None:
    _, secret, _ = await enrol(made)
    statuses = []
    for _ in range(6):
        ana = made.visitor()
        page_ = await ana.follow(await ana.sign_in("ana"))
        statuses.append((await ana.submit(page_, {"code": "000000"})).status_code)
    assert statuses == [403] * 5 + [429]
    response = await ana.submit(page_, {"code": code_of(secret, 1)})
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) > 0


async def test_a_role_can_require_it(made: World) -> None:
    root = made.visitor()
    form = await root.follow(await root.sign_in("root", url="/auth/invitations"))
    assert "Your role must have one" in form.text
    assert (await root.get("/auth/apps")).status_code == 303
    done = await root.submit(form, {"code": code_of(secret_in(form))})
    assert done.status_code == 200
    assert "/auth/invitations" in Reader(done.text).links[-1]
    assert (await root.get("/auth/invitations")).status_code == 200
    account = await root.get("/auth/account")
    assert "Turn off" not in account.text


async def test_a_wrong_first_code_sets_nothing_up(made: World) -> None:
    ana = made.visitor()
    await ana.sign_in("ana")
    form = await ana.get("/auth/second-factor/set-up")
    response = await ana.submit(form, {"code": "000000", "password": PASSWORD})
    assert response.status_code == 403
    assert secret_in(response) == secret_in(form)
    assert not (await made.auth.users.get("ana")).has_second_factor  # type: ignore[union-attr]


async def test_who_finds_an_open_screen_cannot_set_one_up(made: World) -> None:
    ana = made.visitor()
    await ana.sign_in("ana")
    form = await ana.get("/auth/second-factor/set-up")
    response = await ana.submit(form, {"code": code_of(secret_in(form)), "password": "not the password"})
    assert response.status_code == 403
    assert not (await made.auth.users.get("ana")).has_second_factor  # type: ignore[union-attr]


async def test_turning_it_on_ends_other_sessions(made: World) -> None:
    other = made.visitor()
    await other.sign_in("ana")
    await enrol(made)
    assert (await other.get("/auth/apps")).status_code == 303


async def test_turning_it_off_takes_a_code(made: World) -> None:
    ana, secret, codes = await enrol(made)
    number = 1  # the second form of the account page
    account = await ana.get("/auth/account")
    wrong = await ana.submit(account, {"code": "000000"}, press=("change", "off"), number=number)
    assert wrong.status_code == 403
    fresh = await ana.submit(account, {"code": codes[0]}, press=("change", "codes"), number=number)
    assert fresh.status_code == 200
    assert codes[1] not in fresh.text
    assert (await ana.submit(account, {"code": codes[1]}, press=("change", "off"), number=number)).status_code == 403
    done = await ana.submit(account, {"code": code_of(secret, 1)}, press=("change", "off"), number=number)
    assert done.status_code == 303
    assert (await made.visitor().sign_in("ana")).headers["location"].endswith("/auth/apps")


def test_steps() -> None:
    secret = second_factor.new_secret()
    moment = 1_800_000_000.0
    for away, expected in ((-2, None), (-1, -1), (0, 0), (1, 1), (2, None)):
        code = pyotp.TOTP(secret).at(int(moment) + 30 * away)
        step = second_factor.step_of(secret, code, moment)
        # A code may by chance be that of a nearer step, too.
        assert step == (None if expected is None else int(moment // 30) + expected) or expected is None


@pytest.mark.parametrize(
    ("roles", "required", "expected"),
    [
        (("nurse",), "doctor, nurse", True),
        (("patient",), "doctor,nurse", False),
        ((), "*", True),
        (("nurse",), "", False),
    ],
)
def test_who_must_have_one(roles: tuple[str, ...], required: str, expected: bool) -> None:
    assert second_factor.is_required(roles, required) is expected
