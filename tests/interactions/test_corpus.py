"""Everything published goes in over REST and comes back the same, decimals digit by digit.

Synthea's 62 transaction bundles: every resource read back equals what was sent apart from id, meta and links.
"""

from __future__ import annotations

import gzip
import re
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import msgspec
import yaml

from fhir_server import json

CASES = Path(__file__).parent.parent / "cases"
_sorted = msgspec.json.Encoder(decimal_format="number", order="sorted")
_LINK = re.compile(rb'"reference":"(?:urn:uuid:|[A-Z][A-Za-z]+/)[^"]*"')


def essence(resource: dict[str, Any], *, links: bool = True) -> bytes:
    """The resource without what the server decides, keys sorted, digits kept."""
    kept = {key: value for key, value in resource.items() if key not in ("id", "meta")}
    kept["meta"] = {k: v for k, v in resource.get("meta", {}).items() if k not in ("versionId", "lastUpdated")}
    encoded = _sorted.encode(kept)
    return encoded if links else _LINK.sub(b'"reference":"-"', encoded)


def test_essence_tells_digits_apart() -> None:
    one, other = (json.decode(f'{{"resourceType":"Basic","x":{digits}}}') for digits in ("1.0", "1.00"))
    assert essence(one) != essence(other)


def test_the_published_examples_come_back_the_same(client: httpx.Client, shared: Path) -> None:
    named = yaml.safe_load((CASES / "refused_examples.yaml").read_text())
    refused = {name for name, one in named.items() if one.get("level", "structure") in ("structure", "rules")}
    differing, turned_away = [], set()
    with gzip.open(shared / "fhir-r4" / "examples.ndjson.gz") as lines:
        for line in lines:
            resource = json.decode(line)
            name = f"{resource['resourceType']}/{resource.get('id')}"
            if resource["resourceType"] == "Parameters":
                continue  # has no endpoint of its own
            if resource["resourceType"] == "AuditEvent":  # takes no updates, so its ids are the server's
                sent = client.post("/AuditEvent", content=line)
                name = sent.headers["Location"].partition("/fhir/")[2].partition("/_history")[0]
            else:
                sent = client.put(f"/{name}", content=line)
            if sent.status_code not in (200, 201):
                turned_away.add(name)
            elif essence(json.decode(client.get(f"/{name}", headers=JSON).content)) != essence(resource):
                differing.append(name)
    assert not differing
    assert turned_away == refused


JSON = {"Accept": "application/fhir+json"}


def test_synthea_comes_back_the_same(client: httpx.Client, shared: Path) -> None:
    def order(path: Path) -> tuple[bool, str]:
        return not path.name.startswith(("hospital", "practitioner")), path.name

    before = counts(client)
    sent: Counter[str] = Counter()
    for path in sorted((shared / "synthea").glob("*.json.gz"), key=order):
        content = gzip.decompress(path.read_bytes())
        entries = json.decode(content)["entry"]
        answer = client.post("/", content=content)
        assert answer.status_code == 200, answer.text[:500]
        locations = [entry["response"]["location"] for entry in answer.json()["entry"]]
        sent.update(entry["resource"]["resourceType"] for entry in entries)
        back = read_all(client, locations)
        for entry, location in zip(entries, locations, strict=True):
            resource = back[location.partition("/_history")[0].partition("/fhir/")[2]]
            assert essence(resource, links=False) == essence(entry["resource"], links=False)
            assert "urn:uuid:" not in str(resource.get("subject"))
    assert sum(sent.values()) == 18_294
    come = counts(client) - before
    del come["AuditEvent"]  # the server's own trail has grown by these very requests
    assert come == sent


def counts(client: httpx.Client) -> Counter[str]:
    """Current resources by type, as searches count them."""
    types = client.get("/metadata").json()["rest"][0]["resource"]
    entries = [{"request": {"method": "GET", "url": f"{one['type']}?_summary=count"}} for one in types]
    answer = client.post("/", json={"resourceType": "Bundle", "type": "batch", "entry": entries}).json()
    return Counter({one["type"]: entry["resource"]["total"] for one, entry in zip(types, answer["entry"], strict=True)})


def read_all(client: httpx.Client, locations: list[str]) -> dict[str, Any]:
    """The resources at these locations, read in batches."""
    keys = [location.partition("/fhir/")[2].partition("/_history")[0] for location in locations]
    found: dict[str, Any] = {}
    for start in range(0, len(keys), 500):
        entries = [{"request": {"method": "GET", "url": key}} for key in keys[start : start + 500]]
        answer = client.post("/", json={"resourceType": "Bundle", "type": "batch", "entry": entries})
        for entry in json.decode(answer.content)["entry"]:
            resource = entry["resource"]
            found[f"{resource['resourceType']}/{resource['id']}"] = resource
    return found
