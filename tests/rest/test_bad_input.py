"""Bad input on the whole server: the cases of cases/bad_input.yaml, and fuzzing. No 500, no change, no word in the log.

cases/rest_bad_input.yaml has what is refused before it reaches an interaction.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cli.serving import serving
from tests.rest.test_cases import cases

CASES = cases("bad_input.yaml")
FHIR_JSON = {"Content-Type": "application/fhir+json"}
MARKER = "Zzyzx-4711"  # stands for what only the patient may know
MEGABYTE = 1024 * 1024


class Caller:
    """Sends a request as it is: no path is tidied up, no header added but Host and the body's length."""

    def __init__(self, base: str) -> None:
        parts = urlsplit(base)
        assert parts.hostname
        self._prefix = parts.path
        self._connection = HTTPConnection(parts.hostname, parts.port, timeout=60)

    def __call__(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        if isinstance(body, str):
            body = body.encode()
        if headers is None:
            headers = FHIR_JSON if body is not None else {}
        self._connection.request(method, self._prefix + path, body=body, headers=headers)
        response = self._connection.getresponse()
        return Answer(response.status, response.headers.get("Content-Type", ""), response.read())

    def history(self) -> Any:
        """Every version of everything."""
        answer = self("GET", "/_history?_count=1000")
        assert answer.status == 200
        return answer.json()["entry"]

    def close(self) -> None:
        self._connection.close()


class Answer:
    """What came back; `issue` is the first of its OperationOutcome."""

    def __init__(self, status: int, content_type: str, body: bytes) -> None:
        self.status, self.content_type, self.body = status, content_type, body

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def issue(self) -> Any:
        content = self.json()
        assert content["resourceType"] == "OperationOutcome", self.body
        return content["issue"][0]


@pytest.fixture(scope="module")
def caller(server: str) -> Iterator[Caller]:
    """A connection to the module's server, which has three patients; p has two versions."""
    made = Caller(server)
    seed(made)
    yield made
    made.close()


def seed(caller: Caller) -> None:
    for name in ("p", "p", "q", "r"):
        patient = {"resourceType": "Patient", "id": name, "gender": "unknown", "name": [{"family": MARKER}]}
        assert caller("PUT", f"/Patient/{name}", json.dumps(patient)).status in (200, 201)


def bundle(kind: str, entries: Any) -> str:
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries})


