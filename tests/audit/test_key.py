"""The key is made once, is nobody else's to read, and is never guessed."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fhir_server.audit.key import read_keys


def test_it_is_made_once_for_all_processes(tmp_path: Path) -> None:
    path = tmp_path / "new" / "audit.key"
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: read_keys(path)[0], range(32)))
    assert len(set(found)) == 1
    assert len(found[0]) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["audit.key"]


def test_former_keys_follow_the_present_one(tmp_path: Path) -> None:
    path = tmp_path / "audit.key"
    path.write_text(f"{'ab' * 32}\n{'cd' * 32}\n")
    assert read_keys(path) == [b"\xab" * 32, b"\xcd" * 32]


@pytest.mark.parametrize("text", ["", "\n", "not hexadecimal\n", "ab" * 31])
def test_a_file_without_a_key_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "audit.key"
    path.write_text(text)
    with pytest.raises(RuntimeError, match="audit key"):
        read_keys(path)
