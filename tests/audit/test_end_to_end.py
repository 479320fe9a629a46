"""Over HTTP: what was asked is in the trail once the answer is there, and the trail can be read and proven."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_server.config import Settings

Json = dict[str, Any]


@pytest.fixture(scope="module")
def settings(mongo_uri: str, database: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A server whose answers wait until the database has their entries, so that the next search finds them."""
    data_dir: Path = tmp_path_factory.mktemp("data")
    return Settings(
        mongodb_uri=mongo_uri, database=database, data_dir=data_dir, port=0, log_level="warning", audit_wait=True
    )


def entity(event: Json, code: str) -> str | None:
    """What the entity of this role refers to."""
    found = [one["what"]["reference"] for one in event["entity"] if one.get("role", {}).get("code") == code]
    return found[0] if found else None


def trail(client: httpx.Client, query: str = "") -> list[Json]:
    bundle = client.get(f"/AuditEvent?{query}").raise_for_status().json()
    return [one["resource"] for one in bundle.get("entry", [])]


def test_a_visit_is_in_the_trail(client: httpx.Client) -> None:
    patient = {"resourceType": "Patient", "id": "visit", "name": [{"family": "Visit"}]}
    basic = {"resourceType": "Basic", "code": {"text": "x"}, "subject": {"reference": "Patient/visit"}}
    entry = {"resource": basic, "request": {"method": "POST", "url": "Basic"}}
    client.put("/Patient/visit", json=patient).raise_for_status()
    client.get("/Patient/visit", headers={"X-Request-Id": "the-read"}).raise_for_status()
    client.get("/Basic?patient=visit").raise_for_status()
    client.post("/", json={"resourceType": "Bundle", "type": "transaction", "entry": [entry]}).raise_for_status()
    assert client.get("/Patient/visit/_history/9").status_code == 404
    client.delete("/Patient/visit").raise_for_status()
    events = trail(client, "patient=visit&_count=50")[::-1]
    seen = [(one["subtype"][0]["code"], one["action"], one["outcome"]) for one in events]
    for wanted in [("update", "U", "0"), ("read", "R", "0"), ("create", "C", "0"), ("delete", "D", "0")]:
        assert wanted in seen, seen
    assert ("vread", "R", "4") in seen
    written, read = events[0], next(one for one in events if one["subtype"][0]["code"] == "read")
    assert entity(written, "4") == "Patient/visit/_history/1"
    assert entity(written, "1") == "Patient/visit"
    assert read["entity"][-1]["what"]["identifier"]["value"] == "the-read"
    assert read["agent"][0]["network"]["address"] == "127.0.0.1"
    assert client.get(f"/AuditEvent/{read['id']}").json() == read


def test_when_it_is_answered_it_is_recorded(client: httpx.Client) -> None:
    def once(number: int) -> bool:
        client.get(f"/Patient/nobody-{number}")
        return len(trail(client, f"entity=Patient/nobody-{number}&outcome=4")) == 1

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(once, range(40)))


def test_what_is_malformed_is_recorded_too(client: httpx.Client) -> None:
    answer = client.post("/Patient", content=b"{", headers={"X-Request-Id": "malformed"})
    assert answer.status_code == 400
    (event,) = [
        one for one in trail(client, "outcome=4") if one["entity"][-1]["what"]["identifier"]["value"] == "malformed"
    ]
    assert event["agent"][0]["who"]["display"] == "anyone"


def test_the_trail_is_proven_and_cannot_be_changed(client: httpx.Client) -> None:
    report = {one["name"]: one for one in client.get("/$verify-audit").raise_for_status().json()["parameter"]}
    assert report["ok"]["valueBoolean"] is True
    assert report["entries"]["valueInteger"] > 0
    event = trail(client, "_count=1")[0]
    assert client.put(f"/AuditEvent/{event['id']}", json=event).status_code == 405
    assert client.delete(f"/AuditEvent/{event['id']}").status_code == 405
