"""Who may do what with a record, before, while and after it is shared: tests/cases/record_sharing.yaml."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml

from smart_auth.grant import Grant, new_id
from smart_auth.users import User
from tests.workflows.clinic import SECONDS, Clinic, person, role
from tests.workflows.records import CONFIDENTIAL, SUMMARY, consent, content, parameters, record
from tests.workflows.referring import bundle

Json = dict[str, Any]
FILE = Path(__file__).resolve().parents[1] / "cases" / "record_sharing.yaml"
LINES: list[Json] = yaml.safe_load(FILE.read_text())
ACTIONS = ("list", "read", "binary", "write", "relabel", "post", "share", "revoke")
ROLES = {
    "owner": "doctor",
    "colleague": "specialist",
    "doctor": "doctor",
    "nurse": "nurse",
    "guest": "specialist",
    "visitor": "doctor",
    "stranger": "specialist",
    "administrator": "administrator",
    "officer": "privacy-officer",
    "patient": "patient",
    "proxy": "proxy",
}
KINDS = {"patient": "Patient", "proxy": "RelatedPerson"}
AT_A_TIME = 16  # who waits needs no processor
Case = tuple[str, str, str]  # who, shared, record


def cases_of(line: Json) -> list[Case]:
    """The cases of a line of the table."""
    return [(line["who"], shared, kind) for shared in line["shared"] for kind in line["record"]]


class Cast:
    """People of this table's own: one for each word of `who`."""

    def __init__(self, clinic: Clinic) -> None:
        self.clinic = clinic
        self.mark = uuid4().hex[:8]
        self.users = {who: f"{KINDS.get(who, 'Practitioner')}/{who}-{self.mark}" for who in ROLES}
        self.patient = self.users["patient"]
        self.house = f"Organization/house-{self.mark}"
        self.other = f"Practitioner/other-{self.mark}"  # with whom it is shared on
        clinic.put(*self._world())
        for who, user in self.users.items():
            account = User(f"{who}-{self.mark}", fhir_user=user, roles=(ROLES[who],))
            clinic.do(lambda auth, account=account: auth.users.add(account))  # type: ignore[misc]
        self.tokens = {who: self._token(who) for who in ROLES}

    def _world(self) -> Iterator[Json]:
        yield {"resourceType": "Organization", "id": self.house.partition("/")[2], "name": "House"}
        yield from (person(one) for one in [*self.users.values(), self.other] if "RelatedPerson" not in one)
        yield {**person(self.users["proxy"]), "patient": {"reference": self.patient}}
        at_house = role(f"role-{self.mark}", self.users["colleague"])
        yield {**at_house, "organization": {"reference": self.house}}
        yield {
            "resourceType": "ServiceRequest",
            "id": f"referral-{self.mark}",
            "status": "active",
            "intent": "order",
            "subject": {"reference": self.patient},
            "performer": [{"reference": self.users["colleague"]}],
        }

    def _token(self, who: str) -> str:
        context = {"patient": self.patient.partition("/")[2]} if who in KINDS else {}
        scopes = "patient/*.cruds user/*.cruds" if context else "user/*.cruds"
        grant = Grant(new_id(), "app", f"{who}-{self.mark}", self.users[who], scopes, context=context)
        return self.clinic.do(lambda auth: auth.tokens.issue(grant, seconds=3600)).access

    def stage(self, cases: list[Case]) -> list[str]:
        """A record of the owner's for each case, shared with guest and visitor as its words say; their keys."""
        keys = [self._record(kind) for _, _, kind in cases]
        consents = [
            self._consent(key, shared) for key, (_, shared, _) in zip(keys, cases, strict=True) if shared != "none"
        ]
        # By the server that is asked then, which knows at once; together, as each change waits for other processes.
        headers = {"Authorization": f"Bearer {self.tokens['administrator']}"}
        answer = httpx.post(self.clinic.base, json=bundle(*consents), headers=headers, timeout=SECONDS)
        assert answer.status_code == 200, answer.text
        return keys

    def _record(self, kind: str) -> str:
        id_ = uuid4().hex
        key = f"DocumentReference/{id_}"
        more: Json = {"meta": {"security": [CONFIDENTIAL]}} if kind == "confidential" else {}
        if kind == "summary":
            more["type"] = {"coding": [{"system": "http://loinc.org", "code": SUMMARY}]}
        about: Json = {"author": [{"reference": self.users["owner"]}], "custodian": {"reference": self.house}}
        document = {**record(self.patient, content=[content(f"Binary/{id_}")], **about, **more), "id": id_}
        binary = {"resourceType": "Binary", "id": id_, "contentType": "text/plain", "data": "Zmlyc3Q="}
        self.clinic.put(document, {**binary, "securityContext": {"reference": key}})
        return key

    def _consent(self, key: str, shared: str) -> Json:
        level = shared if shared in ("full", "limited", "emergency") else "full"
        span = {"period": {"start": "2025-01-01", "end": "2025-12-31"}} if shared == "over" else {}
        made = consent(self.patient, key, self.users["guest"], self.users["visitor"], level=level, **span)
        return {**made, "status": "inactive" if shared == "revoked" else "active"}

    async def play(self, cases: list[Case]) -> dict[Case, dict[str, Any]]:
        """What everybody is answered to each action on such a record, some of them at a time."""
        places = asyncio.Semaphore(AT_A_TIME)

        async def one(who: str, key: str) -> dict[str, Any]:
            async with places:
                return await self.try_all(who, key)

        keys = await asyncio.to_thread(self.stage, cases)
        answers = await asyncio.gather(*(one(case[0], key) for case, key in zip(cases, keys, strict=True)))
        return dict(zip(cases, answers, strict=True))

    async def try_all(self, who: str, key: str) -> dict[str, Any]:
        """What somebody is answered to each action, in order."""
        headers = {"Authorization": f"Bearer {self.tokens[who]}", "Content-Type": "application/fhir+json"}
        async with httpx.AsyncClient(base_url=f"{self.clinic.base}/", headers=headers, timeout=SECONDS) as http:
            found = await http.get("DocumentReference", params={"patient": self.patient, "_id": key.partition("/")[2]})
            answers: dict[str, Any] = {"list": found.status_code}
            if found.status_code == 200:
                answers["list"] = "found" if found.json()["total"] else "none"
            read = await http.get(key)
            answers["read"] = read.status_code
            file = await http.get(f"Binary/{key.partition('/')[2]}", headers={"Accept": "text/plain"})
            assert (file.text == "first") is (file.status_code == 200)
            answers["binary"] = file.status_code
            whole = read.json() if read.status_code == 200 else {**record(self.patient), "id": key.partition("/")[2]}
            new = {**whole, "content": [content("https://elsewhere.example/new")]}
            written = await http.put(key, json=new)
            answers["write"] = written.status_code
            changed = {**(written.json() if written.status_code == 200 else whole), "description": "other"}
            answers["relabel"] = (await http.put(key, json=changed)).status_code
            plain = await http.post("Consent", json=consent(self.patient, key, self.other))
            answers["post"] = plain.status_code
            given = parameters((self.other,), "limited", period={"start": "2026-02-02"})
            answers["share"] = (await http.post(f"{key}/$share", json=given)).status_code
            answers["revoke"] = (await http.post(f"{key}/$revoke", json=parameters((self.other,)))).status_code
            return answers


