"""Searches put to a server: how long each shape takes, what the database examined for it, and how pages go on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import median
from time import perf_counter
from urllib.parse import urlsplit

import msgspec

from benchmarks import checks
from benchmarks.client import Answer, Connection
from benchmarks.load import Call, Measurement, Plan, Script, run
from benchmarks.processes import Usage
from benchmarks.session import Session, Unusable
from benchmarks.shapes import Shape, url

EXPLAINED = 10  # queries of a shape whose plan is asked for
LAST_PAGE, AT_EACH_END = 500, 5
WALKS = {
    "Observation": url("Observation"),
    "Observation?category=laboratory": url("Observation", ("category", "laboratory")),
    "Observation?category=vital-signs&_sort=-date": url("Observation", ("category", "vital-signs"), ("_sort", "-date")),
}
_bundle = msgspec.json.Decoder(checks.Bundle)
Used = Callable[[], Usage]


class Examined(msgspec.Struct):
    """The database's work for a search, look-ups before it included, as means over the queries explained."""

    keys: float = 0.0
    documents: float = 0.0
    returned: float = 0.0
    lookups: float = 0.0  # queries before the search itself


class Asked(msgspec.Struct):
    """One shape's figures, asked one at a time; milliseconds."""

    name: str
    group: str
    requests: int
    p50: float
    p99: float
    cpu: float  # of server and database, ms per request
    examined: Examined | None
    failed: dict[str, int]
    wrong: dict[str, int]


class Page(msgspec.Struct):
    """A walk along the next links: medians of the first pages and of those about the last one reached."""

    search: str
    last: int
    first_ms: float
    last_ms: float


async def ask(session: Session, shape: Shape, paths: Sequence[str], plan: Plan, used: Used) -> Asked:
    """Ask the queries of a shape in turn, one at a time."""
    found = await run(shape.name, session.target, [_script(session, [(shape, paths)])], plan, used)
    examined = await explain(session, paths[:EXPLAINED]) if "$" not in paths[0].partition("?")[0] else None
    cpu = found.server_cpu + found.database_cpu
    return Asked(
        shape.name, shape.group, found.requests, found.p50, found.p99, cpu, examined, found.failed, found.wrong
    )


async def mix(
    session: Session, shapes: Sequence[tuple[Shape, Sequence[str]]], connections: int, plan: Plan, used: Used
) -> Measurement:
    """Ask all shapes equally often, over this many connections."""
    scripts = [_script(session, shapes, worker) for worker in range(connections)]
    return await run("search mix", session.target, scripts, plan, used)


def _script(session: Session, shapes: Sequence[tuple[Shape, Sequence[str]]], worker: int = 0) -> Script:
    def forever() -> Iterator[Call]:
        dice = session.dice("scale", worker)
        calls = [
            [Call(session.target.request("GET", path), partial(judge, shape)) for path in paths]
            for shape, paths in shapes
        ]
        while True:
            for each in dice.sample(calls, len(calls)):
                yield dice.choice(each)

    return forever()


def judge(shape: Shape, answer: Answer, thorough: bool) -> str | None:
    """A searchset, and with matches where the values were taken from a resource that is there."""
    bundle = _bundle.decode(answer.body)
    if bundle.resourceType != "Bundle" or bundle.type != "searchset":
        return f"{shape.name}: not a searchset"
    return f"{shape.name}: no match" if shape.matches and not bundle.entry else None


async def explain(session: Session, paths: Sequence[str]) -> Examined | None:
    """What the plans of these searches say; None when the server does not tell."""
    found = []
    for path in paths:
        answer = await session.fetch(f"{path}&__explain=true")
        if answer.status != 200 or "parameter" not in answer.json():
            return None
        plans = [
            {part["name"]: part.get("valueInteger", 0) for part in parameter["part"]}
            for parameter in answer.json()["parameter"]
            if parameter["name"] == "plan"
        ]
        keys, documents = (sum(plan[name] for plan in plans) for name in ("keysExamined", "documentsExamined"))
        found.append((keys, documents, plans[-1]["returned"], len(plans) - 1))
    return Examined(*(sum(each) / len(found) for each in zip(*found, strict=True)))


async def walk(session: Session, pages: int = LAST_PAGE) -> list[Page]:
    """Follow the next links of each of WALKS up to a page, or to the end."""
    return [await _walk(session, name, path, pages) for name, path in WALKS.items()]


async def _walk(session: Session, name: str, path: str, pages: int) -> Page:
    connection, times = Connection(session.target), list[float]()
    try:
        for number in itertools.count(1):
            answer = await connection.exchange(session.target.request("GET", path))
            times.append(1000 * (perf_counter() - connection.started))
            if answer.status != 200:
                raise Unusable(f"page {number} of {name}: the server answers {answer.status}")
            following = _bundle.decode(answer.body).next()
            if following is None or number == pages:
                break
            parts = urlsplit(following)  # stays on this server, whatever host the link names
            path = f"{parts.path}?{parts.query}"
    finally:
        connection.close()
    return Page(name, len(times), median(times[:AT_EACH_END]), median(times[-AT_EACH_END:]))
