"""What all tests share: who leaves loopback is stopped and reported, and a run that is ended leaves nothing behind."""

import socket
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]


def test_reaching_for_another_machine_fails(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text())
    pytester.makepyfile(
        """
        import socket

        def test_offender():
            with socket.socket() as sock:
                try:
                    sock.connect(("192.0.2.1", 9))  # a documentation address
                except OSError:
                    pass  # hidden, and reported all the same
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1, errors=1)


def test_sigterm_stops_what_was_started(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text())
    pytester.makepyfile(
        """
        import os, pathlib, pytest, signal

        @pytest.fixture
        def started():
            yield
            pathlib.Path("stopped").touch()

        def test_is_ended_from_outside(started):
            os.kill(os.getpid(), signal.SIGTERM)
        """
    )
    assert pytester.runpytest_subprocess().ret == pytest.ExitCode.INTERRUPTED
    assert (pytester.path / "stopped").exists()


def test_loopback_is_allowed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        pass
