"""`python -m benchmarks.emergency`: from an emergency's HTTP request to the sockets of those on duty.

So many clinicians, each with an account, an all-day PractitionerRole and a socket in the responders' room. Flags are
posted one after another, the next when everybody has heard of the one before and has their alert, or after a while.
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
from websockets.asyncio.client import ClientConnection

from benchmarks.client import Connection
from benchmarks.realtime import connected
from benchmarks.server import Started, serving
from benchmarks.target import Target, target
from fhir_server.cli._accounts import with_accounts
from fhir_server.config import Settings
from fhir_server.context import FhirRequest
from smart_auth.clients import Client
from smart_auth.grant import Grant, new_id
from smart_auth.users import User

Json = dict[str, Any]
ROLES = ("doctor", "nurse", "paramedic")
EMERGENCY = {"system": "http://fhir-server.example/ig/CodeSystem/flag-category", "code": "emergency"}
PATIENCE = 20.0  # seconds after which an alert counts as not heard


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="python -m benchmarks.emergency", description="Measure emergency alerts.")
    found.add_argument("--sockets", type=int, default=200, help="clinicians on duty, each with one")
    found.add_argument("--flags", type=int, default=60, help="emergencies, one after another")
    found.add_argument("--warm-up", type=int, default=3, help="emergencies before those that count")
    return found


def resources(number: int) -> list[Json]:
    """A clinician who is on duty all day, and a patient."""
    practitioner = {"resourceType": "Practitioner", "id": f"c{number}", "active": True}
    role = {"resourceType": "PractitionerRole", "id": f"c{number}", "active": True, "availableTime": [{"allDay": True}]}
    patient = {"resourceType": "Patient", "id": f"p{number}"}
    return [practitioner, {**role, "practitioner": {"reference": f"Practitioner/c{number}"}}, patient]


def clinicians(server: Started, count: int) -> list[str]:
    """Make them, and answer a token of each one's own role."""

    async def make(auth: Any, running: Any) -> list[str]:
        await auth.clients.add(Client("ward", "Ward", redirect_uris=("http://127.0.0.1/",), scopes="user/*.cruds"))
        ctx, tokens = running.context(), []
        for number in range(count):
            for one in resources(number):
                await ctx.dispatch(ctx, FhirRequest("PUT", f"{one['resourceType']}/{one['id']}", body=one))
            login, reference = f"c{number}", f"Practitioner/c{number}"
            await auth.users.add(User(login, fhir_user=reference, roles=(ROLES[number % len(ROLES)],)))
            grant = Grant(new_id(), "ward", login, reference, "user/*.cruds")
            tokens.append((await auth.tokens.issue(grant, seconds=3600)).access)
        return tokens

    return with_accounts(Settings(data_dir=server.data_dir, mongodb_uri=None), make)


def flag(number: int) -> Json:
    return {
        "resourceType": "Flag",
        "status": "active",
        "category": [{"coding": [EMERGENCY]}],
        "code": {"text": "Chest pain"},
        "subject": {"reference": f"Patient/p{number}"},
    }


@dataclass
class Ear:
    """One clinician's socket, and when it heard of what: by the id of the Flag."""

    connection: ClientConnection
    alerts: dict[str, float] = field(default_factory=dict)
    notices: dict[str, float] = field(default_factory=dict)
    repeated: int = 0

    @classmethod
    async def open(cls, where: Target, token: str) -> Ear:
        """Connected, and in the responders' room."""
        made = cls(await connected(where, token))
        await made.connection.send('420["emergency:join"]')
        while not (message := str(await made.connection.recv())).startswith("430"):
            await made.take(message, 0.0)
        if not msgspec.json.decode(message[3:])[0].get("ok"):
            raise RuntimeError(f"not joined: {message}")
        return made

    async def listen(self) -> None:
        async for message in self.connection:
            await self.take(str(message), perf_counter())

    async def take(self, message: str, at: float) -> None:
        if message == "2":
            await self.connection.send("3")
        elif message.startswith('42["emergency:alert"'):
            self._note(self.alerts, msgspec.json.decode(message[2:])[1]["id"], at)
        elif message.startswith('42["notification"'):
            for about in msgspec.json.decode(message[2:])[1]["about"]:
                self._note(self.notices, about.partition("/")[2], at)

    def _note(self, heard: dict[str, float], id_: str, at: float) -> None:
        self.repeated += id_ in heard
        heard.setdefault(id_, at)


