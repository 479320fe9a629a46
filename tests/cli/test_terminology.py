"""`fhir-server terminology`: load, list and remove, as a user does; a killed load goes on. All content is made up."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pymongo import MongoClient

from tests.cli.here import here
from tests.cli.serving import ROOT, clean_environment
from tests.terminology import releases

Json = dict[str, Any]


@contextmanager
def own_database(mongo_uri: str) -> Iterator[str]:
    """The prefix of a database that nobody else uses; it is dropped at the end."""
    name = f"t_terminology_{uuid4().hex[:8]}"
    yield name
    with MongoClient[Json](mongo_uri) as client:
        for database in client.list_database_names():
            if database.startswith(f"{name}_"):
                client.drop_database(database)


@pytest.fixture
def prefix(mongo_uri: str) -> Iterator[str]:
    with own_database(mongo_uri) as name:
        yield name


class Command:
    """`fhir-server terminology` on one database."""

    def __init__(self, uri: str, prefix: str, data_dir: Path) -> None:
        self.uri, self.prefix = uri, prefix
        self._environment = {"MONGODB_URI": uri, "FHIR_DATABASE": prefix, "FHIR_DATA_DIR": str(data_dir)}
        self._environment["COLUMNS"] = "80"

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return here("terminology", *arguments, **self._environment)

    def stopped(self, number: signal.Signals, at: str, *arguments: object) -> int:
        """Run it as a process, send a signal when it says so, and answer its exit code."""
        line = [sys.executable, "-m", "fhir_server.cli", "terminology", *map(str, arguments)]
        environment = clean_environment() | self._environment
        with subprocess.Popen(line, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            for said in process.stderr:
                if at in said:
                    process.send_signal(number)
                    break
            process.stderr.read()
        return process.returncode

    def rows(self) -> list[Json]:
        """What is stored, without what differs from load to load."""
        with MongoClient[Json](self.uri) as client:
            found = client[f"{self.prefix}_system"]["concept"].find().sort("c", 1).to_list()
        return [{name: value for name, value in row.items() if name not in ("_id", "s")} for row in found]


@pytest.fixture
def fhir_terminology(mongo_uri: str, prefix: str, tmp_path: Path) -> Command:
    return Command(mongo_uri, prefix, tmp_path / "data")


def test_load_list_remove(fhir_terminology: Command, tmp_path: Path) -> None:
    release = releases.zipped(releases.loinc(tmp_path))
    assert "No large code system is loaded." in fhir_terminology.run("list").stdout
    done = fhir_terminology.run("load", release)
    assert (done.returncode, done.stdout) == (0, "http://loinc.org|9.1: 10 concepts are loaded.\n"), done.stderr
    assert "100 %" in done.stderr
    again = fhir_terminology.run("load", release)
    assert again.stdout == "http://loinc.org|9.1 is loaded already: 10 concepts. Nothing was done.\n"
    assert fhir_terminology.run("load", releases.snomed(tmp_path)).returncode == 0
    listed = fhir_terminology.run("list").stdout.splitlines()
    assert [line.split()[:3] for line in listed[1:]] == [
        ["http://loinc.org", "9.1", "10"],
        ["http://snomed.info/sct", releases.EDITION, "7"],
    ]
    removed = fhir_terminology.run("remove", "http://loinc.org")
    assert removed.stdout == "http://loinc.org 9.1 was removed.\n"
    assert len(fhir_terminology.rows()) == 7
    unknown = fhir_terminology.run("remove", "http://loinc.org")
    assert unknown.returncode == 1
    assert "is not loaded" in unknown.stderr


def test_which_of_several_versions(fhir_terminology: Command, tmp_path: Path) -> None:
    folder = releases.loinc(tmp_path)
    for version in ("9.1", "9.2"):
        assert fhir_terminology.run("load", folder, "--version", version).returncode == 0
    unclear = fhir_terminology.run("remove", "http://loinc.org")
    assert unclear.returncode == 1
    assert "9.1, 9.2" in unclear.stderr
    assert fhir_terminology.run("remove", "http://loinc.org|9.1").returncode == 0
    assert "9.2" in fhir_terminology.run("list").stdout
    assert fhir_terminology.run("load", folder, "--version", "9.1").returncode == 0, "what was removed can come again"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("load",), "say what to load"),
        (("load", "/nowhere"), "/nowhere cannot be read: No such file or directory"),
        (("load", __file__), "is no release this server can read"),
    ],
)
def test_refusals(fhir_terminology: Command, arguments: tuple[str, ...], said: str) -> None:
    ended = fhir_terminology.run(*arguments)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_bad_line_is_named(fhir_terminology: Command, tmp_path: Path) -> None:
    folder = releases.snomed(tmp_path)
    with open(folder / "Snapshot/Refset/Content/der2_Refset_SimpleSnapshot_INT_20300131.txt", "a") as file:
        file.write("m-3\t20300131\n")
    ended = fhir_terminology.run("load", folder)
    assert ended.returncode == 1
    assert "der2_Refset_SimpleSnapshot_INT_20300131.txt, line 4: 2 columns" in ended.stderr
    assert fhir_terminology.rows() == []


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return releases.zipped(releases.loinc(tmp_path_factory.mktemp("large"), more=5_000))


@pytest.fixture(scope="module")
def uninterrupted(mongo_uri: str, large: Path) -> Iterator[list[Json]]:
    """What a load stores that nobody interrupts."""
    with own_database(mongo_uri) as name:
        whole = Command(mongo_uri, name, large.parent / "data")
        assert whole.run("load", large).returncode == 0
        yield whole.rows()


@pytest.mark.parametrize(
    ("number", "at"),
    [
        (signal.SIGKILL, "Reading Loinc.csv"),
        (signal.SIGKILL, "Reading ComponentHierarchy"),
        (signal.SIGKILL, "Working out the hierarchy"),
        (signal.SIGTERM, "Reading Loinc.csv"),
        (signal.SIGINT, "Working out the hierarchy"),
    ],
)
def test_a_stopped_load_goes_on(
    fhir_terminology: Command, large: Path, uninterrupted: list[Json], number: signal.Signals, at: str
) -> None:
    for _ in range(5):
        code = fhir_terminology.stopped(number, at, "load", large)
        if is_unfinished := "unfinished" in fhir_terminology.run("list").stdout:
            break
        fhir_terminology.run("remove", "http://loinc.org")  # it was done before the signal came
    assert is_unfinished
    assert code == (-number if number is signal.SIGKILL else 130)
    assert fhir_terminology.rows() != []
    done = fhir_terminology.run("load", large)
    assert done.stdout == "http://loinc.org|9.1: 5,010 concepts are loaded.\n", done.stderr
    if at.startswith("Working"):
        assert "Reading Loinc.csv" not in done.stderr, "what was read is not read again"
    assert fhir_terminology.rows() == uninterrupted
