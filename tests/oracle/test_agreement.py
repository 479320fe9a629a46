"""What compare() and the command line say of a server that is right, wrong or broken."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.oracle import Oracle, compare, complete, generate, generate_includes, included, included_otherwise
from tests.oracle.__main__ import main

CORPUS = complete({}, Random(7), each=1)
QUERIES = list(generate(Random(3), CORPUS, 300))


def test_a_right_answer_agrees() -> None:
    assert compare(Oracle(CORPUS).search, CORPUS, QUERIES) == []


def test_a_planted_wrong_answer_is_reported() -> None:
    oracle = Oracle(CORPUS)

    def wrong(path: str, pairs: list[tuple[str, str]]) -> set[str]:
        return oracle.search(path, pairs) ^ ({"Patient/patient-s1"} if path == "Patient" else set())

    told = compare(wrong, oracle, QUERIES)
    assert told
    assert {each.path for each in told} == {"Patient"}
    assert all(each.missing | each.extra == {"Patient/patient-s1"} for each in told)
    assert "Patient/patient-s1" in str(told[0])


def test_an_exception_is_an_answer() -> None:
    def broken(path: str, pairs: list[tuple[str, str]]) -> set[str]:
        raise TimeoutError("too slow")

    told = compare(broken, CORPUS, QUERIES[:5])
    assert [each.error for each in told] == ["TimeoutError: too slow"] * 5


def test_wrong_includes_are_reported() -> None:
    oracle = Oracle(CORPUS)
    told = [
        included_otherwise(lambda path, pairs: (set(), set()), oracle, path, pairs)
        for path, pairs in generate_includes(Random(1), oracle, 100)
    ]
    assert any(each and each.missing for each in told)


class _Answers(BaseHTTPRequestHandler):
    """A server that answers with the oracle, two resources a page; `lies` leaves out all that is male."""

    oracle: Oracle
    lies = False

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        every = parse_qsl(asked.query)
        page = int(dict(every).pop("page", "0"))
        pairs = [pair for pair in every if pair[0] not in ("page", "_count", "_elements", "_total")]
        matches = self.oracle.search(asked.path.removeprefix("/fhir").strip("/"), pairs)
        brought = included(self.oracle, matches, pairs)
        if self.lies and pairs:
            matches = {key for key in matches if not key.startswith("Patient/")}
        found = sorted((key, "match") for key in matches) + sorted((key, "include") for key in brought)
        following = [(name, value) for name, value in every if name != "page"] + [("page", str(page + 2))]
        link = f"?{'&'.join(f'{name}={value}' for name, value in following if name in ('page', '_count'))}"
        whole = len(found) <= page + 2 or pairs
        bundle = {
            "resourceType": "Bundle",
            "link": [] if whole else [{"relation": "next", "url": f"{asked.path}{link}"}],
            "entry": [self.entry(*each) for each in (found if pairs else found[page : page + 2])],
        }
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(bundle, default=float).encode())

    def entry(self, key: str, mode: str) -> dict[str, object]:
        return {"resource": self.oracle.by_type[key.partition("/")[0]][key], "search": {"mode": mode}}

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextmanager
def _serving(handler: type[_Answers]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    base = f"http://127.0.0.1:{server.server_port}/fhir"
    handler.oracle = Oracle(CORPUS, base)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield base
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_command_line_agrees_with_a_right_server(capsys: pytest.CaptureFixture[str]) -> None:
    with _serving(_Answers) as base:
        assert main(["--base", base, "--queries", "200", "--includes", "50", "--seed", "4"]) == 0
    said = capsys.readouterr().out
    assert f"{len(CORPUS)} resources" in said
    assert "seed 4: 250 of 250 agreed" in said


def test_the_command_line_exits_with_1_for_a_wrong_server(capsys: pytest.CaptureFixture[str]) -> None:
    liar = type("_Liar", (_Answers,), {"lies": True})
    with _serving(liar) as base:
        assert main(["--base", base, "--queries", "400", "--seed", "4", "--stop-after", "1"]) == 1
    assert "missing" in capsys.readouterr().out


def test_the_oracle_knows_only_the_definitions() -> None:
    for file in Path(__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            modules += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            own = [each for each in modules if each and each.startswith("fhir_server")]
            assert set(own) <= {"fhir_server.definitions"}, file.name