def patch(path: str) -> str:
    part = [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": path}]
    return json.dumps({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": part}]})


def cursor(caller: Caller, path: str) -> str:
    """The cursor that leads to the second page of a search."""
    links = {link["relation"]: link["url"] for link in caller("GET", path).json()["link"]}
    return str(links["next"].partition("_cursor=")[2].partition("&")[0])


def patient_of(size: int) -> bytes:
    return b'{"resourceType":"Patient","id":"p","name":[{"family":"' + b"x" * size + b'"}]}'


def made(name: str, path: str, caller: Caller) -> tuple[str, Any]:
    """Path and body of a case that is too long, or too particular, to be written down."""
    match name:
        case "5000 digits":
            return f"{path}?probability={'9' * 5000}", None
        case "1001 values":
            return f"{path}?name={','.join(map(str, range(1001)))}", None
        case "201 parameters":
            return f"{path}?{'&'.join(['name=a'] * 201)}", None
        case "changed cursor":
            text = cursor(caller, "/Patient?_count=1")
            return f"{path}?_count=1&_cursor={text[:-6]}{'A' if text[-6] != 'A' else 'B'}{text[-5:]}", None
        case "foreign cursor":
            return f"{path}?_count=1&_cursor={cursor(caller, '/Patient?gender=unknown&_count=1')}", None
        case "huge history cursor":
            text = urlsafe_b64encode(b"9" * 30 + b":Patient/p/1").decode().rstrip("=")
            return f"{path}?_cursor={text}", None
        case "deep resource":
            return path, '{"resourceType":"Patient","extension":' + '[{"extension":' * 100 + "1" + "}]" * 100 + "}"
        case "20 MB resource":
            return path, patient_of(20 * MEGABYTE)
        case "20 MB in chunks":
            return path, iter([patient_of(20 * MEGABYTE)[i : i + MEGABYTE] for i in range(0, 20 * MEGABYTE, MEGABYTE)])
        case "long string":
            return path, patient_of(MEGABYTE + 1)
        case "long path":
            return path, patch("Patient.name" + ".given" * 100)
        case "10001 batch" | "10001 transaction":
            kind = name.split()[1]
            return path, bundle(kind, [{"request": {"method": "DELETE", "url": "Patient/p"}}] * 10001)
    raise AssertionError(f"no such body: {name}")


def send(case: dict[str, Any], caller: Caller) -> Answer:
    method, _, path = case["request"].partition(" ")
    body: Any = case.get("body")
    if "made" in case:
        path, body = made(case["made"], path, caller)
    elif "hex" in case:
        body = bytes.fromhex(case["hex"])
    elif "bundle" in case:
        body = bundle(case["bundle"], case["entries"])
    headers = {**(FHIR_JSON if body is not None else {}), **case.get("headers", {})}
    return caller(method, path, body, {k: "9" * 5000 if v == "5000 digits" else v for k, v in headers.items()})


def check(case: dict[str, Any], caller: Caller) -> None:
    before = caller.history()
    answer = send(case, caller)
    assert answer.status == case["status"], answer.body
    assert answer.content_type.startswith("application/fhir+json")
    if "matches" in case:
        assert answer.json()["total"] == case["matches"]
    elif "entry" in case:
        response = answer.json()["entry"][0]["response"]
        assert response["status"].startswith(case["entry"])
        assert response["outcome"]["resourceType"] == "OperationOutcome"
    else:
        assert answer.issue["severity"] == "error"
        assert answer.issue["code"] == case["issue"], answer.body
    assert MARKER.encode() not in answer.body or "GET" in case["request"]
    assert caller.history() == before, "it changed something"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_bad_input(caller: Caller, case: dict[str, Any]) -> None:
    check(case, caller)


@pytest.mark.parametrize(
    "wrong",
    [
        {"request": "GET /Patient/p", "status": 404, "issue": "not-found"},
        {"request": "GET /Patient/a_b", "status": 404, "issue": "invalid"},
        {"request": "GET /Patient?gender=unknown", "status": 200, "matches": 0},
        {
            "request": "PUT /Patient/p",
            "body": '{"resourceType":"Patient","gender":"unknown"}',
            "status": 200,
            "entry": "",
        },
    ],
)
def test_the_runner_can_fail(caller: Caller, wrong: dict[str, Any]) -> None:
    with pytest.raises((AssertionError, KeyError)):
        check(wrong, caller)


def test_a_change_is_seen(caller: Caller) -> None:
    before = caller.history()
    assert caller("PUT", "/Patient/q", '{"resourceType":"Patient","id":"q","gender":"unknown"}').status == 200
    assert caller.history() != before


def test_nothing_of_it_is_logged(mongo_uri: str, database: str, tmp_path: Path) -> None:
    """A server of its own, as a user starts it, at its most talkative."""
    environment = {"MONGODB_URI": mongo_uri, "FHIR_DATABASE": f"{database}_log", "FHIR_LOG_LEVEL": "debug"}
    with serving(tmp_path, **environment) as running:
        caller = Caller(running.base)
        seed(caller)
        for case in CASES:
            named = {**case.get("headers", {}), "Authorization": f"Bearer {MARKER}", "X-Planted": MARKER}
            send({**case, "headers": named}, caller)
        caller("GET", f"/Patient?name={MARKER}&birthdate={MARKER}")
        caller("GET", f"/Patient/{MARKER}")
        caller(MARKER.replace("-", ""), f"/{MARKER}")
        caller.close()
    written = (tmp_path / "stderr.log").read_text()
    assert written.count('"event":"request"') > len(CASES)
    assert '"level":"error"' not in written
    assert MARKER not in written
    assert MARKER.replace("-", "") not in written
