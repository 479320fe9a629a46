"""The pages around the API, as a browser, a load balancer and Prometheus meet them."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

import fhir_server.interactions
from fhir_server.config import Settings
from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.interactions import capabilities
from fhir_server.registry import discover
from fhir_server.rest.site import site
from smart_auth.discovery import SCOPES
from tests.rest.driver import HOST, Server
from tests.rest.test_html import Tags

ROOT = f"http://{HOST}"


class Parts:
    """What the site is given."""

    failure: Exception | None = None
    held: Mapping[str, int] = {"Patient": 20, "Observation": 1843}

    async def counts(self) -> Mapping[str, int]:
        if self.failure:
            raise self.failure
        return self.held

    async def check(self) -> None:
        if self.failure:
            raise self.failure


@pytest.fixture
def parts() -> Parts:
    discover(fhir_server.interactions)
    return Parts()


@pytest.fixture
async def stranger(parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    """Someone who looks at a server with sign-in, whose endpoints are not part of the site."""
    app = site(Settings(port=8080, open=False), counts=parts.counts, check=parts.check)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ROOT) as client:
        yield client


@pytest.fixture
async def browser(parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    app = site(Settings(port=8080, open=True), counts=parts.counts, check=parts.check)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ROOT) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/docs", "/docs/Patient", "/nothing", "/docs/Nothing"])
async def test_pages_run_no_script_and_load_nothing_foreign(browser: httpx.AsyncClient, path: str) -> None:
    answer = await browser.get(path)
    assert answer.status_code == (404 if "othing" in path else 200)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert "unsafe" not in policy
    tags = Tags(answer.text)
    assert not {"script", "style", "iframe", "img"} & set(tags.found)
    loaded = re.findall(r'<link rel="[a-z ]+" href="([^"]+)"', answer.text)
    assert loaded
    for url in loaded:
        assert url.startswith(ROOT)
        assert (await browser.get(url)).status_code == 200


async def test_landing_page(browser: httpx.AsyncClient, parts: Parts) -> None:
    text = (await browser.get("/")).text
    assert "Open mode: there is no sign-in." in text
    assert "1,843" in text
    assert f"curl -X POST '{ROOT}/fhir/Patient'" in text
    parts.held = {}
    assert "No resources yet." in (await browser.get("/")).text
    parts.failure = ConnectionError("secret")
    text = (await browser.get("/")).text
    assert "The database does not answer" in text
    assert "secret" not in text


async def test_strangers_are_not_told_how_much_there_is(stranger: httpx.AsyncClient, parts: Parts) -> None:
    text = (await stranger.get("/")).text
    assert "Open mode" not in text
    assert "1,843" not in text
    assert "1,863" not in text
    assert "resources of" not in text
    assert "Bearer $TOKEN" in text
    parts.failure = ConnectionError("secret")
    assert (await stranger.get("/")).text == text


async def test_what_needs_a_token_is_no_link(stranger: httpx.AsyncClient) -> None:
    public = {f"{ROOT}/fhir/metadata", f"{ROOT}/fhir/.well-known/smart-configuration"}
    for page in ("/", "/docs", "/docs/Patient"):
        text = (await stranger.get(page)).text
        assert {link for link in Tags(text).links if link.startswith(f"{ROOT}/fhir")} <= public
        assert "<form" not in text


async def test_the_reference_says_where_tokens_come_from(
    stranger: httpx.AsyncClient, browser: httpx.AsyncClient
) -> None:
    text = (await stranger.get("/docs")).text
    assert f"<code>{ROOT}/auth/authorize</code>" in text
    assert f"<code>{ROOT}/auth/token</code>" in text
    assert "/auth/" not in (await browser.get("/docs")).text


async def test_many_types_are_folded(browser: httpx.AsyncClient, parts: Parts) -> None:
    parts.held = dict.fromkeys(sorted(RESOURCE_TYPES)[:20], 1)
    assert "8 more types" in (await browser.get("/")).text


async def test_the_links_of_the_landing_page_lead_somewhere(browser: httpx.AsyncClient) -> None:
    for link in Tags((await browser.get("/")).text).links:
        if link.startswith(ROOT) and not link.startswith(f"{ROOT}/fhir"):
            assert (await browser.get(link)).status_code == 200, link


async def test_reference_of_a_type(browser: httpx.AsyncClient) -> None:
    text = (await browser.get("/docs/AuditEvent")).text
    assert "/AuditEvent/{id}" in text
    assert ">PUT<" not in text


async def test_health(browser: httpx.AsyncClient, parts: Parts) -> None:
    for path in ("/health", "/health/ready", "/health/live"):
        answer = await browser.get(path)
        assert (answer.status_code, answer.json()["status"]) == (200, "ok")
        assert answer.headers["cache-control"] == "no-store"
    parts.failure = ConnectionError("mongodb://user:secret@host")
    answer = await browser.get("/health/ready")
    assert answer.status_code == 503
    assert "secret" not in answer.text
    assert (await browser.get("/health/live")).status_code == 200


async def test_metrics(browser: httpx.AsyncClient) -> None:
    await Server().call("GET", "/fhir/Patient/1")
    text = (await browser.get("/metrics")).text
    assert re.search(r'^fhir_request_seconds_count\{interaction="",type=""\} [1-9]', text, re.M)
    assert re.search(r'^fhir_requests_total\{interaction="",status="200"\} [1-9]', text, re.M)
    assert re.search(r"^fhir_requests_in_flight 0\.0$", text, re.M)


async def test_openapi_is_whole(browser: httpx.AsyncClient) -> None:
    described = (await browser.get("/openapi.json")).json()
    assert described["openapi"].startswith("3.1")
    assert described["servers"] == [{"url": f"{ROOT}/fhir"}]
    calls = [call for path in described["paths"].values() for call in path.values()]
    names = [call["operationId"] for call in calls]
    assert len(names) == len(set(names))
    for target in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(described))):
        found: Any = described
        for part in target.split("/"):
            found = found[part]
        assert found
    for path, methods in described["paths"].items():
        for call in methods.values():
            given = {p["$ref"].rpartition("/")[2] for p in call.get("parameters", ())}
            assert set(re.findall(r"\{(\w+)\}", path)) <= given, path
    assert "put" not in described["paths"]["/AuditEvent/{id}"]
    assert "/Parameters" not in described["paths"]
    assert "base.invalid" not in json.dumps(described)


async def test_openapi_says_what_needs_a_token(stranger: httpx.AsyncClient) -> None:
    described = (await stranger.get("/openapi.json")).json()
    schemes = described["components"]["securitySchemes"]
    people = schemes["SMART"]["flows"]["authorizationCode"]
    assert (people["authorizationUrl"], people["tokenUrl"]) == (f"{ROOT}/auth/authorize", f"{ROOT}/auth/token")
    assert schemes["SMART"]["flows"]["clientCredentials"]["tokenUrl"] == f"{ROOT}/auth/token"
    assert "PKCE" in schemes["SMART"]["description"]
    assert (schemes["Bearer"]["type"], schemes["Bearer"]["scheme"]) == ("http", "bearer")
    public = set()
    for path, methods in described["paths"].items():
        for call in methods.values():
            if not call["security"]:
                public.add(path)
                continue
            assert call["security"] == [{"SMART": []}, {"Bearer": []}], path
            assert {"401", "403"} <= call["responses"].keys(), path
    assert public == {"/metadata", "/.well-known/smart-configuration"}
    assert "base.invalid" not in json.dumps(described)


async def test_openapi_and_the_statement_agree(stranger: httpx.AsyncClient) -> None:
    described = (await stranger.get("/openapi.json")).json()
    statement = capabilities.parsed(await capabilities.text_of(Settings(open=False), f"{ROOT}/fhir"))
    (uris,) = (one["extension"] for one in statement["rest"][0]["security"]["extension"])
    told = {one["url"]: one["valueUri"] for one in uris}
    flow = described["components"]["securitySchemes"]["SMART"]["flows"]["authorizationCode"]
    assert (told["authorize"], told["token"]) == (flow["authorizationUrl"], flow["tokenUrl"])
    assert set(flow["scopes"]) <= set(SCOPES)


async def test_openapi_of_open_mode_asks_for_nothing(browser: httpx.AsyncClient) -> None:
    described = (await browser.get("/openapi.json")).json()
    assert "securitySchemes" not in described["components"]
    assert not any("security" in call for path in described["paths"].values() for call in path.values())
    assert "401" not in described["paths"]["/Patient"]["get"]["responses"]


async def test_what_pages_do_not_do(browser: httpx.AsyncClient) -> None:
    for method in ("HEAD", "POST"):
        answer = await browser.request(method, "/docs")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert answer.json() == {"detail": "Method Not Allowed"}
    answer = await browser.get("/docs/")
    assert (answer.status_code, answer.headers["location"]) == (307, f"{ROOT}/docs")


async def test_a_foreign_host_is_refused(browser: httpx.AsyncClient) -> None:
    for path in ("/", "/nothing-of-this-name"):
        assert (await browser.get(path, headers={"Host": "evil.example"})).status_code == 421
