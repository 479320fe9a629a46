"""schemathesis on a server with sign-in: nobody without a token learns anything, and a patient nothing of another.

OPENAPI_EXAMPLES says how many requests of each kind are generated (250 unless told).
"""

from __future__ import annotations

import asyncio
import copy
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from fhir_server.config import Settings
from fhir_server.context import FhirRequest
from fhir_server.main import running
from smart_auth.clients import Client
from smart_auth.grant import Grant, new_id
from smart_auth.service import SmartAuth
from tests.conftest import serve
from tests.rest.test_bad_input import Answer
from tests.rest.test_fuzz import proper

Json = dict[str, Any]
Operation = schemathesis.schemas.APIOperation[Any, Any, Any, Any]
TYPES = ("Patient", "Observation", "Binary", "AuditEvent", "Consent", "Group")  # whose access has rules of its own
PUBLIC = ("/metadata", "/.well-known/smart-configuration")
MARKER = "Zzyzx-4711"  # in everything that belongs to Ben, and in no request
IDS = [f"{prefix}{name}" for prefix in ("", "o-", "c-", "g-") for name in ("ann", "ben")]
# What makes a made-up request ask for something that is there.
TELLING = {
    "id": IDS,
    "version": ["1", "2"],
    "_id": IDS,
    "patient": ["Patient/ben", "ben", "Patient/ann"],
    "subject": ["Patient/ben", "Patient/ann"],
    "member": ["Patient/ben", "Patient/ann"],
    "_include": ["*", "Observation:subject", "Group:member", "Consent:patient"],
    "_revinclude": ["*", "Observation:subject", "Group:member"],
    "_has": ["Observation:patient:status=final"],
}
EXAMPLES = int(os.environ.get("OPENAPI_EXAMPLES", "250"))
FHIR = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}
bounded = settings(
    max_examples=EXAMPLES, deadline=None, derandomize="CI" in os.environ, suppress_health_check=list(HealthCheck)
)


