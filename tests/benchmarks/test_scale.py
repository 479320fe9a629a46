"""Two small populations, measured end to end on a real server; no figure is asserted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.asking import judge
from benchmarks.client import Answer
from benchmarks.scale import main
from benchmarks.shapes import SHAPES

QUICK = ["--seconds", "0.05", "--synthea", "absent"]


def test_two_populations_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "figures.json"
    kept = ["--data-dir", str(tmp_path / "kept"), "--json", str(out)]
    few = ["--only", "id,identifier"]
    assert main(["--patients", "3", "--patients", "5", *few, *kept, *QUICK]) == 0
    assert "| ratio |" in capsys.readouterr().out
    small, big = json.loads(out.read_text())["runs"]
    assert (small["patients"], big["patients"]) == (3, 5)
    assert small["resources"] < big["resources"]
    # Every shape; what is there is used again, and not written a second time.
    assert main(["--patients", "3", *kept, *QUICK]) == 0
    told = capsys.readouterr().out
    assert "inserted" not in told
    assert "WRONG" not in told
    (run,) = json.loads(out.read_text())["runs"]
    assert len(run["shapes"]) > 30
    for one in run["shapes"]:
        assert one["requests"] > 0, one["name"]
        assert not one["failed"], one["name"]
    assert [mix["connections"] for mix in run["mixes"]] == [1, 16]
    assert run["pages"]


def test_what_was_interrupted_is_not_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "3-1").mkdir()
    assert main(["--patients", "3", "--data-dir", str(tmp_path), *QUICK]) == 2
    assert "not complete" in capsys.readouterr().err


def test_an_unknown_shape_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--patients", "3", "--only", "id,nonsense"])
    assert "nonsense" in capsys.readouterr().err


def test_a_fast_empty_answer_does_not_win() -> None:
    shape = next(shape for shape in SHAPES if shape.matches)
    empty = Answer(200, b"", b'{"resourceType":"Bundle","type":"searchset"}')
    assert judge(shape, empty, False) == f"{shape.name}: no match"
    assert judge(shape, Answer(200, b"", b'{"resourceType":"OperationOutcome"}'), False)
    found = Answer(200, b"", b'{"resourceType":"Bundle","type":"searchset","entry":[{"search":{"mode":"match"}}]}')
    assert judge(shape, found, False) is None