@pytest.fixture(scope="module")
def cast(clinic: Clinic) -> Cast:
    return Cast(clinic)


@pytest.fixture(scope="module")
def answers(cast: Cast) -> dict[Case, dict[str, Any]]:
    """What everybody of the table is answered."""
    return asyncio.run(cast.play([case for line in LINES for case in cases_of(line)]))


@pytest.mark.row("A-7")
@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line['who']}-{line['shared'][0]}-{line['record'][0]}")
def test_who_may_do_what(answers: dict[Case, dict[str, Any]], line: Json) -> None:
    expected = {action: line[action] for action in ACTIONS}
    assert {case: answers[case] for case in cases_of(line) if answers[case] != expected} == {}, expected


async def test_the_table_can_fail(cast: Cast) -> None:
    """What is shared is not what is not shared."""
    played = await cast.play([("guest", shared, "plain") for shared in ("full", "none")])
    open_, closed = played.values()
    assert {action for action in ACTIONS if open_[action] != closed[action]} == set(ACTIONS) - {"post"}


def test_everybody_is_asked() -> None:
    assert {line["who"] for line in LINES} == ROLES.keys()
    assert {shared for line in LINES for shared in line["shared"]} == {
        "none",
        "full",
        "limited",
        "emergency",
        "over",
        "revoked",
    }
