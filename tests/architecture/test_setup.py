"""`make setup` says in words what a machine lacks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of nothing but the setup script, with an empty lock."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "setup.py", tmp_path / "scripts")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "requirements.lock").touch()
    return tmp_path


def setup(project: Path, python: str = sys.executable, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "scripts/setup.py"],
        cwd=project,
        env={**os.environ, "PIP_NO_INDEX": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_python_without_venv(project: Path, tmp_path: Path, module: str) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / f"{module}.py").write_text("raise ImportError")
    ended = setup(project, PYTHONPATH=str(tmp_path / "hidden"))
    assert ended.returncode == 1
    assert "apt-get install python3-venv" in ended.stderr
    assert not (project / ".venv").exists(), "nothing half-made stays behind"


def test_packages_that_cannot_be_had(project: Path) -> None:
    (project / "requirements.lock").write_text(f"no-such-package==1.0 --hash=sha256:{'0' * 64}\n")
    ended = setup(project)
    assert ended.returncode == 1
    assert "Installing the pinned packages failed" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (project / ".venv" / ".installed").exists()


def test_an_old_python(project: Path) -> None:
    old = next((path for name in ("python3.8", "python3.9", "python3.10") if (path := shutil.which(name))), None)
    if old is None or subprocess.run([old, "--version"], capture_output=True).returncode:
        pytest.skip("no Python older than 3.11 on this machine")
    ended = setup(project, python=old)
    assert ended.returncode == 1
    assert "needs Python 3.11 or newer" in ended.stderr


def test_the_locks_pin_everything_and_name_no_index() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
        assert pins
        assert all("==" in pin for pin in pins)
        assert text.count("# via") == len(pins)
        assert "--hash=sha256:" in text
        assert "://" not in text