class Clinic(NamedTuple):
    """A server with two patients, and its tokens."""

    base: str
    document: Json  # its OpenAPI document
    ann: str  # a token of this patient
    system: str  # one that opens everything

    def bearer(self, token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def clinic(settings: Settings) -> Iterator[Clinic]:
    closed = settings.model_copy(update={"open": False})
    ann, system = asyncio.run(_fill(closed))
    with serve(closed) as base:
        document = httpx.get(base.removesuffix("/fhir") + "/openapi.json").json()
        yield Clinic(base, document | {"servers": [{"url": base}]}, ann, system)


async def _fill(settings: Settings) -> tuple[str, str]:
    """Both patients' resources, past every rule; the two tokens."""
    async with running(settings) as server:
        ctx = server.context()
        for one in _resources():
            await ctx.dispatch(ctx, FhirRequest("PUT", f"{one['resourceType']}/{one['id']}", body=one))
        auth = SmartAuth(settings, server.database, server.repository)
        await auth.prepare()
        await auth.clients.add(Client("app", "App", redirect_uris=("https://app.example/back",)))
        ann = Grant(new_id(), "app", scopes="patient/*.cruds", context={"patient": "ann"})
        system = Grant(new_id(), "app", scopes="system/*.cruds")
        issued = [await auth.tokens.issue(grant, seconds=3600) for grant in (ann, system)]
        return issued[0].access, issued[1].access


def _resources() -> Iterator[Json]:
    for name, secret in (("ann", "Ann"), ("ben", MARKER)):
        subject = {"reference": f"Patient/{name}"}
        yield {"resourceType": "Patient", "id": name, "name": [{"family": secret}]}
        code = {"text": f"{secret} pulse"}
        yield {"resourceType": "Observation", "id": f"o-{name}", "status": "final", "code": code, "subject": subject}
        yield {
            "resourceType": "Consent",
            "id": f"c-{name}",
            "status": "inactive",
            "scope": {"text": secret},
            "category": [{"text": secret}],
            "patient": subject,
            "policyRule": {"text": secret},
        }
        member = [{"entity": subject}]
        group = {"type": "person", "actual": True, "name": secret, "member": member}
        yield {"resourceType": "Group", "id": f"g-{name}", **group}


def operations(clinic: Clinic) -> list[Operation]:
    """The operations of the whole server and of some types."""
    document = copy.deepcopy(clinic.document)
    paths = document["paths"]
    document["paths"] = {
        path: item for path, item in paths.items() if not path[1:2].isupper() or path.split("/")[1] in TYPES
    }
    for parameter in document["components"]["parameters"].values():
        if parameter["name"] in TELLING:
            parameter["schema"] = {"type": "string", "enum": TELLING[parameter["name"]]}
    schema = schemathesis.openapi.from_dict(document)
    return [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]


def asked(clinic: Clinic, data: st.DataObject, found: list[Operation], mode: GenerationMode, token: str) -> Answer:
    """The answer to a request that was made up from the document."""
    operation = data.draw(st.sampled_from(found))
    case = data.draw(operation.as_strategy(generation_mode=mode))
    given = clinic.bearer(token) if token else {}
    answer = case.call(base_url=clinic.base, headers={"Accept": "application/fhir+json", **given}, timeout=60)
    content_type = ", ".join(answer.headers.get("content-type", ()))
    return Answer(answer.status_code, content_type, answer.content)


def keeps_quiet(answer: Answer) -> None:
    """Nothing of Ben is in the answer."""
    assert MARKER.encode() not in answer.body
    assert b'"resourceType":"Patient","id":"ben"' not in answer.body


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_nothing_is_told_without_a_token(clinic: Clinic, mode: GenerationMode) -> None:
    found = [one for one in operations(clinic) if one.path not in PUBLIC]
    assert len(found) > 40

    @bounded
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        answer = asked(clinic, data, found, mode, "")
        assert answer.status in (400, 401)  # 400: a URL or a header that cannot be read
        proper(answer)
        keeps_quiet(answer)

    check()


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_a_patient_learns_nothing_of_another(clinic: Clinic, mode: GenerationMode) -> None:
    found = [one for one in operations(clinic) if one.path != PUBLIC[1]]

    @bounded
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        answer = asked(clinic, data, found, mode, clinic.ann)
        proper(answer)
        keeps_quiet(answer)

    check()


def test_every_operation_of_the_document_wants_a_token(clinic: Clinic) -> None:
    """Each path with each method, for an id that is there."""
    with httpx.Client(base_url=clinic.base, headers=FHIR) as stranger:
        for path, methods in clinic.document["paths"].items():
            for method, call in methods.items():
                url = path.replace("{id}", "ben").replace("{version}", "1")
                answer = stranger.request(method, url, content=b"{" if "requestBody" in call else None)
                wanted = 200 if path in PUBLIC else 401
                assert answer.status_code == wanted, f"{method} {path}: {answer.status_code}"
                assert (call["security"] == []) is (path in PUBLIC)
                assert "www-authenticate" in answer.headers or path in PUBLIC


@pytest.mark.parametrize("authorization", ["Bearer x", "Bearer", "Bearer =", "Basic YTpi", "x", "Bearer a b"])
def test_what_is_no_token_opens_nothing(clinic: Clinic, authorization: str) -> None:
    """The statement is told to everybody, whatever comes with the request."""
    for path, status in (("Patient/ann", 401), ("Patient", 401), ("_history", 401), ("metadata", 200)):
        answer = httpx.get(f"{clinic.base}/{path}", headers={"Authorization": authorization})
        assert answer.status_code == status, path


def test_a_strangers_content_is_not_read(clinic: Clinic) -> None:
    """Not even to find out that it is too much, or no FHIR."""
    for content in (b"x" * 17_000_000, b"\xff", b""):
        answer = httpx.post(f"{clinic.base}/Patient", content=content, headers=FHIR)
        assert answer.status_code == 401


def test_an_unknown_type_or_operation_is_not_discussed_with_strangers(clinic: Clinic) -> None:
    for path in ("Nothing", "Nothing/1", "Patient/$nothing", "$nothing", "Patient/1/2/3", "Patient/ann?_summary=odd"):
        assert httpx.get(f"{clinic.base}/{path}").status_code == 401, path


def test_preflights_need_no_token(clinic: Clinic) -> None:
    answer = httpx.options(f"{clinic.base}/Patient")
    assert answer.status_code == 204
    assert answer.content == b""


def test_the_check_can_fail(clinic: Clinic) -> None:
    """With a token that opens everything, Ben is found: by reading, by searching and in the history."""
    for path in ("Patient/ben", "Patient", "Observation/o-ben", "_history", "Group"):
        answer = httpx.get(f"{clinic.base}/{path}", headers=clinic.bearer(clinic.system))
        with pytest.raises(AssertionError):
            keeps_quiet(Answer(answer.status_code, "", answer.content))
