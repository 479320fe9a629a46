"""The HTTP rules on a real server: uvicorn, sockets, the whole application."""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fhir.resources.R4B.capabilitystatement import CapabilityStatement

from fhir_server.rest.pages import DEMOS
from fhir_server.search.registry import SearchParameter, parameters
from tests.rest.test_cases import cases, content

REFUSED_BY_UVICORN = b"HTTP/1.1 400 "


@pytest.mark.parametrize("case", cases("rest_bad_input.yaml"), ids=lambda case: case["name"])
def test_bad_input(client: httpx.Client, server: str, case: dict[str, Any]) -> None:
    method, _, url = case["request"].partition(" ")
    if " " in url or case.get("headers", {}).get("Content-Length"):
        pytest.skip("not a request that an HTTP client can send")
    if "parameters" in case:
        url += "?" + "&".join("a=b" for _ in range(case["parameters"]))
    body = content(case)
    headers = {"Content-Type": "application/fhir+json", **case.get("headers", {})}
    if method == "GET" or ("_search" in url and "Content-Type" not in case.get("headers", {})):
        headers.pop("Content-Type", None)
    with httpx.Client(timeout=60) as plain:
        root = server.removesuffix("/fhir")
        answer = plain.request(
            method, root + url, headers=headers, content=body if isinstance(body, bytes) else iter(body)
        )
    assert answer.status_code == case["status"]
    assert answer.headers["content-type"].startswith("application/fhir+json")
    assert answer.json()["issue"][0]["code"] == case["issue"]


def test_capability_statement(client: httpx.Client, server: str) -> None:
    answer = client.get("/metadata")
    CapabilityStatement.model_validate_json(answer.content)
    found = answer.json()
    assert found["implementation"]["url"] == server
    rest = found["rest"][0]
    assert {i["code"] for i in rest["interaction"]} == {"transaction", "batch", "history-system", "search-system"}
    patient = next(r for r in rest["resource"] if r["type"] == "Patient")
    assert {i["code"] for i in patient["interaction"]} == {
        "read",
        "vread",
        "update",
        "patch",
        "delete",
        "history-instance",
        "history-type",
        "create",
        "search-type",
    }


def sample(parameter: SearchParameter) -> str:
    """A value of the form that the parameter takes."""
    samples = {"date": "2024", "number": "1", "quantity": "1", "uri": "urn:x", "special": "1|2|3|km"}
    if parameter.type == "reference":
        return f"{parameter.targets[0]}/1" if parameter.targets else "x"
    if parameter.type == "composite":
        by_url = {one.url: one for one in parameters(parameter.resource_type).values()}
        parts = [by_url[url] for url, _ in parameter.components]
        # R4 has the two parts of this one exchanged.
        return "$".join(sample(part) for part in (parts[::-1] if parameter.code == "relationship" else parts))
    return samples.get(parameter.type, "x")


def test_every_declared_search_parameter_is_answered(client: httpx.Client) -> None:
    rest = client.get("/metadata").json()["rest"][0]
    for resource in rest["resource"]:
        for parameter in resource.get("searchParam", ()):
            value = sample(parameters(resource["type"])[parameter["name"]])
            answer = client.get(f"/{resource['type']}", params={parameter["name"]: value, "_count": "0"})
            assert answer.status_code == 200, (resource["type"], parameter["name"], answer.text)


@pytest.mark.parametrize("query", [query for _, query in DEMOS])
def test_the_queries_of_the_landing_page_are_answered(client: httpx.Client, query: str) -> None:
    assert client.get(f"/{query}").json()["resourceType"] == "Bundle"


def test_pages(server: str) -> None:
    root = server.removesuffix("/fhir")
    with httpx.Client(base_url=root, timeout=60) as browser:
        for path in ("/", "/docs", "/docs/Patient", "/openapi.json", "/health/ready", "/metrics", "/static/fhir.css"):
            assert browser.get(path).status_code == 200, path


@pytest.mark.parametrize(
    "sent",
    [
        b"FOO /fhir/Patient/1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /fhir/Patient/1 HTTP/1.1\r\nBad Header: x\r\n\r\n",
        b"POST /fhir/Patient HTTP/1.1\r\nHost: localhost\r\nContent-Length: ten\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=["unknown method", "a header that is none", "a length that is none", "TLS"],
)
def test_what_is_no_http_is_refused_by_the_http_server(server: str, sent: bytes) -> None:
    assert exchange(server, sent).startswith(REFUSED_BY_UVICORN)


def test_a_refused_body_leaves_the_connection_usable(server: str) -> None:
    with httpx.Client(base_url=server, timeout=60) as client:
        for _ in range(2):
            refused = client.post("/Patient", content=b"x" * (17 * 1024 * 1024))
            assert refused.status_code == 413
            assert client.get("/metadata").status_code == 200


def test_a_request_id_comes_back(client: httpx.Client) -> None:
    answer = client.get("/Patient/none", headers={"X-Request-Id": "my-1"})
    assert (answer.status_code, answer.headers["X-Request-Id"]) == (404, "my-1")


def test_a_browser_gets_a_page_and_a_program_json(client: httpx.Client) -> None:
    client.put("/Patient/page", content=json.dumps({"resourceType": "Patient", "id": "page"}))
    assert client.get("/Patient/page", headers={"Accept": "text/html"}).text.startswith("<!doctype html>")
    assert client.get("/Patient/page").json()["id"] == "page"


def exchange(server: str, sent: bytes) -> bytes:
    """What the server answers to these bytes before it closes the connection or says enough."""
    address = urlsplit(server)
    assert address.hostname
    assert address.port
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(sent)
        return connection.recv(4096)
