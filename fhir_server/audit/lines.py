"""The text of a group while it grows: what is appended to a file for each entry is also what is hashed and stored.

A line is an entry, `[at, "read", "R", 200, 0, "Patient", …]`, or an agent under the number that entries name it by,
`{"0": ["dr-who", …]}`: what all requests of a caller have in common is there once. What is empty at an entry's end is
left out.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from typing import Any

import msgspec

from fhir_server.audit.entry import MAX_PATIENTS, MAX_QUERY, NOBODY, Agent, Entry

MAX_ENTRIES = 4000  # a group's journal write and its keys are shared by so many
MAX_BYTES = 1024 * 1024  # of one group, more only for a single entry; a document holds 16 MB
_encode = msgspec.json.Encoder().encode
_BRACE = ord("{")


class Lines:
    """The entries of one group, and the text that they are."""

    __slots__ = ("_agents", "_number", "_parts", "_recent", "entries", "size")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.size = 0  # bytes
        self._parts: list[bytes] = []
        self._agents: dict[Agent, int] = {}
        self._recent = NOBODY  # an agent is found by what it is, which takes a while: most often it is the last one
        self._number = -1

    def encode(self, entry: Entry) -> bytes:
        """The line of an entry, to be given to `add`; before it that of its agent, when it is the first one's."""
        agent = entry.agent
        if agent is self._recent and self._number >= 0:
            return _line(entry, self._number)
        number = self._agents.get(agent)
        if number is not None:
            self._recent, self._number = agent, number
            return _line(entry, number)
        number = len(self._agents)
        return b"%b\n%b" % (_encode({str(number): entry.agent}), _line(entry, number))

    def add(self, entry: Entry, data: bytes) -> bool:
        """Take the entry, as `encode` made it; False when there is no room for it."""
        size = self.size + len(data)
        if (size > MAX_BYTES or len(self.entries) >= MAX_ENTRIES) and self.entries:
            return False
        if data[0] == _BRACE:
            self._agents[entry.agent] = len(self._agents)
        self.entries.append(entry)
        self._parts.append(data)
        self.size = size
        return True

    def text(self) -> str:
        """The text of the group."""
        return b"".join(self._parts).decode()


def _line(entry: Entry, agent: int) -> bytes:
    if len(entry.query) > MAX_QUERY or len(entry.patients) > MAX_PATIENTS:
        _shorten(entry)
    fields: tuple[Any, ...] = (
        entry.at,
        entry.interaction,
        entry.action,
        entry.status,
        agent,
        entry.type,
        entry.id,
        entry.version,
        entry.query,
        entry.patients,
        entry.request,
    )
    if entry.operation or entry.bundle or entry.purpose or entry.issue:
        fields += (entry.operation, entry.bundle, entry.purpose, entry.issue)
    try:
        return _encode(fields) + b"\n"
    except UnicodeEncodeError:  # half a surrogate pair in a query
        return _encode((*fields[:8], fields[8].encode(errors="replace").decode(), *fields[9:])) + b"\n"


def _shorten(entry: Entry) -> None:
    if len(entry.query) > MAX_QUERY:
        entry.query = entry.query[:MAX_QUERY] + "…"
    entry.patients = entry.patients[:MAX_PATIENTS]


def gathered(entries: Iterable[Entry]) -> Iterator[Lines]:
    """The entries in as many groups as they need."""
    lines = Lines()
    for entry in entries:
        if not lines.add(entry, lines.encode(entry)):
            yield lines
            lines = Lines()
            lines.add(entry, lines.encode(entry))
    if lines.entries:
        yield lines


# ---- reading -------------------------------------------------------------------------------------------


class _Line(msgspec.Struct, array_like=True, gc=False):
    """An Entry with the number of its agent; earlier versions had the agent itself there."""

    at: int
    interaction: str
    action: str
    status: int
    agent: int | Agent = -1
    type: str = ""
    id: str = ""
    version: str = ""
    query: str = ""
    patients: tuple[str, ...] = ()
    request: str = ""
    operation: str = ""
    bundle: str = ""
    purpose: str = ""
    issue: str = ""


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_agents = msgspec.json.Decoder(dict[int, Agent]).decode
_decode_list = msgspec.json.Decoder(list[Entry]).decode