async def measure(where: Target, tokens: Sequence[str], options: argparse.Namespace) -> None:
    """Open the sockets, post, and tell how long it took."""
    ears: list[Ear] = []
    for start in range(0, len(tokens), 25):
        ears += await asyncio.gather(*(Ear.open(where, token) for token in tokens[start : start + 25]))
    listening = [asyncio.create_task(ear.listen()) for ear in ears]
    author = Connection(target(f"http://{where.host}{where.path}", [f"Authorization: Bearer {tokens[0]}"]))
    posted: dict[str, tuple[float, float]] = {}
    for number in range(options.warm_up + options.flags):
        body = msgspec.json.encode(flag(number % len(tokens)))
        sent = perf_counter()
        answer = await author.exchange(author.target.request("POST", "Flag", body))
        answered = perf_counter()
        if answer.status != 201:
            raise RuntimeError(f"Flag: {answer.status} {answer.body[:300]!r}")
        id_ = answer.json()["id"]
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while not _heard_by_all(ears, id_):
                    await asyncio.sleep(0.02)
        if number >= options.warm_up:
            posted[id_] = (sent, answered)
    await asyncio.sleep(1)  # for what comes twice
    tell(ears, posted)
    for task in listening:
        task.cancel()
    await asyncio.gather(*listening, return_exceptions=True)
    with suppress(Exception):
        await asyncio.gather(*(ear.connection.close() for ear in ears))


def _heard_by_all(ears: Sequence[Ear], id_: str) -> bool:
    """The author, whose the first socket is, needs no alert of their own."""
    return all(id_ in ear.alerts for ear in ears) and all(id_ in ear.notices for ear in ears[1:])


def tell(ears: Sequence[Ear], posted: dict[str, tuple[float, float]]) -> None:
    """Print the figures of all Flags and sockets, and what was not heard, or twice."""
    expected = len(ears) * len(posted)
    alerts = [(ear.alerts[id_], *times) for id_, times in posted.items() for ear in ears if id_ in ear.alerts]
    notices = [(ear.notices[id_], *times) for id_, times in posted.items() for ear in ears[1:] if id_ in ear.notices]
    print(f"{len(posted)} emergencies, {len(ears)} sockets")
    print("from the request to emergency:alert:", told([1000 * (at - sent) for at, sent, _ in alerts]))
    print("from the answer to emergency:alert:", told([1000 * (at - answered) for at, _, answered in alerts]))
    print("from the request to the notification:", told([1000 * (at - sent) for at, sent, _ in notices]))
    print("requests took", told([1000 * (answered - sent) for sent, answered in posted.values()]))
    missing = expected - len(alerts), (len(ears) - 1) * len(posted) - len(notices)
    print(f"not heard: {missing[0]} alerts, {missing[1]} notifications; heard twice: {sum(e.repeated for e in ears)}")


def told(figures: Sequence[float]) -> str:
    """Median, p95 and p99, in milliseconds."""
    if len(figures) < 2:
        return "nothing"
    parts = statistics.quantiles(figures, n=100)
    return f"median {parts[49]:.1f} ms, p95 {parts[94]:.1f} ms, p99 {parts[98]:.1f} ms, most {max(figures):.1f} ms"


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    with serving(1, sign_in=True) as server:
        tokens = clinicians(server, options.sockets)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as run:
            run.run(measure(target(server.base), tokens, options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
