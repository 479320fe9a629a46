"""Keys and sealed content over HTTP: who may add a key, what is taken as sealed, by every door."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import jsonpatch
import pytest
import yaml

from fhir_server.outcomes import Forbidden
from tests.workflows.clinic import DORA, SARA, Actor, Clinic
from tests.workflows.sealing import JOSE, Key, attachment, document, message, part, publish, sealed

Json = dict[str, Any]
CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "end_to_end.yaml").read_text())
pytestmark = pytest.mark.row("A-8")


def cases(name: str) -> Any:
    return pytest.mark.parametrize("case", CASES[name], ids=lambda case: case["name"])


def said(answer: Json) -> str:
    return " ".join(issue.get("diagnostics", "") for issue in answer.get("issue", ()))


async def with_key(clinic: Clinic, name: str) -> Key:
    """A new key of somebody, published by themselves; it is their only one."""
    key = Key()
    async with clinic.acting(name) as person:
        await person.patch(person.user, {"op": "add", "path": "/extension", "value": [key.extension()]})
    return key


# ---- keys ------------------------------------------------------------------------------------------------


@cases("keys")
async def test_who_changes_which_keys(clinic: Clinic, case: Json) -> None:
    person = case["whose"]
    mine = await with_key(clinic, person.partition("/")[2])
    async with clinic.acting(person.partition("/")[2]) as self_, clinic.acting(case["by"]) as by:
        if case["change"] == "reopen":
            await publish_changed(self_, person, "end", mine, case)
        before = await self_.get(person)
        answer = await publish_changed(by, person, case["change"], mine, case, expect=case["expect"])
        assert case.get("says", "") in said(answer)
        after = await self_.get(person)
        assert (after == before) is (case["expect"] != 200)


async def publish_changed(by: Actor, person: str, change: str, key: Key, case: Json, expect: int = 200) -> Json:
    """Change the keys of a person as the case says."""
    resource = await by.get(person)
    listed = resource["extension"]
    place = next(n for n, one in enumerate(listed) if part("kid", key.kid) in one["extension"])
    match change:
        case "add" | "twice":
            new = changed(case)
            listed += [new, new] if change == "twice" else [new]
        case "end":
            listed[place]["extension"].append(part("ended", "2026-02-01T08:00:00Z"))
        case "reopen":
            listed[place] = key.extension()
        case "redate":
            listed[place] = key.extension(created="2020-01-01T08:00:00Z")
        case "remove":
            del listed[place]
    if not listed:
        del resource["extension"]
    return await by.put(resource, expect=expect)


def changed(case: Json) -> Json:
    key = Key()
    jwk = {name: value for name, value in {**key.jwk, **case.get("jwk", {})}.items() if value is not None}
    return key.extension(**{"jwk": json.dumps(jwk), **case.get("parts", {})})


async def test_a_key_comes_by_no_other_door(clinic: Clinic) -> None:
    """An administrator by PATCH, Bundle and as a new person; the server itself."""
    extension = Key().extension()
    async with clinic.acting("ada") as ada:
        before = await ada.get(SARA)
        await publish(ada, extension, person=SARA, expect=403)
        keyed = {**before, "extension": [*before.get("extension", []), extension]}
        request = {"method": "PUT", "url": SARA}
        for kind, status in (("transaction", 403), ("batch", 200)):
            bundle = {"resourceType": "Bundle", "type": kind, "entry": [{"resource": keyed, "request": request}]}
            answer = await ada.post("", bundle, expect=status)
            assert kind == "transaction" or answer["entry"][0]["response"]["status"].startswith("403")
        await ada.post("Practitioner", {"resourceType": "Practitioner", "extension": [extension]}, expect=403)
        assert await ada.get(SARA) == before
    with pytest.raises(Forbidden):
        clinic.put(keyed)


async def test_keys_are_found_by_their_thumbprint(clinic: Clinic) -> None:
    key = await with_key(clinic, "sara")
    async with clinic.acting("dora") as dora:
        assert [one["id"] for one in await dora.found(f"Practitioner?encryption-key={key.kid}")] == ["sara"]


# ---- content ---------------------------------------------------------------------------------------------


@cases("jwe")
async def test_what_is_no_jwe_is_refused(clinic: Clinic, case: Json) -> None:
    key = await with_key(clinic, "sara")
    content = jsonpatch.apply_patch(sealed("hello", key), case["patch"])
    async with clinic.acting("dora") as dora:
        wanted = message(clinic.patient(), DORA, attachment(content))
        answer = await dora.post("Communication", wanted, expect=case.get("expect", 422))
        assert case.get("says", "") in said(answer)
        binary = {"resourceType": "Binary", **attachment(content)}
        answer = await dora.post("Binary", binary, expect=case.get("expect", 422))
        assert case.get("says", "") in said(answer)


@cases("content")
async def test_what_stands_in_clear_text_is_refused(clinic: Clinic, case: Json) -> None:
    key = await with_key(clinic, "sara")
    make = message if case["of"] == "message" else document
    right = make(clinic.patient(), DORA, attachment(sealed("hello", key)))
    resource = jsonpatch.apply_patch(right, case["patch"])
    async with clinic.acting("dora") as dora:
        answer = await dora.post(resource["resourceType"], resource, expect=case.get("expect", 422))
        assert case.get("says", "") in said(answer)


@pytest.mark.parametrize("door", ["PUT", "PATCH", "FHIRPath", "transaction", "batch", "conditional"])
async def test_by_every_door(clinic: Clinic, door: str) -> None:
    """A sealed message is there; its clear text comes in by no door, and something newly sealed by each."""
    key = await with_key(clinic, "sara")
    async with clinic.acting("dora") as dora:
        first = message(clinic.patient(), DORA, attachment(sealed("one", key)))
        first["identifier"] = [{"system": "urn:test", "value": uuid4().hex}]
        there = await dora.post("Communication", first)
        clear = {"contentString": "hello"}
        again = {"contentAttachment": attachment(sealed("two", key))}
        assert await come(dora, there, clear, door) == 422
        assert (await dora.get(f"Communication/{there['id']}"))["payload"] == there["payload"]
        assert await come(dora, there, again, door) == 200
        now = await dora.get(f"Communication/{there['id']}")
        assert key.open(now["payload"][0]["contentAttachment"]) == "two"


async def come(dora: Actor, there: Json, payload: Json, door: str) -> int:
    """The status with which a payload is written by the door."""
    path, changed = f"Communication/{there['id']}", {**there, "payload": [payload]}
    fhir = {"Content-Type": "application/fhir+json"}
    entry = {"resource": changed, "request": {"method": "PUT", "url": path}}
    match door:
        case "PUT":
            answer = await dora.http.put(path, json=changed)
        case "conditional":
            criterion = f"urn:test|{there['identifier'][0]['value']}"
            answer = await dora.http.put("Communication", params={"identifier": criterion}, json=changed)
        case "PATCH":
            patch = [{"op": "replace", "path": "/payload/0", "value": payload}]
            kind = {"Content-Type": "application/json-patch+json"}
            answer = await dora.http.request("PATCH", path, json=patch, headers=kind)
        case "FHIRPath":
            (name, value), *_ = payload.items()
            of = [{"name": "content", f"value{name.removeprefix('content')}": value}]
            parts = [
                {"name": "type", "valueCode": "replace"},
                {"name": "path", "valueString": "Communication.payload[0]"},
                {"name": "value", "part": of},
            ]
            parameters = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
            answer = await dora.http.request("PATCH", path, json=parameters, headers=fhir)
        case _:
            bundle = {"resourceType": "Bundle", "type": door, "entry": [entry]}
            answer = await dora.http.post("", json=bundle, headers=fhir)
            if door == "batch":
                return int(answer.json()["entry"][0]["response"]["status"][:3])
    return answer.status_code


async def test_keys_of_nobody_and_keys_that_have_ended(clinic: Clinic) -> None:
    key, other = await with_key(clinic, "sara"), Key()
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara:
        patient = clinic.patient()
        lost = message(patient, DORA, attachment(sealed("hello", key, other)))
        assert "of no person" in said(await dora.post("Communication", lost, expect=422))
        good = await dora.post("Communication", message(patient, DORA, attachment(sealed("hello", key))))
        await publish_changed(sara, SARA, "end", key, {})
        late = message(patient, DORA, attachment(sealed("hello again", key)))
        assert "has ended" in said(await dora.post("Communication", late, expect=409))
        # What was written before stays, and whatever is not its content may change.
        changed = {**good, "status": "stopped"}
        assert (await dora.put(changed))["payload"] == good["payload"]


async def test_a_binary_first_then_what_names_it(clinic: Clinic) -> None:
    """Also both in one transaction; the Binary is then no more to become anything else."""
    key = await with_key(clinic, "sara")
    content = attachment(sealed("hello", key))
    async with clinic.acting("dora") as dora:
        patient = clinic.patient()
        raw = await dora.ask(
            "POST", "Binary", sealed("raw", key), headers={"Content-Type": JOSE, "Accept": "*/*"}, expect=201
        )
        assert raw["contentType"] == JOSE
        binary = await dora.post("Binary", {"resourceType": "Binary", **content})
        url = f"Binary/{binary['id']}"
        named = document(patient, DORA, {"contentType": JOSE, "url": url})
        await dora.post("DocumentReference", named)
        full = "urn:uuid:5b7a53c0-0e5e-4b9b-8f0f-0d3f8d6f1c11"
        linked = document(patient, DORA, {"contentType": JOSE, "url": full})
        post = [
            {"fullUrl": full, "resource": {"resourceType": "Binary", **content}, "request": request("Binary")},
            {"resource": linked, "request": request("DocumentReference")},
        ]
        await dora.post("", {"resourceType": "Bundle", "type": "transaction", "entry": post}, expect=200)
        await dora.put({**binary, "contentType": "text/plain"}, expect=422)
        await dora.put({**binary, "data": attachment("hello")["data"]}, expect=422)
        plain = await dora.post("Binary", {"resourceType": "Binary", "contentType": "text/plain", "data": "aGVsbG8="})
        await dora.put({**plain, **content}, expect=422)  # its history would keep what it was
        clear = document(patient, DORA, {"contentType": JOSE, "url": f"Binary/{plain['id']}"})
        await dora.post("DocumentReference", clear, expect=422)


def request(type_: str) -> Json:
    return {"method": "POST", "url": type_}


async def test_the_label_comes_and_goes_with_the_content(clinic: Clinic) -> None:
    key = await with_key(clinic, "sara")
    async with clinic.acting("dora") as dora, clinic.acting("ada") as ada:
        patient = clinic.patient()
        there = await dora.post("Communication", message(patient, DORA, attachment(sealed("hello", key))))
        bare = {name: value for name, value in there.items() if name != "meta"}
        assert "The label stays" in said(await dora.put(bare, expect=422))
        renamed = {**there["payload"][0]["contentAttachment"], "contentType": "text/plain"}
        await dora.put({**bare, "payload": [{"contentAttachment": renamed}]}, expect=422)
        clear = {**bare, "payload": [{"contentString": "What I said was: hello."}]}
        await ada.put(clear, expect=403)
        await dora.put(clear)
        # And what was in clear text is not taken back by a label.
        assert "history" in said(await dora.put(there, expect=422))
        silent = await dora.put({name: value for name, value in clear.items() if name != "payload"})
        assert "payload" not in silent
        assert "history" in said(await dora.put(there, expect=422))


async def test_who_may_not_see_a_sealed_message_learns_nothing(clinic: Clinic) -> None:
    key = await with_key(clinic, "sara")
    async with clinic.acting("dora") as dora, clinic.acting("saul") as saul, clinic.acting("dan") as dan:
        patient = clinic.patient()
        there = await dora.post("Communication", message(patient, DORA, attachment(sealed("hello", key))))
        for stranger in (saul, dan):
            await stranger.get(f"Communication/{there['id']}", expect=404)
            await stranger.put({**there, "payload": [{"contentString": "hello"}]}, expect=(403, 404))
