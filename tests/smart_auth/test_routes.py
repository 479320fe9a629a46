"""A server with sign-in answers at all of its endpoints; one in open mode at none."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from fhir_server.config import Settings
from tests.conftest import serve

FOUND = [
    ("GET", "/.well-known/openid-configuration", 200),
    ("GET", "/fhir/.well-known/smart-configuration", 200),
    ("GET", "/auth/jwks", 200),
    ("GET", "/auth/login", 200),
    ("GET", "/auth/authorize", 400),
    ("POST", "/auth/token", 415),
    ("POST", "/auth/introspect", 415),
    ("POST", "/auth/revoke", 415),
    ("GET", "/auth/userinfo", 401),
]


@pytest.mark.parametrize("is_open", [False, True])
def test_the_endpoints(mongo_uri: str, database: str, tmp_path: Path, is_open: bool) -> None:
    settings = Settings(
        mongodb_uri=mongo_uri,
        database=f"{database}_{is_open}",
        data_dir=tmp_path,
        port=0,
        log_level="error",
        open=is_open,
    )
    with serve(settings) as base, httpx.Client(base_url=base.removesuffix("/fhir"), timeout=60) as client:
        answers = {path: client.request(method, path).status_code for method, path, _ in FOUND}
    expected = {path: 404 if is_open else status for _, path, status in FOUND}
    assert answers == expected
