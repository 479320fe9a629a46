"""The import contracts hold, and each fails when it is violated."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
NAMES = {contract["id"]: contract["name"] for contract in CONFIGURATION["contracts"]}
# contract, file to plant, its text
VIOLATIONS = [
    ("floors", "fhir_server/search/planted.py", "import fhir_server.dispatch"),
    ("floors", "fhir_server/outcomes.py", "import fhir_server.config"),
    ("floors", "fhir_server/storage/planted.py", "def late():\n    import fhir_server.rest"),
    ("floors", "fhir_server/without_a_floor.py", ""),
    ("house", "smart_auth/planted.py", "import extensions"),
    ("house", "subscriptions/planted.py", "import smart_auth"),
    ("house", "web_views/planted.py", "import fhir_server.main"),
    ("engine", "fhir_server/access/planted.py", "import smart_auth"),
    ("engine", "fhir_server/dispatch.py", "import extensions"),
    ("workflows", "extensions/planted.py", "import extensions.other"),
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages' Python, with the contracts."""
    copy = tmp_path_factory.mktemp("tree")
    for package in CONFIGURATION["root_packages"]:
        shutil.copytree(ROOT / package, copy / package, ignore=_only_python)
    shutil.copy(ROOT / "pyproject.toml", copy)
    (copy / "extensions" / "other.py").touch()
    return copy


def _only_python(folder: str, names: list[str]) -> list[str]:
    return [n for n in names if n == "__pycache__" or ((Path(folder) / n).is_file() and not n.endswith(".py"))]


def lint(folder: Path) -> tuple[int, str]:
    """import-linter's exit code and report for the tree in `folder`."""
    script = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as run; run()"
    done = subprocess.run(
        [sys.executable, "-c", script, "--no-cache"], cwd=folder, capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout + done.stderr


def test_every_contract_holds() -> None:
    code, report = lint(ROOT)
    assert code == 0, report


@pytest.mark.parametrize(("contract", "file", "text"), VIOLATIONS)
def test_a_violation_breaks_its_contract(tree: Path, contract: str, file: str, text: str) -> None:
    planted = tree / file
    before = planted.read_text() if planted.exists() else None
    planted.write_text(f"{before or ''}\n{text}\n")
    try:
        code, report = lint(tree)
    finally:
        if before is None:
            planted.unlink()
        else:
            planted.write_text(before)
    assert code != 0, report
    assert f"{NAMES[contract]} BROKEN" in report or "without_a_floor" in report, report


def test_every_package_is_in_the_house() -> None:
    aside = {"tests", "benchmarks", "scripts", "docs"}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - aside
    assert packages == set(CONFIGURATION["root_packages"])
