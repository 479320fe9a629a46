"""The views in a real Chromium, on a whole server: people of tests/workflows/clinic.py, with passwords.

    def test_two(people: People) -> None:
        dora, dan = people("dora"), people("dan")
        dora.sign_in(f"cases/{case}")
        dan.sign_in("worklist")
        dora.page.get_by_role("button", name="…").click()

Names of tests/workflows/clinic.py: dora, dan (doctors), nick (nurse), sara, saul (specialists), pete, pam (paramedics),
ada (administrator), mary (receptionist). `clinic.patient()` makes a patient of the test's own, `clinic.put(…)` stores
as the server, `calling(clinic, "dora")` is the API as somebody. `shot(page, name)` keeps a picture. Made once for the
module: the browser. Tests are plain functions: playwright's loop runs in this thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from fhir_server.config import Settings
from scripts.views import CannotBuild, build
from tests.clients.browser import chromium
from tests.clients.node import missing
from tests.conftest import serve
from tests.views.people import PASSWORD, Person, person
from tests.workflows.clinic import ROLES, Clinic, open_clinic, quick_leases

expect.set_options(timeout=60_000)  # a busy machine is slow, not wrong
People = Callable[..., Person]


@pytest.fixture(scope="session")
def built() -> None:
    """The views, built of this source."""
    try:
        build()
    except CannotBuild as problem:
        missing(f"the views cannot be built: {problem}")


@pytest.fixture(scope="session")
def clinic(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """A server with sign-in and guide, in which everybody has a password."""
    settings = Settings(
        mongodb_uri=mongo_uri,
        database="t_views",
        data_dir=tmp_path_factory.mktemp("clinic"),
        port=0,
        log_level="warning",
        open=False,
        guide=True,
        max_subscriptions=60,  # which browsers that are closed without signing out soon use up
    )
    with quick_leases(), serve(settings) as base, open_clinic(base, settings) as clinic:
        for reference in ROLES:
            name = reference.partition("/")[2]
            clinic.do(lambda auth, name=name: auth.users.set_password(name, PASSWORD))  # type: ignore[misc]
        yield clinic


@pytest.fixture(scope="module")
def browser(built: None) -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def people(clinic: Clinic, browser: Browser) -> Iterator[People]:
    """`people("dora")`: somebody with a browser of their own; more words are options of its context (viewport …)."""
    with ExitStack() as stack:

        def enter(name: str, **options: Any) -> Person:
            return stack.enter_context(person(clinic, browser, name, **options))

        yield enter