def decode(text: str) -> list[Entry]:
    """The entries of a group, none of a closing one. Raises msgspec.DecodeError for what is no such text."""
    if text.startswith("[["):  # of an earlier version
        return _decode_list(text)
    agents: dict[int, Agent] = {}
    found: list[Entry] = []
    for line in text.split("\n"):
        if line.startswith("{"):
            agents |= _decode_agents(line)
        elif line:
            found.append(_entry(_decode_line(line), agents))
    return found


def picked(text: str, needed: Iterable[Collection[str]]) -> Iterator[tuple[int, Entry]]:
    """The entries that may have one of the `names` in each of these, and their places in the group, the last first.

    Few are read: what has a name of a patient or resource has its id somewhere in its line.
    """
    if text.startswith("[["):  # of an earlier version
        yield from reversed([*enumerate(_decode_list(text))])
        return
    every = text.split("\n")
    agents: dict[int, Agent] = {}
    for line in every:
        if line.startswith("{"):
            agents |= _decode_agents(line)
    users = {f"a{agent.user}" for agent in agents.values()}
    # Agents stand in other lines; where there are none, in the entries, as in earlier versions.
    sets = [some for some in needed if agents and users.isdisjoint(some)]
    parts = [[_part(name) for name in some if not name.startswith("a")] for some in sets]
    rows = [line for line in every if line and not line.startswith("{")]
    for place in range(len(rows) - 1, -1, -1):
        row = rows[place]
        if all(any(part in row for part in some) for some in parts):
            yield place, _entry(_decode_line(row), agents)


def _part(name: str) -> str:
    """What a line has of a name, as JSON."""
    return _encode(name[1:].rpartition("/")[2])[1:-1].decode()


def salvaged(data: bytes) -> list[Entry]:
    """The entries of a file that its process did not finish: without those of which only a part was written."""
    agents: dict[int, Agent] = {}
    found: list[Entry] = []
    for line in data.split(b"\n"):
        try:
            if line.startswith(b"{"):
                agents |= _decode_agents(line)
            elif line:
                found.append(_entry(_decode_line(line), agents))
        except msgspec.DecodeError:
            continue
    return found


def _entry(line: _Line, agents: dict[int, Agent]) -> Entry:
    agent = agents.get(line.agent, NOBODY) if isinstance(line.agent, int) else line.agent
    head = (line.at, line.interaction, line.action, line.status, agent, line.type, line.id, line.version, line.query)
    return Entry(*head, line.patients, line.request, line.operation, line.bundle, line.purpose, line.issue)


# ---- keys ----------------------------------------------------------------------------------------------


def key(name: str, before: int = 0) -> int:
    """A name as it is indexed, short: what two names share, a search tells apart by the entries themselves.

    `before` is `begun` of what the name begins with.
    """
    return zlib.crc32(name.encode(errors="replace"), before) - 0x8000_0000


@lru_cache(1024)
def begun(start: str) -> int:
    """The way of `key` through the beginning that many names share."""
    return zlib.crc32(start.encode(errors="replace"))


def names(entries: Iterable[Entry]) -> set[str]:
    """What a group is found by: patients (p), users (a) and the resources (e) of its entries that are no patients."""
    patients: set[str] = set()
    resources: set[tuple[str, str]] = set()
    agents: set[Agent] = set()
    for entry in entries:
        patients.update(entry.patients)
        resources.add((entry.type, entry.id))
        agents.add(entry.agent)
    found = {"p" + patient for patient in patients}
    found.update([f"pPatient/{id_}" if type_ == "Patient" else f"e{type_}/{id_}" for type_, id_ in resources if id_])
    found.update(["a" + agent.user for agent in agents if agent.user])
    return found


def keys(entries: Iterable[Entry]) -> list[int]:
    """The keys of a group's `names`, each once."""
    patients: set[str] = set()
    users: set[str] = set()
    ids: defaultdict[str, set[str]] = defaultdict(set)
    for entry in entries:
        patients.update(entry.patients)
        ids[entry.type].add(entry.id)
        users.add(entry.agent.user)
    found = {key(patient, begun("p")) for patient in patients}
    found.update([key(user, begun("a")) for user in users if user])
    for type_, some in ids.items():
        start = begun("pPatient/" if type_ == "Patient" else f"e{type_}/")
        found.update([key(id_, start) for id_ in some if id_])
    return sorted(found)
