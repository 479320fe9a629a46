"""Records: who shares one, who sees it, how that ends; by operation and by plain interactions."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from extensions.records.share import MOST_ACTORS
from tests.workflows.clinic import ANN, CARDIOLOGY, CLINIC, DAN, DORA, NICK, SARA, SAUL, Actor, Clinic
from tests.workflows.records import (
    CONFIDENTIAL,
    GUIDE,
    active,
    actors_of,
    consent,
    content,
    make,
    parameters,
    record,
    revoke,
    share,
)
from workflow.codes import SENSITIVE, coding

Json = dict[str, Any]
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
INACTIVE = {"op": "replace", "path": "/status", "value": "inactive"}
ACTIVE = {**INACTIVE, "value": "active"}


@pytest.mark.row("A-7")
async def test_a_record_is_shared_read_and_taken_back(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara, sara.connect() as ear:
        key = await make(dora, patient)
        assert (await dora.get(key))["author"] == [{"reference": DORA}]
        await sara.get(key, expect=404)
        assert await sara.found(f"DocumentReference?patient={patient}") == []

        (given,) = await share(dora, key, SARA)
        assert given["performer"] == [{"reference": DORA}]
        (told,) = await ear.hears("notification", lambda one: key in str(one["about"]))
        assert told["message"] == "A record was shared with you: limited access."
        shown = await sara.get(key)
        assert (await sara.get(f"DocumentReference?patient={patient}&_total=accurate"))["total"] == 1
        await sara.put({**shown, "description": "mine"}, expect=403)
        await share(sara, key, SAUL, expect=403)
        await revoke(sara, key, expect=403)

        (ended,) = await revoke(dora, key, SARA)
        assert (ended["id"], ended["status"]) == (given["id"], "inactive")
        await sara.get(key, expect=404)
        assert (await sara.get(f"DocumentReference?patient={patient}&_total=accurate"))["total"] == 0
        await ear.hears("notification", lambda one: "no longer" in one["message"] and key in str(one["about"]))
        assert await revoke(dora, key, SARA) == []
        await dora.patch(f"Consent/{given['id']}", ACTIVE, expect=409)


@pytest.mark.row("A-7")
async def test_sharing_again_changes_nothing_and_another_level_takes_the_place(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara, sara.connect() as ear:
        key = await make(dora, clinic.patient())
        first, second = await share(dora, key, SARA, SAUL, SARA)
        assert [actors_of(one) for one in (first, second)] == [[SARA], [SAUL]]
        assert await share(dora, key, SARA) == [first]

        (full,) = await share(dora, key, SARA, level="full")
        assert full["id"] != first["id"]
        assert (await dora.get(f"Consent/{first['id']}"))["status"] == "inactive"
        await ear.hears("notification", lambda one: "full" in one["message"] and key in str(one["about"]))
        until = {"end": "2099-12-31"}
        (ending,) = await share(dora, key, SARA, level="full", period=until)
        assert ending["provision"]["period"] == until
        assert await share(dora, key, SARA, level="full", period=until) == [ending]
        assert {one["id"] for one in await active(clinic, key)} == {second["id"], ending["id"]}
        # What took a place is no end: the next thing she hears is that it did end.
        await revoke(dora, key)
        await ear.hears("notification", lambda one: "no longer" in one["message"] and key in str(one["about"]))
        heard = [one["message"] for name, one in ear.heard if name == "notification" and key in str(one["about"])]
        assert [("no longer" in one) for one in heard] == [False, False, False, True]


@pytest.mark.row("A-7")
async def test_plain_consents_share_and_end_by_the_same_rules(clinic: Clinic) -> None:
    patient, other = clinic.patient(), clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("dan") as dan, clinic.acting("sara") as sara:
        key = await make(dora, patient)
        await dan.get(key)  # of the house, but not theirs
        await dan.post("Consent", consent(patient, key, SARA), expect=403)
        await dan.post("Consent", consent(patient, f"{clinic.base}/{key}", SARA), expect=403)
        nested = consent(patient, key, SARA)
        nested["provision"]["provision"] = [{"type": "permit", "actor": nested["provision"].pop("actor")}]
        await dora.post("Consent", nested, expect=403)
        await dan.post("Consent", consent(patient, "DocumentReference/nobodys", SARA), expect=403)
        await dora.post("Consent", consent(other, key, SARA), expect=422)
        await dora.post("Consent", consent(patient, key, DORA), expect=403)

        one = await dora.post("Consent", consent(patient, key, SARA))
        assert one["performer"] == [{"reference": DORA}]
        await sara.get(key)
        two = await dora.post("Consent", consent(patient, key, SARA, level="full"))
        assert [found["id"] for found in await active(clinic, key)] == [two["id"]]

        at, data = f"Consent/{two['id']}", two["provision"]["data"]
        moved = [{**data[0], "reference": {"reference": "DocumentReference/other"}}]
        await dora.patch(at, {"op": "replace", "path": "/provision/data", "value": moved}, expect=422)
        await dora.patch(at, {"op": "remove", "path": "/provision/data"}, expect=422)
        await dora.patch(at, {"op": "replace", "path": "/patient/reference", "value": other}, expect=422)
        await dora.patch(at, {**INACTIVE, "value": "draft"}, expect=409)
        await dora.patch(at, INACTIVE)
        await sara.get(key, expect=404)
        await dora.patch(at, ACTIVE, expect=409)
        await dora.put({**two, "status": "active"}, expect=409)
        assert await active(clinic, key) == []


async def test_a_consent_with_several_actors_ends_for_one_of_them(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara, clinic.acting("saul") as saul:
        key = await make(dora, patient)
        both = await dora.post("Consent", consent(patient, key, SARA, SAUL))
        await dora.post(f"{key}/$share", parameters((SARA,), "full"), expect=409)
        (left,) = await revoke(dora, key, SARA)
        assert (left["id"], left["status"], actors_of(left)) == (both["id"], "active", [SAUL])
        await sara.get(key, expect=404)
        await saul.get(key)
        (ended,) = await revoke(dora, key)
        assert ended["status"] == "inactive"
        await saul.get(key, expect=404)


async def test_a_consent_with_several_records_is_held_to_each_of_them(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("dan") as dan, clinic.acting("sara") as sara:
        keys = [await make(dora, patient), await make(dora, patient)]
        named = [{"meaning": "instance", "reference": {"reference": one}} for one in keys]
        of_dan = {"meaning": "instance", "reference": {"reference": await make(dan, patient)}}
        await dora.post("Consent", consent(patient, "", SARA, data=[*named, of_dan]), expect=403)
        await share(dora, keys[0], SARA, level="full")
        both = await dora.post("Consent", consent(patient, "", SARA, data=named))
        assert [one["id"] for one in await active(clinic, keys[0])] == [both["id"]]
        await share(dora, keys[0], SARA, level="full", expect=409)
        await sara.get(keys[1])
        await revoke(dora, keys[0], SARA)  # a part of it cannot stay
        await sara.get(keys[1], expect=404)


@pytest.mark.row("A-7")
async def test_the_patient_decides_on_their_own_record_and_nobody_elses(clinic: Clinic) -> None:
    async with (
        clinic.acting("dora") as dora,
        clinic.acting("ann") as ann,
        clinic.acting("ben") as ben,
        clinic.acting("sara") as sara,
    ):
        key = await make(dora, ANN)
        await share(ben, key, SARA, expect=404)
        (given,) = await share(ann, key, SARA)
        assert given["performer"] == [{"reference": ANN}]
        await sara.get(key)
        # Of what Ben says of his own record nothing opens or ends in Ann's.
        await ben.post("Consent", consent(ANN, key, SARA, level="full"), expect=403)
        await ben.post("Consent", consent("Patient/ben", key, SAUL, SARA))
        assert given["id"] in {one["id"] for one in await active(clinic, key)}
        async with clinic.acting("saul") as saul:
            await saul.get(key, expect=404)
        (staff,) = await share(dora, key, NICK)
        await revoke(ann, key, NICK)
        assert (await ann.get(f"Consent/{staff['id']}"))["status"] == "inactive"
        await ann.patch(f"Consent/{given['id']}", INACTIVE)
        await sara.get(key, expect=404)


@pytest.mark.row("A-7")
async def test_full_access_is_passed_on_within_its_limits_and_ends_with_it(clinic: Clinic) -> None:
    until = {"end": "2099-01-01"}
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara, clinic.acting("saul") as saul:
        key = await make(dora, clinic.patient())
        await share(dora, key, NICK, level="full")
        (hers,) = await share(dora, key, SARA, level="full", period=until)
        await share(sara, key, SAUL, expect=422)  # longer than her own
        await share(sara, key, SARA, level="full", expect=403)
        await share(sara, key, CARDIOLOGY, level="full", expect=403)
        await share(sara, key, CLINIC, period=until, expect=403)
        await share(sara, key, NICK, period=until, expect=403)  # less than the owner gave
        (given,) = await share(sara, key, SAUL, period=until)
        seen = {one["id"] for one in await sara.found(f"Consent?data={key}&status=active")}
        assert seen == {hers["id"], given["id"]}  # what she has, and what she gave; not what others have
        await share(saul, key, DAN, expect=403)
        await saul.get(key)

        assert actors_of((await revoke(sara, key))[0]) == [SAUL]  # hers only
        await saul.get(key, expect=404)
        await share(sara, key, SAUL, period=until)
        ended = await revoke(dora, key, SARA)
        assert sorted(actors_of(one)[0] for one in ended) == [SARA, SAUL]
        await saul.get(key, expect=404)
        assert [actors_of(one) for one in await active(clinic, key)] == [[NICK]]


@pytest.mark.row("A-7")
async def test_nobody_takes_the_content_elsewhere(clinic: Clinic) -> None:
    """With full access one writes the content, and does not carry it to a record of one's own."""
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("dan") as dan:
        key, mine = [await make(who, patient, meta={"security": [CONFIDENTIAL]}) for who in (dora, dan)]
        file = {"resourceType": "Binary", "contentType": "text/plain", "data": base64.b64encode(b"first").decode()}
        made = await dora.post("Binary", {**file, "securityContext": {"reference": key}})
        await share(dora, key, DAN, level="full")
        for moved in ({**made, "securityContext": {"reference": mine}}, {**file, "id": made["id"]}):
            await dan.put(moved, expect=403)
        await dan.put({**made, "meta": {"security": [CONFIDENTIAL]}}, expect=403)
        await dan.put({**made, "data": base64.b64encode(b"second").decode()})
        await dora.put({**made, "securityContext": {"reference": f"{clinic.base}/{key}"}})


