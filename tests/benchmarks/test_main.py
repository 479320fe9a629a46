"""The whole program against a stand-in: right answers are measured, each way of being wrong is found."""

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import NAMES, main, names
from benchmarks.report import HEAD
from tests.benchmarks.conftest import Serve
from tests.benchmarks.stand_in import StandIn

QUICK = ["--seconds", "0.1", "--repetitions", "2", "--warm-up", "0.05", "--connections", "4", "--synthea", "absent"]

WRONG = {
    "another-id": ("read", "read: another resource"),
    "poor": ("read", "read: other content than was sent"),
    "forgetful": ("create", "create: read back gives 404"),
    "lost-update": ("update", "update: other content than was sent"),
    "undead": ("delete", "delete: read afterwards gives 200"),
    "unfiltered": ("search-name", "search: a match that does not fit"),
    "empty": ("search-patient-code", "search: empty, though a resource fits"),
    "drops-first": ("search-reference-include", "search: a resource that fits is missing"),
    "no-include": ("search-reference-include", "search: an included resource is missing"),
    "import-loses": ("import", "import: read back gives 404"),
}


def test_every_workload_is_measured(serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "figures.json"
    assert main(["--base", serve(StandIn()), "--json", str(out), *QUICK]) == 0
    (run,) = json.loads(out.read_text())["runs"]
    assert [m["name"] for m in run["measurements"]] == list(NAMES)
    assert all(m["requests"] and m["rate"] and m["p50"] <= m["p99"] for m in run["measurements"])
    assert all(not m["wrong"] and not m["failed"] for m in run["measurements"])
    printed = capsys.readouterr().out
    assert all(name in printed for name in (*NAMES, *HEAD))


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_answer_is_found(fault: str, serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    workload, reason = WRONG[fault]
    status = main(["--base", serve(StandIn(fault)), "--only", workload, *QUICK])
    assert (status, reason in capsys.readouterr().out) == (1, True)


def test_a_create_must_be_created(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--base", serve(StandIn("create-200")), "--only", "create", *QUICK]) == 2
    assert "create: status 200" in capsys.readouterr().err


def test_chunked_answers_are_read(serve: Serve) -> None:
    assert main(["--base", serve(StandIn("chunked")), "--only", "create,read", *QUICK]) == 0


def test_retry_after_is_honoured_and_told(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--base", serve(StandIn("throttled")), "--only", "create,read", *QUICK]) == 0
    assert "told to wait" in capsys.readouterr().out


def test_another_machine_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--base", "http://203.0.113.5/fhir", *QUICK]) == 2
    assert "loopback" in capsys.readouterr().err


def test_a_server_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--base", "http://127.0.0.1:1/fhir", *QUICK]) == 2
    assert "create Practitioner" in capsys.readouterr().err


def test_names_run_in_their_own_order() -> None:
    assert names("delete,search,create") == ["create", *(n for n in NAMES if n.startswith("search-")), "delete"]
