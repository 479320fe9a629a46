"""The same with the client that browsers use: socket.io-client, against the whole application (points 9 and 10)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fhir_server.config import Settings
from smart_auth.grant import Grant, new_id
from tests.clients.node import Script, script
from tests.clients.office import Office, open_office
from tests.clients.world import ANN, DORA
from tests.conftest import serve

SCOPES = "patient/*.cruds user/*.cruds"


@pytest.fixture(scope="module")
def office(settings: Settings) -> Iterator[Office]:
    with open_office(settings) as office:
        office.register(id="app", name="app", redirect_uris=("http://127.0.0.1/app",), scopes=SCOPES)
        yield office


@pytest.fixture(scope="module")
def url(settings: Settings, office: Office) -> Iterator[str]:
    with serve(settings) as base:
        yield base.removesuffix("/fhir")


def token(office: Office, user: str, grant: str = "") -> str:
    id_ = user.partition("/")[2]
    context = {"patient": id_} if user.startswith("Patient/") else {}
    made = Grant(grant or new_id(), "app", id_, user, SCOPES if context else "user/*.cruds", context)
    return office.do(lambda auth: auth.tokens.issue(made, seconds=600)).access


def test_a_case_and_a_call(url: str, office: Office) -> None:
    dora, ann = token(office, DORA), token(office, ANN)
    with script("sockets.mjs") as step:
        _connected(step, url, "dora", dora)
        _connected(step, url, "ann", ann)
        assert step("ask", name="dora", event="case:join", data="ann-visit")["ok"]
        assert step("ask", name="ann", event="case:join", data="ann-visit")["users"] == [DORA, ANN]
        refused = step("ask", name="ann", event="case:join", data="no-such-case")
        assert refused["outcome"]["issue"][0]["code"] == "not-found"
        said = step("ask", name="ann", event="case:message", data={"caseId": "ann-visit", "message": "Hello"})
        (told,) = step("hears", name="dora", event="case:message")
        assert (told["id"], told["sender"], told["message"]) == (said["id"].partition("/")[2], ANN, "Hello")

        _connected(step, url, "dora-call", dora, "/consultation")
        _connected(step, url, "ann-call", ann, "/consultation")
        for name in ("dora-call", "ann-call"):
            assert step("ask", name=name, event="join-room", data={"roomId": "ann-visit"})["ok"]
            step("hears", name=name, event="room-joined")
        offer = {"roomId": "ann-visit", "targetUserId": ANN, "offer": {"type": "offer", "sdp": "v=0"}}
        step("ask", name="dora-call", event="webrtc-offer", data=offer)
        (told,) = step("hears", name="ann-call", event="webrtc-offer")
        assert told["fromUserId"] == DORA
        assert told["offer"] == offer["offer"]


def test_a_refusal_says_why(url: str) -> None:
    with script("sockets.mjs") as step:
        for transports in (["polling"], ["websocket"]):
            told = step("connect", name="stranger", url=url, token="no", transports=transports)
            message = "The access token is missing, unknown, expired or revoked."
            assert told == {"connected": False, "message": message, "data": {"code": "login"}}


def test_revocation_disconnects(url: str, office: Office) -> None:
    with script("sockets.mjs") as step:
        _connected(step, url, "dora", token(office, DORA, "g-javascript"))
        office.do(lambda auth: auth.tokens.revoke("g-javascript"))
        assert step("hears", name="dora", event="disconnected") == ["io server disconnect"]


def _connected(step: Script, url: str, name: str, token: str, namespace: str = "/") -> None:
    answer = step("connect", name=name, url=url, token=token, namespace=namespace)
    assert answer == {"connected": True}
