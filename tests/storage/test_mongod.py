"""Where no mongod can run, the refusal says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_server.storage.mongod import MongodUnavailable, check_mongod, find_mongod, missing_libraries


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_no_mongod_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("MONGOD", raising=False)
    monkeypatch.setattr("fhir_server.storage.mongod.WHEEL", "no-such-distribution")
    with pytest.raises(MongodUnavailable, match=r"(?s)No mongod on this .*MONGODB_URI"):
        find_mongod()


def test_precedence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    named, on_path = script(tmp_path / "named", ""), script(tmp_path / "mongod", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("MONGOD", str(named))
    assert find_mongod() == named
    monkeypatch.delenv("MONGOD")
    assert find_mongod() == on_path


def test_the_variable_names_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MONGOD", str(tmp_path / "absent"))
    with pytest.raises(MongodUnavailable, match="not an executable file"):
        find_mongod()


def test_a_missing_library_is_found_by_the_real_loader(tmp_path: Path) -> None:
    """A copy of the real binary that asks for a libcurl nobody has."""
    crippled = tmp_path / "mongod"
    crippled.write_bytes(find_mongod().read_bytes().replace(b"libcurl.so.4\0", b"libcurl.so.9\0"))
    crippled.chmod(0o755)
    if not missing_libraries(crippled):
        pytest.skip("this mongod is not linked against libcurl.so.4")
    with pytest.raises(MongodUnavailable, match=r"lacks libcurl\.so\.9"):
        check_mongod(crippled)


@pytest.mark.parametrize(
    ("said", "package"),
    [
        ("libcurl.so.4 => not found", "apt-get install libcurl4"),
        ("libcrypto.so.3 => not found", "apt-get install libssl3"),
        ("./mongod: /lib/libcrypto.so.3: version `OPENSSL_3.2' not found", "apt-get install libssl3"),
        ("error while loading shared libraries: libcurl.so.4: cannot open shared object file", "libcurl4"),
    ],
)
def test_packages_to_install(tmp_path: Path, said: str, package: str) -> None:
    with pytest.raises(MongodUnavailable, match=package):
        check_mongod(script(tmp_path / "mongod", f'cat <<"EOF"\n{said}\nEOF\nexit 127'))


def test_a_mongod_that_does_not_run(tmp_path: Path) -> None:
    with pytest.raises(MongodUnavailable, match=r"exit 3\): no use"):
        check_mongod(script(tmp_path / "mongod", "echo no use >&2; exit 3"))


def test_a_processor_that_is_too_old(tmp_path: Path) -> None:
    with pytest.raises(MongodUnavailable, match="AVX"):
        check_mongod(script(tmp_path / "mongod", "kill -ILL $$"))
