"""The shared fixtures can fail: a test that leaves loopback is stopped and reported."""

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


def test_loopback_is_allowed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        pass
