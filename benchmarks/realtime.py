"""`python -m benchmarks.realtime`: from commit to socket, what subscriptions cost a write, what an idle socket weighs.

`latency`: so many sockets, each with a subscription of its own patient, and writes at a steady rate, each of which one
socket hears of. `cost`: creates as fast as 16 connections go, with subscriptions that none of them fits.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import msgspec
import uvloop
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.client import Connection
from benchmarks.processes import tree, usage
from benchmarks.server import Started, serving
from benchmarks.target import Target, target

Json = dict[str, Any]
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
CHANNELS = "http://fhir-server.example/ig/CodeSystem/subscription-channel"


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="python -m benchmarks.realtime", description="Measure subscriptions.")
    found.add_argument("--only", choices=["latency", "cost"], help="one of the measurements")
    found.add_argument("--sockets", type=int, default=1000, help="each with a subscription")
    found.add_argument("--rate", type=int, default=100, help="writes per second")
    found.add_argument("--seconds", type=float, default=20.0, help="of writing")
    found.add_argument("--subscriptions", type=int, nargs="+", default=[0, 100, 10_000], help="that do not match")
    found.add_argument("--repetitions", type=int, default=3, help="of the cost, of which the median is told")
    found.add_argument("--open", action="store_true", help="without sign-in")
    return found


def subscription(criteria: str) -> Json:
    """One for a socket, which tells ids only."""
    kind = {"url": f"{BACKPORT}/backport-channel-type", "valueCoding": {"system": CHANNELS, "code": "socketio"}}
    content = {"url": f"{BACKPORT}/backport-payload-content", "valueCode": "id-only"}
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "measurement",
        "criteria": criteria,
        "channel": {
            "type": "websocket",
            "_type": {"extension": [kind]},
            "payload": "application/fhir+json",
            "_payload": {"extension": [content]},
        },
    }


def observation(patient: str) -> Json:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "valueQuantity": {"value": 72, "unit": "/min"},
    }


class Api:
    """The FHIR API of the server, over a few connections."""

    def __init__(self, where: Target) -> None:
        self.where = where
        self._connection = Connection(where)

    async def call(self, method: str, path: str, body: Json | None = None) -> Json:
        """The decoded answer; RuntimeError for anything but success."""
        sent = self.where.request(method, path, msgspec.json.encode(body) if body is not None else None)
        answer = await self._connection.exchange(sent)
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.body[:300]!r}")
        found: Json = answer.json()
        return found

    async def subscribe(self, criteria: Sequence[str]) -> list[str]:
        """Active subscriptions with these criteria, their ids in the same order."""
        ids: list[str] = []
        for start in range(0, len(criteria), 200):
            entry = [
                {"resource": subscription(one), "request": {"method": "POST", "url": "Subscription"}}
                for one in criteria[start : start + 200]
            ]
            bundle: Json = {"resourceType": "Bundle", "type": "batch", "entry": entry}
            answer = await self.call("POST", "", bundle)
            ids += [one["response"]["location"].split("/Subscription/")[1].split("/")[0] for one in answer["entry"]]
        while criteria:
            waiting = await self.call("GET", "Subscription?status=requested&_summary=count")
            if not waiting["total"]:
                break
            await asyncio.sleep(0.2)
        return ids


@dataclass
class Socket:
    """One Socket.IO connection, spoken by hand: a client library would weigh more than what is measured."""

    connection: ClientConnection
    id: str
    heard: dict[str, float] = field(default_factory=dict)  # by "Observation/id": perf_counter()
    repeated: int = 0

    @classmethod
    async def open(cls, where: Target, token: str, id_: str) -> Socket:
        """Connected and joined to the subscription."""
        connection = await connected(where, token)
        made = cls(connection, id_)
        await connection.send("420" + msgspec.json.encode(["subscription:join", {"subscription": id_}]).decode())
        while not str(message := await connection.recv()).startswith("430"):
            await made.take(str(message), 0.0)
        answer = msgspec.json.decode(str(message)[3:])
        if not answer[0].get("ok"):
            raise RuntimeError(f"not joined: {answer}")
        return made

    async def listen(self) -> None:
        """Note what comes, and when, until the connection ends."""
        async for message in self.connection:
            await self.take(str(message), perf_counter())

    async def take(self, message: str, at: float) -> None:
        if message == "2":
            await self.connection.send("3")
        elif message.startswith("42"):
            number, _, content = message[2:].partition("[")
            event, *data = msgspec.json.decode("[" + content)
            if number:
                await self.connection.send(f"43{number}[]")
            if event == "subscription:event":
                for focus in focuses(data[0]):
                    self.repeated += focus in self.heard
                    self.heard[focus] = at


async def connected(where: Target, token: str) -> ClientConnection:
    """A connection to the root namespace."""
    url = f"ws://{where.address}:{where.port}/socket.io/?EIO=4&transport=websocket"
    connection = await connect(url, compression=None, max_queue=64)
    assert str(await connection.recv()).startswith("0")
    await connection.send("40" + msgspec.json.encode({"token": token}).decode())
    while not str(message := await connection.recv()).startswith("40"):
        if str(message).startswith("44"):
            raise RuntimeError(f"refused: {message!r}")
    return connection


def focuses(bundle: Json) -> list[str]:
    """ "Type/id" of each event of a notification."""
    found = []
    for one in bundle["entry"][0]["resource"]["parameter"]:
        if one["name"] == "notification-event":
            reference = next(part["valueReference"]["reference"] for part in one["part"] if part["name"] == "focus")
            found.append("/".join(reference.partition("/_history")[0].split("/")[-2:]))
    return found


async def latency(server: Started, where: Target, options: argparse.Namespace) -> None:
    """Open the sockets, write, and tell how long after the answer to a write its socket heard of it."""
    token = next((one.partition("Bearer ")[2] for one in server.headers), "")
    api = Api(where)
    patients = [f"p{number}" for number in range(options.sockets)]
    ids = await api.subscribe([f"Observation?subject=Patient/{patient}" for patient in patients])
    print(f"{len(ids)} subscriptions are active", flush=True)
    before = usage(tree([server.pid])).server_rss
    sockets: list[Socket] = []
    for start in range(0, len(ids), 25):
        opened = [Socket.open(where, token, id_) for id_ in ids[start : start + 25]]
        sockets += await asyncio.gather(*opened)
    listening = [asyncio.create_task(socket.listen()) for socket in sockets]
    await asyncio.sleep(2)
    after = usage(tree([server.pid])).server_rss
    print(
        f"an idle socket: {(after - before) / len(sockets) / 1024:.1f} KB (server {after / 2**20:.0f} MB)", flush=True
    )
    written = await _write(where, patients, options)
    await asyncio.sleep(2)
    from_answer, from_request, missing = [], [], 0
    for number, (key, (sent, answered)) in enumerate(written.items()):
        heard = sockets[number % len(sockets)].heard.get(key)
        if heard is None:
            missing += 1
        else:
            from_answer.append(1000 * (heard - answered))
            from_request.append(1000 * (heard - sent))
    for name, figures in (("the answer to the write", from_answer), ("the request", from_request)):
        print(f"from {name} to the socket: {told(figures)}")
    print(f"{len(written)} writes, {missing} not heard, {sum(one.repeated for one in sockets)} heard twice")
    print("writes took", told([1000 * (answered - sent) for sent, answered in written.values()]))
    for task in listening:
        task.cancel()
    await asyncio.gather(*listening, return_exceptions=True)
    with suppress(Exception):
        await asyncio.gather(*(socket.connection.close() for socket in sockets))


async def _write(where: Target, patients: Sequence[str], options: argparse.Namespace) -> dict[str, tuple[float, float]]:
    """Creates at the steady rate; by "Observation/id": when each was sent and answered, in the order they were sent."""
    free = [Connection(where) for _ in range(32)]
    found: list[tuple[str, float, float]] = []

    async def one(connection: Connection, patient: str) -> tuple[str, float, float]:
        body = msgspec.json.encode(observation(patient))
        sent = perf_counter()
        answer = await connection.exchange(where.request("POST", "Observation", body))
        answered = perf_counter()
        if answer.status != 201:
            raise RuntimeError(f"create: {answer.status}")
        free.append(connection)
        return f"Observation/{answer.json()['id']}", sent, answered

    tasks = []
    began = perf_counter()
    for number in range(int(options.rate * options.seconds)):
        await asyncio.sleep(max(0.0, began + number / options.rate - perf_counter()))
        while not free:
            await asyncio.sleep(0.001)
        tasks.append(asyncio.create_task(one(free.pop(), patients[number % len(patients)])))
    found = await asyncio.gather(*tasks)
    return {key: (sent, answered) for key, sent, answered in found}


def told(figures: Sequence[float]) -> str:
    """Median and p99, in milliseconds."""
    if len(figures) < 2:
        return "nothing"
    hundredths = statistics.quantiles(figures, n=100)
    return f"median {hundredths[49]:.1f} ms, p99 {hundredths[98]:.1f} ms, most {max(figures):.1f} ms"


async def cost(server: Started, where: Target, options: argparse.Namespace) -> None:
    """Creates per second and the CPU of each, with more and more subscriptions that they do not fit."""
    api = Api(where)
    there = 0
    for count in options.subscriptions:
        await api.subscribe([f"Observation?subject=Patient/nobody{number}" for number in range(there, count)])
        there = count
        await _calm(server)
        rates, cpu = [], []
        for _ in range(options.repetitions):
            rate, each = await _creates(server, where, options.seconds / 4)
            rates.append(rate)
            cpu.append(each)
        rss = usage(tree([server.pid])).server_rss / 2**20
        print(
            f"{count:6} subscriptions: {statistics.median(rates):7.0f} creates/s, "
            f"{1000 * statistics.median(cpu):.3f} ms of CPU each, server {rss:.0f} MB",
            flush=True,
        )


async def _calm(server: Started) -> None:
    """Return once the server has nothing left to do with what it was given: thousands of handshakes take their time."""
    pids = tree([server.pid], str(server.data_dir))
    before = usage(pids)
    while True:
        await asyncio.sleep(3)
        after = usage(pids)
        if after.server_cpu + after.database_cpu - before.server_cpu - before.database_cpu < 0.6:
            return
        before = after


async def _creates(server: Started, where: Target, seconds: float) -> tuple[float, float]:
    pids = tree([server.pid], str(server.data_dir))
    before, began, done = usage(pids), perf_counter(), 0

    async def writer(number: int) -> None:
        nonlocal done
        connection = Connection(where)
        while perf_counter() < began + seconds:
            body = msgspec.json.encode(observation(f"p{number}"))
            answer = await connection.exchange(where.request("POST", "Observation", body))
            if answer.status != 201:
                raise RuntimeError(f"create: {answer.status}")
            done += 1
        connection.close()

    await asyncio.gather(*(writer(number) for number in range(16)))
    took, after = perf_counter() - began, usage(pids)
    used = after.server_cpu + after.database_cpu - before.server_cpu - before.database_cpu
    return done / took, used / done


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    for name, measure in (("latency", latency), ("cost", cost)):
        if options.only in (None, name):
            with (
                serving(1, sign_in=not options.open) as server,
                asyncio.Runner(loop_factory=uvloop.new_event_loop) as run,
            ):
                where = target(server.base, server.headers)
                print(f"{name}: {where.host}", flush=True)
                run.run(measure(server, where, options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
