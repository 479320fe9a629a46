"""All or nothing, for Bundles too long to write down as data."""

from __future__ import annotations

from typing import Any

import httpx


def bundle(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def put(number: int, **more: Any) -> dict[str, Any]:
    resource = {"resourceType": "Patient", "id": f"of-fifty-{number}", **more}
    return {"resource": resource, "request": {"method": "PUT", "url": f"Patient/of-fifty-{number}"}}


def test_one_bad_entry_among_fifty_leaves_nothing_behind_and_is_named(client: httpx.Client) -> None:
    entries = [put(number) for number in range(50)]
    entries[37] = put(37, birthDate="2021-02-30")
    answer = client.post("/", json=bundle(entries))
    assert answer.status_code == 422
    assert [issue["expression"] for issue in answer.json()["issue"]] == [["Bundle.entry[37].resource.birthDate"]]
    assert client.get("/Patient", params={"_summary": "count"}).json()["total"] == 0
    assert client.get("/_history").json().get("entry", []) == []
    assert client.get("/Patient/of-fifty-0").status_code == 404


def test_without_it_all_fifty_are_there(client: httpx.Client) -> None:
    answer = client.post("/", json=bundle([put(number) for number in range(50)]))
    assert answer.status_code == 200
    assert client.get("/Patient", params={"_summary": "count"}).json()["total"] == 50


def test_three_thousand_entries_in_one_transaction(client: httpx.Client) -> None:
    entries = [
        {
            "fullUrl": f"urn:uuid:00000000-0000-4000-8000-{number:012d}",
            "resource": {
                "resourceType": "Basic",
                "code": {"text": str(number)},
                "subject": {"reference": f"urn:uuid:00000000-0000-4000-8000-{(number + 1) % 3000:012d}"},
            },
            "request": {"method": "POST", "url": "Basic"},
        }
        for number in range(3000)
    ]
    answer = client.post("/", json=bundle(entries))
    assert answer.status_code == 200
    locations = [entry["response"]["location"] for entry in answer.json()["entry"]]
    assert len(set(locations)) == 3000
    first = client.get(locations[0]).json()
    assert locations[1].partition("/_history")[0].endswith(first["subject"]["reference"])
