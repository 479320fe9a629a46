"""`make parity` tells the truth of each row: what proves it, how that ended, and by its exit status whether all are."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.parity import ROOT, ROWS, main, rows, state

TABLE = """
[rows]
X-1 = "Proven"
X-2 = "Not proven"
X-3 = "Nobody tries"
X-4 = "Not tried today"
"""
TESTS = """
import pytest

@pytest.mark.row("X-1")
@pytest.mark.parametrize("number", [1, 2])
def test_good(number):
    pass

@pytest.mark.row("X-1", "X-2")
def test_of_two():
    pass

@pytest.mark.row("X-2")
@pytest.mark.parametrize("number", [1, 2, 3])
def test_bad_once(number):
    assert number != 2

@pytest.mark.row("X-4")
def test_not_here():
    pytest.skip("it needs what is not there")

def test_of_no_row():
    raise SystemError("nobody asked for this one")
"""


def parity(home: Path, *wanted: str, tests: str = TESTS) -> tuple[int, str]:
    """The exit status and what is printed, of a run of its own."""
    (home / "rows.toml").write_text(TABLE)
    (home / "test_some.py").write_text(tests)
    call = f"from scripts.parity import main; from pathlib import Path; home = Path({str(home)!r})"
    script = f"{call}; raise SystemExit(main({wanted!r}, tests=home, file=home / 'rows.toml'))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout


def test_each_row_with_its_tests(tmp_path: Path) -> None:
    status, output = parity(tmp_path)
    lines = output.splitlines()
    assert status == 1
    assert [line.rstrip() for line in lines if line.startswith("X-")] == [
        "X-1   green    Proven",
        "X-2   FAILED   Not proven",
        "X-3   NO TEST  Nobody tries",
        "X-4   SKIPPED  Not tried today",
    ]
    below = lines[lines.index("X-2   FAILED   Not proven") + 1 :][:2]
    assert [line.split() for line in below] == [
        ["failed", f"{tmp_path.name}/test_some.py::test_bad_once"],
        ["passed", f"{tmp_path.name}/test_some.py::test_of_two"],
    ]
    assert lines[-1] == "1 of 4 rows are green."
    assert "nobody asked" not in output


@pytest.mark.parametrize(
    ("wanted", "status"), [(("X-1",), 0), (("X-2",), 1), (("X-3",), 1), (("X-4",), 1), (("X-1", "X-3"), 1)]
)
def test_some_rows(tmp_path: Path, wanted: tuple[str, ...], status: int) -> None:
    done, output = parity(tmp_path, *wanted)
    assert done == status
    assert [line[:3] for line in output.splitlines() if line.startswith("X-")] == list(wanted)


def test_a_file_that_is_broken_proves_nothing(tmp_path: Path) -> None:
    status, output = parity(tmp_path, "X-1", tests="import nothing_of_that_name\n" + TESTS)
    assert status == 1
    assert "X-1   NO TEST" in output


def test_a_test_that_breaks_afterwards_has_failed(tmp_path: Path) -> None:
    fixture = "\n@pytest.fixture(autouse=True)\ndef last():\n    yield\n    assert not 'well'\n"
    assert parity(tmp_path, "X-1", tests=TESTS.replace("import pytest\n", f"import pytest\n{fixture}", 1))[0] == 1


@pytest.mark.parametrize("wanted", [("X-9",), ("A-1", "X-9")])
def test_an_unknown_row_is_named(wanted: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(wanted) == 2
    assert "X-9" in capsys.readouterr().out


def test_a_row_is_green_when_all_its_tests_are() -> None:
    assert state({}) == "NO TEST"
    assert state({"a": "passed", "b": "passed"}) == "green"
    assert state({"a": "passed", "b": "skipped"}) == "SKIPPED"
    assert state({"a": "failed", "b": "skipped"}) == "FAILED"


def test_every_row_of_the_requirements_is_listed(shared: Path) -> None:
    """Of the sections that are there: a section is listed as a whole."""
    text = (shared / "requirements" / "workflows.md").read_text()
    wanted = set(re.findall(r"^\| ([A-Z]-\d+) \|", text, re.MULTILINE))
    listed = set(rows(ROWS))
    sections = {code[0] for code in listed}
    assert listed == {code for code in wanted if code[0] in sections}
