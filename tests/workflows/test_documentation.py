"""The pages of docs/workflows are true: they run as they stand, and every old call has its place in them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.clients.node import node
from tests.workflows.clinic import ROLES, Clinic
from tests.workflows.pages import DOCS, Broken, Line, blocks, calls, lines, play, undone

PAGES = {file.stem: file.read_text() for file in sorted(DOCS.glob("*.md"))}
ROWS: dict[str, list[str]] = tomllib.loads((DOCS / "rows.toml").read_text())["pages"]
TABLE = lines(PAGES.get("coordination", ""))
REFERENCE = "reference-systems/telemedicine-coordination.md"
NONE = ("README", "coordination")  # no workflow's page


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.row(*ROWS.get(n, ()))) for n, text in PAGES.items() if blocks(text)]
)
def test_the_page_runs(name: str, clinic: Clinic, tmp_path: Path) -> None:
    people = {one.partition("/")[2] for one in ROLES}
    tokens = {person.upper(): clinic.token(person) for person in people}
    patient = clinic.patient().partition("/")[2]
    given = {"FHIR": clinic.base, "SERVER": clinic.issuer, "PATIENT": patient, "MAILBOX": str(clinic.mailbox)}
    play(PAGES[name], {**given, **tokens}, tmp_path)


@pytest.mark.parametrize("name", [name for name in PAGES if name not in NONE])
def test_a_page_shows_a_script(name: str) -> None:
    assert any(block.kind == "js" for block in blocks(PAGES[name])), "no js block"


def test_every_old_call_has_its_line(shared: Path) -> None:
    text = (shared / REFERENCE).read_text()
    endpoints = re.findall(r"^- `([A-Z]+ /api/\S+)`", text, re.MULTILINE)
    events = [f"socket.{way}('{name}')" for way, name in re.findall(r"socket\.(emit|on)\('([\w:]+)'", text)]
    assert len(endpoints) > 30
    assert len(events) == 10
    assert {*endpoints, *events} == {line.old for line in TABLE}


@pytest.mark.parametrize("line", TABLE, ids=lambda line: line.old)
def test_a_line_says_what_its_page_does(line: Line) -> None:
    assert line.new, "no call"
    is_there = line.page in PAGES
    assert is_there, f"there is no {line.page}.md"
    left = undone(line.new, PAGES[line.page])
    assert not left, f"no block of {line.page}.md does this"


@pytest.mark.parametrize("name", [name for name in PAGES if name not in NONE])
def test_a_page_agrees_with_the_table(name: str) -> None:
    ours = {line.old: set(line.new) for line in TABLE if line.page == name}
    theirs = {line.old: set(line.new) for line in lines(PAGES[name])}
    assert theirs.keys() <= {line.old for line in TABLE}, "calls that coordination.md does not know"
    assert {old: new for old, new in ours.items() if not new <= theirs.get(old, set())} == {}, "not so on the page"
    assert {call for new in theirs.values() for call in undone(tuple(new), PAGES[name])} == set(), "no block does this"


def test_every_page_has_rows() -> None:
    assert {row for rows in ROWS.values() for row in rows} == set(
        tomllib.loads((DOCS / "rows.toml").read_text())["rows"]
    )


# ---- the runner can fail ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("sh", "false"),
        ("sh", "export CASE=$(echo '{}' | id)"),
        ("sh", "export CASE=$(false)"),
        ("sh", 'echo "$NOBODY_SET_THIS"'),
        ("sh", "false | true"),
        ("js", 'throw new Error("no")'),
        ("js", 'if (process.env.A !== "2") throw new Error(`A is ${process.env.A}`)'),
        ("js", 'import { nothing } from "socket.io-client"'),
    ],
)
def test_a_page_that_does_not_run_is_told_with_its_block(kind: str, text: str, tmp_path: Path) -> None:
    node()
    with pytest.raises(Broken) as broken:
        play(f"# A page\n\n```sh\nA=1\n```\n\n```{kind}\n{text}\n```\n", {}, tmp_path)
    assert str(broken.value).startswith("line 8,")
    assert text in str(broken.value)


def test_a_page_that_runs(tmp_path: Path) -> None:
    node()
    page = """
```sh
export A=$(echo '{"id": "1"}' | id)
```
```js
import { io } from "socket.io-client"
if (process.env.A !== "1" || !io) throw new Error("no")
```
"""
    play(page, {}, tmp_path)


PAGE = """
```sh
curl -sS "$FHIR/Patient?name=Ann&birthdate=2000-01-01" -H "Authorization: Bearer $DORA"
curl -X PUT "$FHIR/Patient/$PATIENT" -d '{"a": 1}' | id
CASE=$(curl "$FHIR/Encounter" \\
  -d '{"a": 1}' | id)
curl -X POST "$FHIR/Encounter/$CASE/\\$assign" -d '{}' -w '%{http_code}\\n' | grep -qx 409
curl -G "$FHIR/Task" --data-urlencode "owner=Practitioner/sara"
curl "$SERVER/auth/userinfo"
```
```js
const { FHIR, SERVER } = process.env
await fetch(`${FHIR}/Communication/${id}/$mark-read`, { method: "POST" })
await fetch(`${process.env.FHIR}/Flag/${id}`)
await call("PATCH", `Task/${task.id}`, [])
socket.emit("case:join", id)
```
"""


@pytest.mark.parametrize(
    ("call", "is_done"),
    [
        ("GET Patient?name=", True),
        ("GET Patient?birthdate={date}&name={name}", True),
        ("GET Patient?family=", False),
        ("PUT Patient/{id}", True),
        ("GET Patient/{id}", False),
        ("POST Encounter", True),
        ("POST Encounter/{id}/$assign", True),
        ("POST Encounter/{id}/$start", False),
        ("GET Task?owner=", True),
        ("GET /auth/userinfo", True),
        ("POST Communication/{id}/$mark-read", True),
        ("GET Flag/{id}", True),
        ("PATCH Task/{id}", True),
        ("DELETE Task/{id}", False),
        ("case:join", True),
        ("case:leave", False),
    ],
)
def test_a_call_without_a_block_is_found(call: str, is_done: bool) -> None:
    assert undone((call,), PAGE) == ([] if is_done else [call]), calls(PAGE)


def test_lines_are_read() -> None:
    text = "| Old | FHIR | Page |\n|---|---|---|\n| `PUT /api/x/:id` | `PUT X/{id}`, or `PATCH X/{id}` | [x](x.md) |\n"
    assert lines(text) == [Line("PUT /api/x/:id", ("PUT X/{id}", "PATCH X/{id}"), "x")]
    assert lines("| `socket.on('a:b')` | `a:b` |\n") == [Line("socket.on('a:b')", ("a:b",))]
