"""What a package becomes: ordinary resources, once, owned by it, and finished after a kill."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from fhir_server.config import Settings
from fhir_server.context import FhirRequest
from fhir_server.definitions.package import Package
from fhir_server.json import decode
from fhir_server.main import Server, running
from fhir_server.outcomes import BusinessRule, Gone, NotFound, Unprocessable
from fhir_server.packages.install import install, install_file, remove
from fhir_server.packages.records import INSTALLED, INSTALLING, Records
from fhir_server.packages.report import Report
from fhir_server.packages.startup import install_configured
from tests.packages.making import BASE, canonical, code_system, eyes, manifest, observation, packed, patient, value_set

Json = dict[str, Any]
Work = Callable[[Server], Awaitable[None]]


@pytest.fixture
def empty(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """Settings of a database that nothing is in."""
    return settings.model_copy(update={"database": f"{settings.database}_{zlib.crc32(request.node.name.encode())}"})


@pytest.fixture
def make(tmp_path: Path) -> Callable[[dict[str, Any]], Package]:
    """Packages of these files."""
    return lambda files: Package.from_file(packed(tmp_path / "package.tgz", files))


Make = Callable[[dict[str, Any]], Package]


def on(settings: Settings, work: Work) -> None:
    async def run() -> None:
        async with running(settings) as server:
            await work(server)

    asyncio.run(run())


async def put(server: Server, package: Package, **options: bool) -> Report:
    return await install(server.context(), server.database, package, **options)


async def send(server: Server, method: str, path: str, body: Json | None = None) -> Json:
    ctx = server.context()
    url, _, query = path.partition("?")
    pairs = [tuple(pair.split("=", 1)) for pair in query.split("&") if pair]
    answer = await ctx.dispatch(ctx, FhirRequest(method, url, query=pairs, body=body))  # type: ignore[arg-type]
    found: Json = decode(answer.text) if answer.text is not None else answer.resource or {}
    return found


async def version(server: Server, path: str) -> str:
    return str((await send(server, "GET", path))["meta"]["versionId"])


def counts(report: Report) -> dict[str, int]:
    return {name: report.total(name) for name in ("created", "updated", "unchanged", "shared", "deleted", "refused")}


def only(**expected: int) -> dict[str, int]:
    return dict.fromkeys(("created", "updated", "unchanged", "shared", "deleted", "refused"), 0) | expected


def test_definitions_are_stored_and_examples_are_not(empty: Settings, make: Make) -> None:
    async def work(server: Server) -> None:
        report = await put(server, make(eyes()))
        assert counts(report) == only(created=4)
        assert report.left_out == {"example": 2, "other": 0}
        kinds = ("CodeSystem", "ValueSet", "StructureDefinition", "SearchParameter")
        assert await server.counts() == dict.fromkeys(kinds, 1)
        (record,) = await Records(server.database).all()
        assert (record.name, record.version, record.state, record.canonical) == (
            "org.example.eyes",
            "1.0.0",
            INSTALLED,
            BASE,
        )
        assert {one.key for one in record.resources} >= {"ValueSet/eye-colours", "CodeSystem/eye-colours"}
        assert [(one.name, one.state) for one in report.needs] == [
            ("hl7.fhir.r4.core", "built in"),
            ("org.example.missing", "missing"),
        ]
        assert report.search == {"indexing": 1}
        assert (await server.marker("package:org.example.eyes:CodeSystem/eye-colours")) is None

    on(empty, work)


def test_twice_is_once(empty: Settings, make: Make, tmp_path: Path) -> None:
    async def work(server: Server) -> None:
        await put(server, make(eyes()))
        again = await put(server, make(eyes()))
        assert again.already
        assert "installed already; nothing was changed" in next(again.lines())
        assert (await install_file(server.context(), server.database, tmp_path / "package.tgz")).already
        assert await version(server, "ValueSet/eye-colours") == "1"
        # Examples can be had afterwards, and then they are there.
        assert counts(await put(server, make(eyes()), examples=True)) == only(created=2, unchanged=4)
        assert (await put(server, make(eyes()))).already
        # Once loaded they stay with the package.
        assert counts(await put(server, make(eyes("2.0.0")))) == only(updated=4, unchanged=2)

    on(empty, work)


def test_repair_writes_what_was_changed_or_deleted(empty: Settings, make: Make) -> None:
    async def work(server: Server) -> None:
        await put(server, make(eyes()))
        changed = await send(server, "GET", "ValueSet/eye-colours") | {"title": "mine"}
        await send(server, "PUT", "ValueSet/eye-colours", changed)
        await send(server, "DELETE", "CodeSystem/eye-colours")
        assert (await put(server, make(eyes()))).already
        assert counts(await put(server, make(eyes()), repair=True)) == only(created=1, updated=1, unchanged=2)
        assert "title" not in await send(server, "GET", "ValueSet/eye-colours")

    on(empty, work)


def test_a_newer_version_updates_what_it_owns(empty: Settings, make: Make) -> None:
    async def work(server: Server) -> None:
        await put(server, make(eyes()))
        newer = eyes("1.10.0")
        newer["package/ValueSet-new.json"] = value_set("new", "1.10.0")
        newer["package/CodeSystem-eye-colours.json"] = code_system(version="1.0.0")
        del newer["package/StructureDefinition-seeing-patient.json"]
        report = await put(server, make(newer))
        assert report.before == "1.0.0"
        assert counts(report) == only(created=1, updated=2, unchanged=1, deleted=1)
        assert (await send(server, "GET", "ValueSet/eye-colours"))["version"] == "1.10.0"
        with pytest.raises(Gone):
            await send(server, "GET", "StructureDefinition/seeing-patient")
        with pytest.raises(BusinessRule, match=r"1\.10\.0 is installed, which is newer than 1\.9\.0"):
            await put(server, make(eyes("1.9.0")))

    on(empty, work)


def test_an_id_that_is_taken_is_left_alone(empty: Settings, make: Make) -> None:
    async def work(server: Server) -> None:
        theirs = value_set() | {"url": "http://example.org/of-somebody-else"}
        await send(server, "PUT", "ValueSet/eye-colours", theirs)
        await send(server, "PUT", "Patient/example", {"resourceType": "Patient", "id": "example"})
        await send(server, "PUT", "CodeSystem/eye-colours", code_system(version="0.1.0"))  # the same canonical
        report = await put(server, make(eyes()), examples=True)
        assert counts(report) == only(created=5, updated=1)
        moved = {proper: key for proper, key, why in report.moved if why == "that id is taken"}
        assert moved.keys() == {"ValueSet/eye-colours", "Patient/example"}
        assert (await send(server, "GET", "ValueSet/eye-colours"))["url"] == "http://example.org/of-somebody-else"
        assert (await send(server, "GET", moved["ValueSet/eye-colours"]))["url"] == f"{BASE}/ValueSet/eye-colours"
        assert "extension" not in await send(server, "GET", "Patient/example")
        sight = await send(server, "GET", "Observation/example-sight")
        assert sight["subject"] == {"reference": moved["Patient/example"]}
        assert counts(await put(server, make(eyes()), examples=True, repair=True)) == only(unchanged=6)

    on(empty, work)


def test_packages_do_not_overwrite_one_another(empty: Settings, make: Make) -> None:
    other = {
        "package/package.json": manifest("org.example.other", dependencies={"org.example.eyes": "1.0.x"}),
        "package/cs.json": code_system(),  # the same canonical and version
        "package/vs.json": value_set(version="7.0.0"),  # the same canonical, another version
        "package/sd.json": canonical("Library", "lib", type={"text": "x"}),
    }

    async def work(server: Server) -> None:
        await put(server, make(eyes()))
        report = await put(server, make(other))
        assert counts(report) == only(created=2, shared=1)
        ((proper, key, why),) = report.moved
        assert (proper, why) == ("ValueSet/eye-colours", "org.example.eyes has that id")
        assert [(one.name, one.state) for one in report.needs] == [("org.example.eyes", "installed")]
        with pytest.raises(BusinessRule, match=r"org\.example\.other depends on org\.example\.eyes"):
            await remove(server.context(), server.database, "org.example.eyes")
        # The shared code system belongs to both: it goes with the last of them.
        assert await remove(server.context(), server.database, "org.example.other") == 2
        with pytest.raises(Gone):
            await send(server, "GET", key)
        assert await version(server, "CodeSystem/eye-colours") == "1"
        assert await remove(server.context(), server.database, "org.example.eyes") == 4
        assert await server.counts() == {}
        with pytest.raises(NotFound):
            await remove(server.context(), server.database, "org.example.eyes")

    on(empty, work)


WRONG = {
    "package/wrong.json": value_set("wrong") | {"status": "unheard-of"},
    "package/broken.json": b"{",
    "package/sp.json": canonical(
        "SearchParameter", "sp", description="x", code="sp", base=["Patient"], type="token", expression="Patient.("
    ),
}


def test_what_is_refused_is_named_and_the_rest_is_there(empty: Settings, make: Make) -> None:
    async def work(server: Server) -> None:
        report = await put(server, make(eyes() | WRONG))
        assert counts(report) == only(created=4, refused=2)
        reasons = {refusal.path: " ".join(refusal.reasons) for refusal in report.refused}
        assert reasons.keys() == {"wrong.json", "broken.json", "sp.json"}
        assert "ValueSet.status" in reasons["wrong.json"]
        assert "unheard-of" not in reasons["wrong.json"]
        assert (await server.counts())["ValueSet"] == 1

    on(empty, work)


@pytest.mark.parametrize("wrong", ["package/wrong.json", "package/broken.json"])
def test_strictly_all_or_nothing(empty: Settings, make: Make, wrong: str) -> None:
    async def work(server: Server) -> None:
        with pytest.raises(Unprocessable) as failure:
            await put(server, make(eyes() | {wrong: WRONG[wrong]}), strict=True)
        assert [issue.diagnostics.partition(":")[0] for issue in failure.value.issues] == [
            wrong.removeprefix("package/")
        ]
        assert await server.counts() == {}
        assert await Records(server.database).all() == []
        await put(server, make(eyes()))
        with pytest.raises(Unprocessable):
            await put(server, make(eyes("2.0.0") | {wrong: WRONG[wrong]}), strict=True)
        (record,) = await Records(server.database).all()
        assert (record.version, record.state) == ("1.0.0", INSTALLED)

    on(empty, work)


def test_what_it_refers_to_and_nobody_has(empty: Settings, make: Make) -> None:
    files = eyes()
    sd = files["package/StructureDefinition-seeing-patient.json"]
    sd["differential"]["element"][1]["binding"]["valueSet"] = "http://example.org/unknown|1.0"
    sd["baseDefinition"] = "http://example.org/unknown-base"
    more = {"package/us.json": value_set("us") | {"compose": {"include": [{"system": "http://snomed.info/sct"}]}}}

    async def work(server: Server) -> None:
        report = await put(server, make(files | more))
        assert report.unknown == {
            ("StructureDefinition", "http://example.org/unknown-base"): 1,
            ("ValueSet", "http://example.org/unknown"): 1,
            ("CodeSystem", "http://snomed.info/sct"): 1,
        }
        await send(server, "PUT", "ValueSet/u", value_set("u") | {"url": "http://example.org/unknown"})
        report = await put(server, make(files | more), repair=True)
        assert report.unknown is not None
        assert ("ValueSet", "http://example.org/unknown") not in report.unknown

    on(empty, work)


def test_two_at_the_same_time(empty: Settings, make: Make) -> None:
    other = eyes(name="org.example.twin")
    for name in ("package/ValueSet-eye-colours.json", "package/StructureDefinition-seeing-patient.json"):
        other[name] = other[name] | {"url": f"http://example.org/twin/{name}"}

    async def work(server: Server) -> None:
        first, second = make(eyes()), make(other)
        await asyncio.gather(*(put(server, one, examples=True) for one in (first, second, first, second)))
        assert await server.counts() == {
            "CodeSystem": 1,
            "SearchParameter": 1,
            "ValueSet": 2,
            "StructureDefinition": 2,
            "Patient": 2,
            "Observation": 2,
        }
        assert {one.state for one in await Records(server.database).all()} == {INSTALLED}
        assert (await put(server, first, examples=True)).already

    on(empty, work)


KILLED = """
    import asyncio, os, signal, sys
    from pathlib import Path
    from fhir_server.config import Settings
    from fhir_server.definitions.package import Package
    from fhir_server.main import running
    from fhir_server.packages import install, writing

    writing.BATCH = 2
    stored = writing.store
    done = 0

    async def store(*arguments):
        global done
        if done == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        done += 1
        return await stored(*arguments)

    install.store = store

    async def work():
        async with running(Settings()) as server:
            package = Package.from_file(Path(sys.argv[1]))
            await install.install(server.context(), server.database, package, examples=True)

    asyncio.run(work())
