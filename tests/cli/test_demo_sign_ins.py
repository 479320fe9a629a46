"""The demo clinic's sign-ins: made at the first start, told to whoever started the server, and good for signing in."""

from __future__ import annotations

import json
import re
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from fhir_server.cli._sign_ins import FILE, SIGN_INS, make_sign_ins, read_sign_ins
from fhir_server.config import Settings
from fhir_server.main import running
from smart_auth.service import SmartAuth
from tests.cli.here import here
from tests.cli.serving import Serving, serving
from tests.smart_auth.visitor import Reader

LINE = re.compile(r"^    (\w+) +(\S{16}) +(.+), ([\w-]+)$", re.M)
LOGINS = [one.login for one in SIGN_INS]


class Clinic(NamedTuple):
    """A running demo clinic."""

    data_dir: Path
    server: Serving

    @property
    def root(self) -> str:
        return self.server.base.removesuffix("/fhir")


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    data_dir = tmp_path_factory.mktemp("clinic")
    with serving(data_dir, "--demo", FHIR_OPEN="false") as server:  # as `make run` does, beside the guide
        yield Clinic(data_dir, server)


def test_the_banner_tells_them_and_so_does_a_file_for_its_owner(clinic: Clinic) -> None:
    told = {login: password for login, password, *_ in LINE.findall(clinic.server.banner)}
    assert list(told) == LOGINS
    path = clinic.data_dir / FILE
    assert json.loads(path.read_text()) == told
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(set(told.values())) == len(LOGINS)
    assert "NO SIGN-IN" not in clinic.server.banner
    for log in clinic.data_dir.rglob("*.log"):
        text = log.read_text(errors="replace")
        assert not any(password in text for password in told.values()), log


@pytest.mark.parametrize("login", LOGINS)
def test_each_can_sign_in(clinic: Clinic, login: str) -> None:
    with httpx.Client(base_url=clinic.root, follow_redirects=True) as browser:
        answer = sign_in(browser, login, "not the password")
        assert answer.status_code == 403
        answer = sign_in(browser, login, read_sign_ins(clinic.data_dir)[login])
        assert answer.status_code == 200
        assert browser.get("/auth/apps").url.path == "/auth/apps", "whoever is not signed in is led elsewhere"


def test_without_signing_in_there_is_nothing_to_see(clinic: Clinic) -> None:
    with httpx.Client(base_url=clinic.root, follow_redirects=True) as browser:
        assert browser.get("/auth/apps").url.path == "/auth/login"
    assert httpx.get(f"{clinic.server.base}/Patient").status_code == 401


def sign_in(browser: httpx.Client, login: str, password: str) -> httpx.Response:
    """Fill in the form as it stands."""
    form = Reader(browser.get("/auth/login").text).forms[0]
    fields = {**dict(form.fields), "login": login, "password": password}
    return browser.post(form.action, data=fields)


@pytest.mark.parametrize("one", SIGN_INS, ids=LOGINS)
def test_each_is_somebody_in_the_record(clinic: Clinic, one: tuple[str, str, str, str]) -> None:
    login, name, _, fhir_user = one
    ended = here("token", "--data-dir", clinic.data_dir, "--user", login, "--scope", "user/*.rs")
    assert ended.returncode == 0, ended.stderr
    headers = {"Authorization": f"Bearer {ended.stdout.strip()}"}
    answer = httpx.get(f"{clinic.server.base}/{fhir_user}", headers=headers)
    assert answer.status_code == 200, answer.text
    family = name.split()[-1]
    assert family in answer.text


def test_they_are_the_same_after_a_restart(clinic: Clinic) -> None:
    """The last that is asked of this clinic. In open mode they are not told; what was made stays."""
    told = LINE.findall(clinic.server.banner)
    assert clinic.server.signal(signal.SIGTERM) == 0
    with serving(clinic.data_dir, "--demo", "--open") as opened:
        assert not LINE.findall(opened.banner)
    with serving(clinic.data_dir, "--demo", FHIR_OPEN="false") as second:
        assert LINE.findall(second.banner) == told


async def test_a_second_time_nothing_is_new(settings: Settings, tmp_path: Path) -> None:
    chosen = settings.model_copy(update={"open": False, "data_dir": tmp_path})
    async with running(chosen) as server:
        auth = SmartAuth(chosen, server.database, server.repository)
        await auth.prepare()
        assert await make_sign_ins(auth, server.context(), tmp_path)
        first, written = read_sign_ins(tmp_path), (tmp_path / FILE).stat()
        assert not await make_sign_ins(auth, server.context(), tmp_path)
        assert (tmp_path / FILE).stat() == written
        assert read_sign_ins(tmp_path) == first
        for login, password in first.items():
            assert await auth.users.check_password(login, password) is not None
        await auth.users.remove("nurse")
        await make_sign_ins(auth, server.context(), tmp_path)
        again = read_sign_ins(tmp_path)
        assert again.pop("nurse") != first.pop("nurse")
        assert again == first, "who is there keeps the password"
        administrator = await server.repository.read(server.context().principal, "Practitioner", "administrator")
        assert administrator is not None


def test_the_command_alone_says_where_they_are(settings: Settings, tmp_path: Path) -> None:
    """As in a container, whose banner nobody sees."""
    named = {"FHIR_MONGODB_URI": settings.mongodb_uri or "", "FHIR_DATABASE": f"{settings.database}_alone"}
    said = [here("demo", "--data-dir", tmp_path, **named).stdout for _ in "12"]
    assert f"Demo sign-ins: {tmp_path / FILE}" in said[0].splitlines()
    assert "Demo sign-ins" not in said[1]
    passwords = read_sign_ins(tmp_path)
    assert list(passwords) == LOGINS
    assert not any(password in text for password in passwords.values() for text in said)


def test_without_the_demo_nobody_is_there(tmp_path: Path) -> None:
    with serving(tmp_path, FHIR_OPEN="false", FHIR_GUIDE="false") as server:
        assert "Demo sign-ins" not in server.banner
        assert "SMART on FHIR" in server.banner
    assert not (tmp_path / FILE).exists()
    assert here("user", "list", "--data-dir", tmp_path).stdout == ""
