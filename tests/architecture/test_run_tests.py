"""All tests are run folder by folder, and nothing that fails in one of them is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.run_tests import LONGEST, NO_TESTS, ROOT, main, parts

BARE = ("-ra", "--disable-plugin-autoload")  # it starts sooner
PASSES = "def test_passes():\n    pass\n"
FAILS = "def test_fails():\n    assert 1 == 2, 'this is told'\n"
SKIPS = "import pytest\ndef test_skips():\n    pytest.skip('it needs what is not there')\n"
DIES = "import os, signal\ndef test_dies():\n    os.kill(os.getpid(), signal.SIGKILL)\n"
BROKEN = "import nothing_of_that_name\n"
MISSES = "def test_misses(nothing_of_that_name):\n    pass\n"


def folders(home: Path, **contents: str) -> Path:
    """A folder with a test file for each name."""
    for name, text in contents.items():
        (home / name).mkdir()
        (home / name / f"test_{name}.py").write_text(text)
    return home


def test_every_test_file_is_in_one_part() -> None:
    made = parts(ROOT / "tests")
    tests = sorted((ROOT / "tests").glob("**/test_*.py"))
    inside = [
        [path for paths in made.values() for path in map(Path, paths) if path == test or path in test.parents]
        for test in tests
        if "node_modules" not in test.parts
    ]
    assert {len(found) for found in inside} == {1}


def test_the_longest_begin_first_and_are_there() -> None:
    assert tuple(parts(ROOT / "tests"))[: len(LONGEST)] == LONGEST


def test_what_passes_and_what_is_skipped_is_counted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folders(tmp_path, one=PASSES, two=SKIPS)
    (tmp_path / "test_alone.py").write_text(PASSES)
    assert main(tmp_path, BARE) == 0
    said = capfd.readouterr().out
    assert said.rstrip().endswith("s: 2 passed, 1 skipped.")
    assert "it needs what is not there" in said


def test_one_failure_of_whatever_kind_fails_the_whole(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(folders(tmp_path, passes=PASSES, fails=FAILS, misses=MISSES, broken=BROKEN, dies=DIES), BARE) == 1
    said = capfd.readouterr().out
    assert "this is told" in said
    end = said.splitlines()[-9:]
    assert {line.split()[5]: line.partition("(exit ")[2] for line in end[:5]} == {
        "passes": "",
        "fails": "1)",
        "misses": "1)",
        "broken": "2)",
        "dies": "-9)",
    }
    assert sorted(line.split()[0] for line in end[5:8]) == ["ERROR", "ERROR", "FAILED"]
    assert end[8].endswith("s: 2 error, 1 failed, 1 passed.")


def test_arguments_are_for_all_and_may_leave_folders_empty(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folders(tmp_path, one=FAILS, two=PASSES)
    assert main(tmp_path, [*BARE, "-k", "passes"]) == 0
    assert "1 deselected, 1 passed." in capfd.readouterr().out
    assert main(tmp_path, [*BARE, "-k", "nothing"]) == NO_TESTS
