"""`fhir-server package` on a real database."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fhir_server.config import Settings
from tests.cli.here import here
from tests.packages.making import eyes, packed, value_set


def run(settings: Settings, *arguments: object) -> subprocess.CompletedProcess[str]:
    named = {"FHIR_MONGODB_URI": settings.mongodb_uri or "", "FHIR_DATABASE": settings.database}
    return here("package", *arguments, "--data-dir", settings.data_dir, **named)


def test_a_package_comes_and_goes(settings: Settings, tmp_path: Path) -> None:
    file = packed(tmp_path / "eyes.tgz", eyes())
    assert run(settings, "list").stdout == "No packages are installed.\n"
    first = run(settings, "install", file)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.splitlines() == [
        "org.example.eyes 1.0.0: 4 created.",
        "  CodeSystem: 1 created",
        "  SearchParameter: 1 created",
        "  StructureDefinition: 1 created",
        "  ValueSet: 1 created",
        "  2 examples were not loaded; --examples loads them.",
        "  Search parameters: 1 to be searched by once the server has reindexed.",
        "Depends on:",
        "  hl7.fhir.r4.core 4.0.1: built in",
        "  org.example.missing 2.0.0: missing",
    ]
    assert run(settings, "install", file).stdout.startswith("org.example.eyes 1.0.0 is installed already; nothing")
    assert run(settings, "list").stdout == "org.example.eyes 1.0.0: 4 resources  Eyes\n"
    gone = run(settings, "remove", "org.example.eyes")
    assert (gone.returncode, gone.stdout) == (0, "org.example.eyes removed: 4 resources deleted.\n")
    again = run(settings, "remove", "org.example.eyes")
    assert again.returncode == 1
    assert "No package org.example.eyes is installed." in again.stderr


@pytest.mark.parametrize(("option", "code"), [((), 0), (("--strict",), 1)])
def test_what_is_refused_is_told(settings: Settings, tmp_path: Path, option: tuple[str, ...], code: int) -> None:
    wrong = value_set("wrong") | {"status": "unheard-of"}
    file = packed(tmp_path / "eyes.tgz", eyes(name="org.example.wrong") | {"package/wrong.json": wrong})
    done = run(settings, "install", file, *option)
    assert done.returncode == code
    assert "wrong.json: The code is not in the required value set" in done.stderr
    assert "unheard-of" not in done.stderr
    run(settings, "remove", "org.example.wrong")


def test_other_files_are_installed_all_the_same(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "other.tgz").write_bytes(b"no package")
    sound = packed(tmp_path / "eyes.tgz", eyes(name="org.example.sound"))
    done = run(settings, "install", tmp_path / "other.tgz", tmp_path / "missing.tgz", sound)
    assert done.returncode == 1
    assert "other.tgz: It is not a whole .tgz" in done.stderr
    assert "missing.tgz: it cannot be read (FileNotFoundError)" in done.stderr
    assert "org.example.sound 1.0.0: " in done.stdout


@pytest.mark.parametrize("action", ["install", "remove"])
def test_it_asks_for_what_is_missing(settings: Settings, action: str) -> None:
    done = run(settings, action)
    assert done.returncode == 1
    assert "name the " in done.stderr