@pytest.mark.row("A-7")
async def test_nobody_crowds_out_the_end_of_a_share(clinic: Clinic) -> None:
    """Consents about a record that give nothing count as well: they are its owner's and the patient's to write."""
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("dan") as dan:
        key = await make(dora, patient)
        empty = consent(patient, key, SAUL)
        del empty["provision"]["type"]
        nobody = consent(patient, key)
        del nobody["provision"]["actor"]
        for one in (empty, nobody):
            await dan.post("Consent", one, expect=403)
            await dora.post("Consent", one)


@pytest.mark.row("A-7")
async def test_nobody_shares_in_anothers_name(clinic: Clinic) -> None:
    """What somebody passes on ends with what they were given, whatever they say of who gave it."""
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("dan") as dan, clinic.acting("saul") as saul:
        key = await make(dora, patient, meta={"security": [CONFIDENTIAL]})
        await share(dora, key, DAN, level="full")
        for performer in ([{"reference": DORA}], [{"reference": patient}], [{"display": "Dora"}]):
            await dan.post("Consent", {**consent(patient, key, SAUL), "performer": performer}, expect=403)
        written = {**consent(patient, key, SAUL, level="full"), "performer": [{"reference": DAN}, {"display": "Ann"}]}
        made = await dan.post("Consent", written)
        await dan.put({**made, "performer": [{"reference": DORA}]}, expect=422)
        await dan.patch(f"Consent/{made['id']}", {"op": "remove", "path": "/performer/0"}, expect=422)
        kept = await dan.put({name: value for name, value in made.items() if name != "performer"})
        assert kept["performer"] == made["performer"]
        await saul.get(key)
        assert sorted(actors_of(one)[0] for one in await revoke(dora, key, DAN)) == [DAN, SAUL]
        await saul.get(key, expect=404)


