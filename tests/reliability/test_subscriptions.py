"""Nothing that was committed is lost to a subscriber, whatever dies meanwhile: points 2, 9 and 11."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fhir_server.storage.embedded import PrivateMongod
from tests.clients.node import script
from tests.reliability.crash import Process, call, mongod_pid

COUNT = 1000
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"


class Town:
    """Two server processes on one mongod, each of which may die."""

    def __init__(self, folder: Path, uri: str) -> None:
        self.folder = folder
        self.settings = {"MONGODB_URI": uri, "FHIR_ALLOW_PRIVATE_ENDPOINTS": "true", "FHIR_GUIDE": "false"}
        self.one = self.start("one", 0)
        self.two = self.start("two", 0)

    def start(self, name: str, port: int) -> Process:
        return Process(self.folder / name, port=port, **self.settings)

    def kill_and_restart_one(self) -> None:
        """kill -9, and another on the same port."""
        port = self.one.port
        self.one.kill()
        self.one = self.start("one", port)

    def kill_and_restart_two(self) -> None:
        port = self.two.port
        self.two.kill()
        self.two = self.start("two", port)

    def restart_mongod(self) -> None:
        """kill -9: who supervises it starts another on the same files."""
        os.kill(mongod_pid(self.folder / "mongod"), signal.SIGKILL)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with PrivateMongod(tmp_path / "mongod") as uri:
        found = Town(tmp_path, uri)
        try:
            yield found
        finally:
            found.one.kill()
            found.two.kill()


class Writing:
    """Creates Observation/n0 … n999 through both servers, each exactly once, and notes how many are done."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self._done = 0
        self._enough = threading.Condition()
        self._numbers = iter(range(COUNT))
        self._threads = [threading.Thread(target=self._write, args=(one,), daemon=True) for one in range(4)]
        for thread in self._threads:
            thread.start()

    def _write(self, mine: int) -> None:
        while True:
            with self._enough:
                number = next(self._numbers, None)
            if number is None:
                return
            while not self._create(number, self._town.one if (number + mine) % 2 else self._town.two):
                pass
            with self._enough:
                self._done += 1
                self._enough.notify_all()

    @staticmethod
    def _create(number: int, server: Process) -> bool:
        body = {"resourceType": "Observation", "id": f"n{number}", "status": "final", "code": {"text": "x"}}
        try:
            # Whoever heard no answer asks again: 412 says that it is there.
            status, _ = call(server.base, "PUT", f"/Observation/n{number}", body, **{"If-None-Match": "*"})
        except (OSError, http.client.HTTPException, ValueError):
            threading.Event().wait(0.05)  # the server starts again
            return False
        return status in (201, 412)

    def wait_for(self, count: int) -> None:
        """Return once so many are there."""
        with self._enough:
            assert self._enough.wait_for(lambda: self._done >= count, timeout=120), self._done

    def finish(self) -> None:
        self.wait_for(COUNT)
        for thread in self._threads:
            thread.join(60)


def subscription(channel: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "a test",
        "criteria": "Observation?status=final",
        "channel": channel,
    }


def activate(base: str, resource: dict[str, Any]) -> str:
    """Create it, and answer its id once it is active."""
    status, created = call(base, "POST", "/Subscription", resource)
    assert status == 201, created
    for _ in range(1200):  # at least a minute
        status, found = call(base, "GET", f"/Subscription/{created['id']}")
        assert (status, found["status"] in ("requested", "active")) == (200, True), found
        if found["status"] == "active":
            return str(created["id"])
        threading.Event().wait(0.05)  # nobody tells a plain reader
    raise AssertionError("it did not become active")


def assert_each_once(events: list[dict[str, Any]]) -> None:
    assert [one["number"] for one in events] == list(range(1, COUNT + 1))
    focuses = Counter(one["focus"].split("/fhir/")[-1].partition("/_history")[0] for one in events)
    assert focuses == Counter({f"Observation/n{number}": 1 for number in range(COUNT)})


def test_a_resuming_socket_holds_every_event_once_and_in_order(town: Town) -> None:
    content = {"url": f"{BACKPORT}/backport-payload-content", "valueCode": "id-only"}
    system = "http://fhir-server.example/ig/CodeSystem/subscription-channel"
    kind = {"url": f"{BACKPORT}/backport-channel-type", "valueCoding": {"system": system, "code": "socketio"}}
    channel = {
        "type": "websocket",
        "_type": {"extension": [kind]},
        "payload": "application/fhir+json",
        "_payload": {"extension": [content]},
    }
    id_ = activate(town.one.base, subscription(channel))
    with script("subscriber.mjs") as client:
        assert client("connect", url=town.two.base.removesuffix("/fhir"), id=id_) == []
        writing = Writing(town)
        writing.wait_for(150)
        town.kill_and_restart_one()
        writing.wait_for(350)
        client("drop")
        writing.wait_for(500)
        town.restart_mongod()
        writing.wait_for(650)
        client("leave")
        town.kill_and_restart_two()
        writing.wait_for(800)
        client("back")
        writing.finish()
        events = client("wait", count=COUNT, seconds=120)
        assert client("refused") == []
    assert_each_once(events)


class Receiver:
    """A rest-hook endpoint that answers 503 while it is `failing`, and keeps what it accepted in order."""

    def __init__(self) -> None:
        self.failing = False
        self.refused = 0
        self.events: list[dict[str, Any]] = []
        self._more = threading.Condition()

    def take(self, bundle: dict[str, Any]) -> int:
        with self._more:
            if self.failing:
                self.refused += 1
                self._more.notify_all()
                return 503
            for parameter in bundle["entry"][0]["resource"]["parameter"]:
                if parameter["name"] == "notification-event":
                    part = {one["name"]: one for one in parameter["part"]}
                    number = int(part["event-number"]["valueString"])
                    self.events.append({"number": number, "focus": part["focus"]["valueReference"]["reference"]})
            self._more.notify_all()
            return 200

    def wait_until(self, condition: Callable[[], bool], seconds: float = 120) -> None:
        with self._more:
            assert self._more.wait_for(condition, seconds), len(self.events)


@contextmanager
def receiving() -> Iterator[tuple[Receiver, str]]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(receiver.take(json.loads(content)))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield receiver, f"http://127.0.0.1:{server.server_port}/hook"
        server.shutdown()


def test_a_rest_hook_that_fails_for_a_while_gets_every_event_in_order(town: Town) -> None:
    with receiving() as (receiver, url):
        content = {"url": f"{BACKPORT}/backport-payload-content", "valueCode": "id-only"}
        many = {"url": f"{BACKPORT}/backport-max-count", "valuePositiveInt": 20}
        channel = {
            "extension": [many],
            "type": "rest-hook",
            "endpoint": url,
            "payload": "application/fhir+json",
            "_payload": {"extension": [content]},
        }
        activate(town.one.base, subscription(channel))
        writing = Writing(town)
        writing.wait_for(150)
        town.kill_and_restart_one()
        writing.wait_for(350)
        receiver.failing = True
        receiver.wait_until(lambda: receiver.refused > 0)
        town.restart_mongod()
        writing.wait_for(700)
        receiver.failing = False
        town.kill_and_restart_two()
        writing.finish()
        receiver.wait_until(lambda: len({one["number"] for one in receiver.events}) == COUNT)
    numbers = [one["number"] for one in receiver.events]
    first_seen = list(dict.fromkeys(numbers))
    assert first_seen == list(range(1, COUNT + 1))  # what is repeated has the number it had
    by_number = {one["number"]: one for one in receiver.events}
    assert_each_once([by_number[number] for number in first_seen])
