"""Dora and Sara write to each other from browser to browser; the server, Dan and Ada never see the text.

Playwright's loop runs in this thread as long as the module: no test here is async.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Browser, Error

from tests.clients.browser import chromium
from tests.workflows.browsers import Reader, readers
from tests.workflows.clinic import DAN, DORA, SARA, SECONDS, Clinic
from tests.workflows.sealing import Key, attachment, document, message
from tests.workflows.traces import is_in, traces

Json = dict[str, Any]
pytestmark = pytest.mark.row("A-8")
PRIVATE = re.compile(rb'\\?"d\\?"\s*:')  # of a JWK, also as a string in JSON
SEAL = "return await seal(server, shelf, given.text, given.people, given.accept ? () => true : undefined)"
OPEN = "return await openText(shelf, given.attachment, server)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def patient(clinic: Clinic) -> str:
    """A patient in the care of all three."""
    reference = clinic.patient()
    team = {"resourceType": "CareTeam", "id": f"team-{uuid4().hex}", "status": "active"}
    members = [{"member": {"reference": one}} for one in (DORA, SARA, DAN)]
    clinic.put({**team, "subject": {"reference": reference}, "participant": members})
    return reference


def write(reader: Reader, resource: Json) -> str:
    """Create it from the browser; "Type/id"."""
    made = reader.does("return await fhir('POST', given.resource.resourceType, given.resource)", resource=resource)
    return f"{made['resourceType']}/{made['id']}"


def read(reader: Reader, reference: str) -> Json:
    found: Json = reader.does("return await fhir('GET', given.reference)", reference=reference)
    return found


def sent(*from_: Reader) -> bytes:
    return b"\n".join(body for reader in from_ for body in reader.sent)


def kids(sealed: Json) -> set[str]:
    return {one["header"]["kid"] for one in json.loads(b64decode(sealed["data"]))["recipients"]}


def test_two_browsers_and_a_server_that_sees_nothing(
    clinic: Clinic, browser: Browser, patient: str, mongo_uri: str
) -> None:
    secret, paper, clear, filed = (f"{word}-{uuid4().hex}" for word in ("secret", "paper", "clear", "filed"))
    with readers(clinic, browser, "dora", "sara", "dan") as (dora, sara, dan):
        keys = {reader.has_key() for reader in (dora, sara)}
        dan.has_key()

        sealed = dora.does(SEAL, text=f"We should speak of {secret}.", people=[SARA, DORA])
        assert kids(sealed) == keys
        said = write(dora, message(patient, DORA, sealed, recipient=[{"reference": SARA}]))
        binary = write(dora, {"resourceType": "Binary", **dora.does(SEAL, text=paper, people=[SARA, DORA])})
        at = {"contentType": "application/jose+json", "url": binary}
        filed_as = write(dora, document(patient, DORA, at))

        # Who it is for reads it, the writer too; in a new page, with the key that the browser has kept.
        sara.reopen()
        for reader in (sara, dora):
            content = read(reader, said)["payload"][0]["contentAttachment"]
            assert reader.does(OPEN, attachment=content) == f"We should speak of {secret}."
            file = read(reader, filed_as)["content"][0]["attachment"]
            assert reader.does(OPEN, attachment=file) == paper

        # Who may see the resource and is no recipient has ciphertext.
        for reference in (said, filed_as, binary):
            seen = read(dan, reference)
            assert not is_in(secret, json.dumps(seen).encode())
            assert not is_in(paper, json.dumps(seen).encode())
        with pytest.raises(Error, match="no key that opens it"):
            dan.does(OPEN, attachment=sealed)

        # What was sent and what is stored has it in no form; a message in clear text is found by the same search.
        bare = {**message(patient, DORA), "payload": [{"contentString": clear}]}
        write(dora, {name: value for name, value in bare.items() if name != "meta"})
        note = dora.does("return btoa(given.text)", text=f"- {filed}")
        write(dora, {"resourceType": "Binary", "contentType": "text/plain", "data": note})
        bodies = sent(dora, sara, dan)
        assert sealed["data"].encode() in bodies
        for control in (clear, filed):
            assert is_in(control, bodies)
            assert {"t_clinic_fhir.resource", "t_clinic_fhir.version", "local.oplog.rs"} <= traces(
                control, mongo_uri, clinic.settings.data_dir
            )
        for text in (secret, paper):
            assert not is_in(text, bodies)
            assert traces(text, mongo_uri, clinic.settings.data_dir) == set()


def test_the_private_key_stays_in_its_browser(clinic: Clinic, browser: Browser) -> None:
    with readers(clinic, browser, "sara") as (sara,):
        kid = sara.has_key()
        (kept,) = sara.does("return (await shelf.keys()).map(({ kid, privateKey }) => [kid, privateKey.extractable])")
        assert kept == [kid, False]
        for form in ("jwk", "pkcs8", "raw"):
            with pytest.raises(Error, match=r"InvalidAccessError|not extractable"):
                sara.does("return crypto.subtle.exportKey(given.form, (await shelf.keys())[0].privateKey)", form=form)
        assert kid.encode() in sent(sara)
        assert not PRIVATE.search(sent(sara))
    assert PRIVATE.search(json.dumps(json.dumps(Key().pair.as_dict(private=True))).encode())


def test_a_new_key_for_an_old_one(clinic: Clinic, browser: Browser, patient: str) -> None:
    with readers(clinic, browser, "dora", "sara") as (dora, sara):
        dora.has_key()
        old = sara.has_key()
        before = write(dora, message(patient, DORA, dora.does(SEAL, text="before", people=[SARA])))
        new = sara.does("return (await rotateKey(server, shelf, person)).kid")
        published = sara.does("return (await keysOf(server, person)).map(({ kid, ended }) => [kid, ended])")
        assert published == [[old, True], [new, False]]

        # Dora's browser has not seen it: it may be somebody else's under Sara's name.
        with pytest.raises(Error, match=f"New keys: {SARA} {new}"):
            dora.does(SEAL, text="after", people=[SARA])
        sealed = dora.does(SEAL, text="after", people=[SARA], accept=True)
        assert kids(sealed) == {new}
        assert kids(dora.does(SEAL, text="once more", people=[SARA])) == {new}
        after = write(dora, message(patient, DORA, sealed))
        for reference, text in ((before, "before"), (after, "after")):
            found = read(sara, reference)["payload"][0]["contentAttachment"]
            assert sara.does(OPEN, attachment=found) == text


def test_a_key_that_has_ended_does_not_come_back_by_itself(clinic: Clinic, browser: Browser) -> None:
    """A server that goes wrong says that a stolen key, which had ended, is good again."""
    with readers(clinic, browser, "dora", "sara") as (dora, sara):
        old = sara.has_key()
        dora.does(SEAL, text="x", people=[SARA])
        before = read(sara, SARA)
        sara.does("return (await rotateKey(server, shelf, person)).kid")
        dora.does(SEAL, text="x", people=[SARA], accept=True)
        dora.context.route(f"**/{SARA}", lambda route: route.fulfill(json=before))
        with pytest.raises(Error, match=f"New keys: {SARA} {old}"):
            dora.does(SEAL, text="x", people=[SARA])


def test_nobody_gives_somebody_else_a_key(clinic: Clinic, browser: Browser) -> None:
    """Ada, who may change every resource, and Dora: neither could read what is then sent to Sara."""
    with readers(clinic, browser, "ada", "dora", "sara") as (ada, dora, sara):
        mine = sara.has_key()
        for other in (ada, dora):
            with pytest.raises(Error, match=f"PATCH {SARA}: 403"):
                other.does("await publishKey(server, await makeKey(shelf, given.sara))", sara=SARA)
        assert sara.does("return (await keysOf(server, person)).map(one => one.kid)") == [mine]
        # A key under another's name would not be used either: its thumbprint is not its name.
        forged = Key().extension(kid=mine)
        headers = {"Authorization": f"Bearer {sara.token}"}
        found = httpx.get(f"{clinic.base}/{SARA}", headers=headers, timeout=SECONDS).json()
        dora.context.route(f"**/{SARA}", lambda route: route.fulfill(json={**found, "extension": [forged]}))
        with pytest.raises(Error, match="has no key"):
            dora.does(SEAL, text="x", people=[SARA])


def test_what_was_tampered_with_does_not_open(clinic: Clinic, browser: Browser) -> None:
    with readers(clinic, browser, "sara") as (sara,):
        with pytest.raises(Error, match="has no key"):
            sara.does(SEAL, text="x", people=[SARA])
        sara.has_key()
        sealed = sara.does(SEAL, text="take one tablet", people=[SARA])
        jwe = json.loads(b64decode(sealed["data"]))
        jwe["ciphertext"] = ("B" if jwe["ciphertext"][0] == "A" else "A") + jwe["ciphertext"][1:]
        with pytest.raises(Error, match="decryption operation failed"):
            sara.does(OPEN, attachment=attachment(jwe))
        assert sara.does(OPEN, attachment=sealed) == "take one tablet"