"""


@pytest.mark.parametrize("batches", [0, 1, 2])
def test_a_killed_installation_is_finished_by_the_next(empty: Settings, tmp_path: Path, batches: int) -> None:
    file = packed(tmp_path / "package.tgz", eyes())
    environment = os.environ | {"FHIR_MONGODB_URI": empty.mongodb_uri or "", "FHIR_DATABASE": empty.database}
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(file), str(batches)]
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL

    async def work(server: Server) -> None:
        (record,) = await Records(server.database).all()
        assert (record.state, len(record.resources)) == (INSTALLING, 2 * batches)
        assert sum((await server.counts()).values()) == 2 * batches
        report = await put(server, Package.from_file(file), examples=True)
        assert counts(report) == only(created=6 - 2 * batches, unchanged=2 * batches)
        assert report.moved == []
        assert sum((await server.counts()).values()) == 6
        (record,) = await Records(server.database).all()
        assert (record.state, len(record.resources)) == (INSTALLED, 6)

    on(empty, work)


def test_a_killed_installation_does_not_own_what_it_did_not_write(empty: Settings, tmp_path: Path) -> None:
    file = packed(tmp_path / "package.tgz", eyes())
    environment = os.environ | {"FHIR_MONGODB_URI": empty.mongodb_uri or "", "FHIR_DATABASE": empty.database}
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(file), "1"]
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL

    async def work(server: Server) -> None:
        await send(server, "PUT", "Patient/example", {"resourceType": "Patient", "id": "example"})
        report = await put(server, Package.from_file(file), examples=True)
        assert [proper for proper, _, _ in report.moved] == ["Patient/example"]
        assert "extension" not in await send(server, "GET", "Patient/example")

    on(empty, work)


def test_the_configuration_names_packages(empty: Settings, tmp_path: Path) -> None:
    file = packed(tmp_path / "package.tgz", eyes())

    async def work(server: Server) -> None:
        ctx = server.context()
        for _ in "12":
            await install_configured(ctx, server.database, f" {file}, ")
        assert await version(server, "ValueSet/eye-colours") == "1"
        for wrong in (tmp_path / "missing.tgz", tmp_path / "empty.tgz"):
            (tmp_path / "empty.tgz").write_bytes(b"")
            with pytest.raises(RuntimeError, match=f"{wrong.name} cannot be installed"):
                await install_configured(ctx, server.database, str(wrong))

    on(empty, work)


def test_transactions_are_no_larger_than_the_server_takes(empty: Settings, make: Make) -> None:
    async def work(server: Server) -> None:
        assert counts(await put(server, make(eyes()))) == only(created=4)
        assert await remove(server.context(), server.database, "org.example.eyes") == 4

    on(empty.model_copy(update={"max_bundle_entries": 3}), work)


def test_an_example_may_refer_conditionally(empty: Settings, make: Make) -> None:
    files = eyes() | {
        "package/example/Patient-example.json": patient(identifier=[{"system": "urn:x", "value": "1"}]),
        "package/example/Observation-example-sight.json": observation("Patient?identifier=urn:x|1"),
        "package/example/Observation-lost.json": observation("Patient?identifier=urn:x|2") | {"id": "lost"},
    }

    async def work(server: Server) -> None:
        report = await put(server, make(files), examples=True)
        assert [refusal.path for refusal in report.refused] == ["example/Observation-lost.json"]
        sight = await send(server, "GET", "Observation/example-sight")
        assert sight["subject"]["reference"] == "Patient/example"

    on(empty, work)


def test_definitions_are_checked_for_structure_and_examples_at_the_servers_level(empty: Settings, make: Make) -> None:
    misplaced = {"url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace", "valueAddress": {"text": "x"}}
    claimed = {"meta": {"profile": [f"{BASE}/StructureDefinition/seeing-patient"]}}
    files = eyes() | {
        "package/CodeSystem-eye-colours.json": code_system(extension=[misplaced]),
        "package/example/Patient-example.json": patient(**claimed),
        "package/example/Patient-wrong.json": {"resourceType": "Patient", "id": "wrong", **claimed},
    }

    async def work(server: Server) -> None:
        report = await put(server, make(files), examples=True)
        assert [refusal.path for refusal in report.refused] == ["example/Patient-wrong.json"]
        assert "Patient" in report.refused[0].reasons[0]
        assert "gender" in report.refused[0].reasons[0]

    on(empty.model_copy(update={"validation": "profiles"}), work)


def test_what_is_wrong_within_an_example_bundle_is_the_bundles_fault(empty: Settings, make: Make) -> None:
    entries = [{"resource": patient(f"in-{n}") | ({"gender": "unheard-of"} if n == 3 else {})} for n in range(4)]
    wrong = {"resourceType": "Bundle", "id": "b", "type": "collection", "entry": entries}
    files = eyes() | {"package/example/Bundle-b.json": wrong}

    async def work(server: Server) -> None:
        report = await put(server, make(files), examples=True)
        assert {refusal.path for refusal in report.refused} == {"example/Bundle-b.json"}
        assert counts(report) == only(created=6, refused=1)

    on(empty, work)