@pytest.mark.row("A-7")
async def test_full_access_writes_content_and_nothing_else(clinic: Clinic) -> None:
    patient, other = clinic.patient(), clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara:
        key = await make(dora, patient, custodian={"reference": "Organization/elsewhere"})
        await share(dora, key, SARA, level="full")
        shown = await sara.get(key)
        for change in (
            {"author": [{"reference": SARA}]},
            {"custodian": {"reference": CLINIC}},
            {"subject": {"reference": other}},
            {"status": "entered-in-error"},
            {"meta": {"security": [CONFIDENTIAL]}},
        ):
            await sara.put({**shown, **change}, expect=403)
        await sara.put({name: value for name, value in shown.items() if name != "author"}, expect=403)
        new = await sara.put({**shown, "content": [content("https://elsewhere.example/new")]})
        assert new["author"] == [{"reference": DORA}]
        given = await dora.put({**new, "author": [{"reference": DORA}, {"reference": SARA}]})
        assert len(given["author"]) == 2
        await share(sara, key, SAUL, level="full")  # an owner now


async def test_who_writes_a_record_is_its_author(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("dan") as dan, clinic.acting("ann") as ann:
        own = await make(dora, patient, meta={"security": [CONFIDENTIAL]})  # open to its author alone
        await dan.get(own, expect=404)
        assert (await ann.get(await make(ann, ANN)))["author"] == [{"reference": ANN}]
        theirs = await make(dora, patient, author=[{"reference": DAN}])
        assert (await dora.get(theirs))["author"] == [{"reference": DAN}]
        await share(dora, theirs, SARA, expect=403)


# ---- content ----------------------------------------------------------------------------------------------


def with_content(patient: str, text: bytes) -> Json:
    """A record and its Binary, in one transaction."""
    document, file = "urn:uuid:6f1c0d8c-0000-4000-8000-000000000001", "urn:uuid:6f1c0d8c-0000-4000-8000-000000000002"
    binary = {"resourceType": "Binary", "contentType": "text/plain", "data": base64.b64encode(text).decode()}
    return transaction(
        {"fullUrl": document, "resource": record(patient, content=[content(file)]), "method": "POST"},
        {
            "fullUrl": file,
            "resource": {**binary, "securityContext": {"reference": document}},
            "method": "POST",
        },
    )


def transaction(*written: Json) -> Json:
    """A Bundle of these resources: {resource, method, fullUrl, url}."""
    rest = [{name: value for name, value in one.items() if name in ("fullUrl", "resource")} for one in written]
    asked = [{"method": one["method"], "url": one.get("url", one["resource"]["resourceType"])} for one in written]
    entry = [{**one, "request": request} for one, request in zip(rest, asked, strict=True)]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entry}


def places(clinic: Clinic, answer: Json) -> list[str]:
    """Where the resources of a transaction ended up, "Type/id"."""
    located = [one["response"]["location"].removeprefix(f"{clinic.base}/") for one in answer["entry"]]
    return [one.partition("/_history")[0] for one in located]


async def text_of(who: Actor, key: str) -> tuple[int, str]:
    """Status and content of a Binary."""
    answer = await who.http.get(key, headers={"Accept": "text/plain"})
    return answer.status_code, answer.text if answer.status_code == 200 else ""


@pytest.mark.row("A-7")
async def test_the_content_is_as_open_as_the_record(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara, clinic.acting("saul") as saul:
        answer = await dora.post("", with_content(patient, b"first"), expect=200)
        key, file = places(clinic, answer)
        shown = await dora.get(key)
        assert shown["content"][0]["attachment"]["url"] == file
        assert await text_of(sara, file) == (404, "")
        await share(dora, key, SARA, level="full")
        await share(dora, key, SAUL)
        assert await text_of(sara, file) == await text_of(saul, file) == (200, "first")

        second = {"resourceType": "Binary", "contentType": "text/plain", "data": base64.b64encode(b"second").decode()}
        second["securityContext"] = {"reference": key}  # type: ignore[assignment]
        place = "urn:uuid:6f1c0d8c-0000-4000-8000-000000000003"
        parts = (
            {"fullUrl": place, "resource": second, "method": "POST"},
            {"resource": {**shown, "content": [content(place)]}, "method": "PUT", "url": key},
        )
        await saul.post("", transaction(*parts), expect=403)
        await sara.post("", transaction(*parts), expect=200)
        new = (await dora.get(key))["content"][0]["attachment"]["url"]
        assert await text_of(dora, new) == await text_of(saul, new) == (200, "second")
        await revoke(dora, key, SAUL)
        assert await text_of(saul, new) == await text_of(saul, file) == (404, "")
        assert await text_of(sara, new) == (200, "second")


@pytest.mark.row("A-7")
async def test_a_sensitive_record_is_read_as_it_was_written_by_who_may(clinic: Clinic) -> None:
    patient, labelled = clinic.patient(), {"security": [coding(*SENSITIVE)]}
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara, clinic.acting("dan") as dan:
        bundle = with_content(patient, b"first")
        bundle["entry"][0]["resource"]["meta"] = labelled  # and so the Binary, by its context
        key, file = places(clinic, await dora.post("", bundle, expect=200))
        await dan.get(key, expect=404)
        await share(dora, key, SARA)
        await sara.get(key, expect=404)  # limited leaves out what is sensitive
        await share(dora, key, SARA, level="full")
        assert (await sara.get(key))["meta"]["security"] == labelled["security"]
        assert await text_of(sara, file) == (200, "first")
        await revoke(dora, key)
        assert await text_of(sara, file) == (404, "")


async def test_a_record_is_made_and_shared_in_one_transaction(clinic: Clinic) -> None:
    patient, place = clinic.patient(), "urn:uuid:6f1c0d8c-0000-4000-8000-000000000004"
    made = {"fullUrl": place, "resource": record(patient), "method": "POST"}
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara:
        shared = {"resource": consent(patient, place, SARA), "method": "POST"}
        answer = await dora.post("", transaction(made, shared), expect=200)
        await sara.get(places(clinic, answer)[0])
        again = {"resource": consent(patient, place, SARA, level="full"), "method": "POST"}
        await dora.post("", transaction(made, shared, again), expect=422)


# ---- whom it is shared with ------------------------------------------------------------------------------


@pytest.mark.row("A-7")
@pytest.mark.parametrize("actor", [CARDIOLOGY, CLINIC])
async def test_a_share_with_a_role_or_a_house_is_its_peoples(clinic: Clinic, actor: str) -> None:
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara, sara.connect() as ear:
        key = await make(dora, clinic.patient())
        await share(dora, key, actor)
        await ear.hears("notification", lambda one: key in str(one["about"]))
        await sara.get(key)
        await revoke(dora, key, actor)
        await sara.get(key, expect=404)


async def test_a_specialist_shares_what_they_wrote_and_sees_with_whom(clinic: Clinic) -> None:
    patient = clinic.patient()
    clinic.put({**record(patient, author=[{"reference": SARA}]), "id": patient.partition("/")[2]})
    key = f"DocumentReference/{patient.partition('/')[2]}"
    async with clinic.acting("sara") as sara, clinic.acting("saul") as saul:
        await sara.post("Consent", consent(patient, key, SAUL), expect=403)  # the role writes none
        (given,) = await share(sara, key, SAUL, level="full")
        assert await sara.found(f"Consent?data={key}") == [given]
        assert await saul.found(f"Consent?data={key}") == [given]  # by whom it is, how much and until when
        await saul.get(key)
        await revoke(sara, key)
        await saul.get(key, expect=404)


async def test_what_share_writes_is_of_the_guides_profile(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora:
        (given,) = await share(dora, await make(dora, clinic.patient()), SARA, period={"end": "2099-01-01"})
        profile = f"{GUIDE}/StructureDefinition/sharing-consent"
        outcome = await dora.post(f"Consent/$validate?profile={profile}", given, expect=200)
        assert [one for one in outcome["issue"] if one["severity"] in ("error", "fatal")] == []
        assert given["meta"]["profile"] == [profile]


# ---- live -------------------------------------------------------------------------------------------------


def following(patient: str) -> Json:
    """A Subscription on the socket to the records of a patient."""
    channel = {
        "type": "websocket",
        "_type": {
            "extension": [
                {
                    "url": f"{BACKPORT}backport-channel-type",
                    "valueCoding": {"system": f"{GUIDE}/CodeSystem/subscription-channel", "code": "socketio"},
                }
            ]
        },
        "payload": "application/fhir+json",
        "_payload": {"extension": [{"url": f"{BACKPORT}backport-payload-content", "valueCode": "id-only"}]},
    }
    filter = {"url": f"{BACKPORT}backport-filter-criteria", "valueString": f"DocumentReference?patient={patient}"}
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "records",
        "criteria": f"{GUIDE}/SubscriptionTopic/record",
        "_criteria": {"extension": [filter]},
        "channel": channel,
    }


@pytest.mark.row("A-7")
async def test_whose_share_has_ended_hears_of_no_later_version(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara, sara.connect() as ear:
        ended, kept = await make(dora, patient), await make(dora, patient)
        await share(dora, ended, SARA)
        await share(dora, kept, SARA)
        made = await sara.post("Subscription", following(patient))
        await sara.until(f"Subscription?_id={made['id']}&status=active")
        assert (await ear.ask("subscription:join", {"subscription": made["id"]}))["ok"]

        await dora.patch(ended, {"op": "add", "path": "/description", "value": "before"})
        await ear.hears("subscription:event", lambda one: ended in str(one))
        await revoke(dora, ended, SARA)
        await dora.patch(ended, {"op": "add", "path": "/description", "value": "after"})
        await dora.patch(kept, {"op": "add", "path": "/description", "value": "after"})
        await ear.hears("subscription:event", lambda one: kept in str(one))  # which comes behind the other
        assert len([1 for name, one in ear.heard if name == "subscription:event" and ended in str(one)]) == 1
        await sara.get(ended, expect=404)


# ---- at once ----------------------------------------------------------------------------------------------


@pytest.mark.row("A-7")
async def test_shares_at_the_same_time_leave_one(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("dora") as again:
        key = await make(dora, patient)
        levels = ("full", "limited", "emergency") * 2
        await asyncio.gather(
            *(share(who, key, SARA, level=one) for who in (dora, again) for one in levels),
            *(dora.post("Consent", consent(patient, key, SARA, level=one)) for one in levels),
        )
        assert len(await active(clinic, key)) == 1


@pytest.mark.row("A-7")
async def test_the_same_share_at_the_same_time_is_one_consent(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora, clinic.acting("dora") as again:
        key = await make(dora, clinic.patient())
        given = await asyncio.gather(*(share(who, key, SARA, level="full") for who in (dora, again) * 4))
        assert len({one[0]["id"] for one in given}) == 1
        async with clinic.acting("ada") as ada:
            assert len(await ada.found(f"Consent?data={key}")) == 1


@pytest.mark.row("A-7")
async def test_forty_shares_at_the_same_time_are_all_answered(clinic: Clinic) -> None:
    """Each is another than the one before it, so each has to be written: who is overtaken tries again in turn."""
    async with clinic.acting("dora") as dora:
        key = await make(dora, clinic.patient())
        await asyncio.gather(*(share(dora, key, SARA, level=level) for level in ("full", "limited") * 20))
        assert len(await active(clinic, key)) == 1


@pytest.mark.row("A-7")
async def test_a_share_and_its_end_at_the_same_time(clinic: Clinic) -> None:
    """Either came last; what there is then is what everybody sees."""
    async with clinic.acting("dora") as dora, clinic.acting("dora") as again, clinic.acting("sara") as sara:
        key = await make(dora, clinic.patient())
        await share(dora, key, SARA)
        for level in ("full", "limited") * 3:
            await asyncio.gather(share(dora, key, SARA, level=level), revoke(again, key, SARA))
            left = await active(clinic, key)
            assert len(left) <= 1
            await sara.get(key, expect=200 if left else 404)


async def test_who_loses_full_access_meanwhile_passes_nothing_on(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora, clinic.acting("sara") as sara:
        for _ in range(4):
            key = await make(dora, clinic.patient())
            await share(dora, key, SARA, level="full")
            passed_on = sara.http.post(f"{key}/$share", json=parameters((SAUL,), "limited"))
            answer, _ = await asyncio.gather(passed_on, revoke(dora, key, SARA))
            assert answer.status_code in (200, 403, 404)
            assert await active(clinic, key) == []


# ---- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (parameters((), "limited"), 400),
        (parameters((SARA,)), 400),
        (parameters((SARA,), "owner"), 400),
        (parameters((SARA, "Practitioner/nobody"), "limited"), 422),
        (parameters((ANN,), "limited"), 422),
        (parameters(("https://elsewhere.example/Practitioner/1",), "limited"), 422),
        (parameters((SARA,), "limited", period={"end": "2020-01-01"}), 422),
        (parameters((SARA,), "limited", period={"start": "2099-01-01", "end": "2098-01-01"}), 400),
        (parameters((SARA,), "limited", purpose={"code": "HRESCH"}), 422),
        (parameters((SARA,), "limited", purpose={"system": "urn:other", "code": "TREAT"}), 422),
        (parameters((DORA,), "limited"), 403),
        (parameters((SARA,) * (MOST_ACTORS + 1), "limited"), 422),
    ],
)
async def test_a_share_that_is_refused_leaves_nothing(clinic: Clinic, given: Json, status: int) -> None:
    async with clinic.acting("dora") as dora:
        key = await make(dora, clinic.patient())
        await dora.post(f"{key}/$share", given, expect=status)
        assert await active(clinic, key) == []


async def test_a_record_in_error_is_not_shared(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora:
        key = await make(dora, clinic.patient(), status="entered-in-error")
        await share(dora, key, SARA, expect=409)
        await share(dora, "DocumentReference/nobodys", SARA, expect=404)


async def test_an_app_that_may_not_write_consents_shares_nothing(clinic: Clinic) -> None:
    scopes = "user/DocumentReference.cruds user/Practitioner.rs user/Consent.rs"
    async with clinic.acting("dora", scopes) as app, clinic.acting("dora") as dora:
        key = await make(app, clinic.patient())
        await share(app, key, SARA, expect=403)
        await share(dora, key, SARA)
        await revoke(app, key, expect=403)
