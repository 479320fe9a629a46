"""The pages of docs/workflows as programs: their blocks, run in order, the calls in them, and their tables."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from tests.clients.node import HERE as CLIENTS
from tests.clients.node import missing, node

DOCS = Path(__file__).resolve().parents[2] / "docs" / "workflows"
SECONDS = 300  # for a whole page
FENCE = re.compile(r"^```(sh|js)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HIDING = re.compile(r"^(\s*)export (?=\w+=\"?\$\()", re.MULTILINE)
ID = """#!{python}
import json, sys
text = sys.stdin.read()
try:
    print(json.loads(text)["id"])
except (ValueError, KeyError, TypeError):
    sys.exit(f"id: no resource with an id, but {{text[:300]!r}}")
"""


class Broken(AssertionError):
    """A block that failed, or a line of a table that no block does."""


@dataclass(frozen=True)
class Block:
    kind: str  # sh | js
    text: str
    line: int  # of the page


@dataclass(frozen=True)
class Call:
    """`GET Encounter/{id}?status=…`: method, path with {id} for what differs, names of the query's parameters."""

    method: str
    path: str
    names: frozenset[str] = frozenset()

    def does(self, wanted: Call) -> bool:
        """Whether this is the wanted call, or one with more parameters."""
        ours, theirs = self.path.split("/"), wanted.path.split("/")
        same = len(ours) == len(theirs) and all(b in (a, "{id}") for a, b in zip(ours, theirs, strict=True))
        return same and self.method == wanted.method and wanted.names <= self.names


def blocks(page: str) -> list[Block]:
    return [Block(found[1], found[2], page[: found.start()].count("\n") + 2) for found in FENCE.finditer(page)]


def play(page: str, given: Mapping[str, str], folder: Path) -> None:
    """Run the blocks of a page in order in one bash, js blocks by node. Raises Broken with the block that failed."""
    found = blocks(page)
    script = ["set -Eeuo pipefail", """trap 'echo "failed: $BASH_COMMAND" >&2' ERR"""]
    script.append("set -a")  # each variable is exported: js blocks see them
    (folder / "node_modules").symlink_to(CLIENTS / "node_modules")
    (folder / "bin").mkdir()
    (folder / "bin" / "id").write_text(ID.format(python=sys.executable))
    (folder / "bin" / "id").chmod(0o755)
    for number, block in enumerate(found):
        script.append(f"echo {number} > {folder}/block")
        if block.kind == "js":
            (folder / f"{number}.mjs").write_text(block.text)
            script.append(f"{node()} {folder}/{number}.mjs")
        else:  # `export A=$(…)` would succeed whatever the command says
            script.append(HIDING.sub(r"\1", block.text))
    path = os.pathsep.join((str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]))
    status, told = _bash("\n".join(script), {"PATH": path, "HOME": str(folder), "NO_PROXY": "*", **given}, folder)
    if status:
        block = found[int((folder / "block").read_text())]
        raise Broken(f"line {block.line}, exit status {status}:\n{block.text}\n--- said:\n{told}")


def _bash(script: str, environment: Mapping[str, str], folder: Path) -> tuple[int | str, str]:
    for command in ("bash", "curl"):
        if shutil.which(command) is None:
            missing(f"{command} is not on this machine")
    process = subprocess.Popen(
        ["bash", "-c", script],
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        told, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # what it started as well
        return "none: it did not end", process.communicate()[0]
    return process.returncode, told


# ---- what the blocks call --------------------------------------------------------------------------------

URL = re.compile(r"\$\{?(?:FHIR|SERVER)\}?(\S*)")
DATA = re.compile(r"\s(?:-d|--data(?:-\w+)?|--json|-F|--form)\s+[\"']?([\w:.-]+=)?")
FETCH = re.compile(r"fetch\(\s*[`\"']([^`\"']+)[`\"']")
HELPER = re.compile(r"\(\s*[\"'](GET|POST|PUT|PATCH|DELETE)[\"']\s*,\s*[`\"']([^`\"']*)")


def calls(page: str) -> set[Call]:
    """What the blocks of a page call over HTTP."""
    return {call for block in blocks(page) for call in (_curls if block.kind == "sh" else _fetches)(block.text)}


def _curls(text: str) -> Iterator[Call]:
    for command in re.split(r"\bcurl\b", text.replace("\\\n", " "))[1:]:
        if (url := URL.search(command)) is None:
            continue
        named = re.search(r"(?:-X|--request)\s*(\w+)", command)
        data = DATA.findall(command)
        if re.search(r"\s(?:-G|--get)\s", command):
            yield _call("GET", f"{url[1]}{'&' if '?' in url[1] else '?'}{'&'.join(data)}")
        else:
            yield _call(named[1] if named else "POST" if data else "GET", url[1])


def _fetches(text: str) -> Iterator[Call]:
    found = list(FETCH.finditer(text))
    for one, following in zip(found, [*found[1:], None], strict=False):  # none, or as many
        rest = text[one.end() : following.start() if following else None]
        named = re.search(r"method:\s*[\"'](\w+)", rest)
        yield _call(named[1] if named else "GET", one[1])
    for one in HELPER.finditer(text):
        yield _call(one[1], one[2])


def _call(method: str, url: str) -> Call:
    path, _, query = re.sub(r"[\"')\\]|\|.*", "", url).partition("?")
    path = re.sub(r"^\$\{[^}]*(?:FHIR|SERVER|fhir|server|base|origin)[^}]*\}", "", path)
    path = re.sub(r"\$\{[^}]*\}|\$[A-Z][A-Z0-9_]*|\{\w+\}", "{id}", path)
    names = frozenset(name.partition(":")[0] for name, _ in parse_qsl(query, keep_blank_values=True))
    return Call(method, path.strip("/").removeprefix("fhir/"), names)


# ---- tables ----------------------------------------------------------------------------------------------

ROW = re.compile(r"^\| (`[^|]+`) \| ([^|]+?) \|(?: \[[^|\]]+\]\(([\w-]+)\.md\) \|)?$", re.MULTILINE)
EVENT = re.compile(r"^(socket\.\w+\('[\w:]+'),.*$")  # what the handler does is not part of its name
VERB = re.compile(r"(GET|HEAD|POST|PUT|PATCH|DELETE) (\S+)")


@dataclass(frozen=True)
class Line:
    """A line `| Old call | FHIR call | Page |`; the page's own tables have no third column."""

    old: str
    new: tuple[str, ...]
    page: str = ""


def lines(page: str) -> list[Line]:
    """The lines of a page's tables whose first cell is an old call: `PUT /api/…` or `socket.on('…')`."""
    return [
        Line(EVENT.sub(r"\1)", old.strip("`")), tuple(re.findall(r"`([^`]+)`", new)), name)
        for old, new, name in ROW.findall(page)
        if "/api/" in old or old.startswith("`socket.")
    ]


def undone(new: tuple[str, ...], page: str) -> list[str]:
    """Which of the calls of a line no block of the page does: `METHOD path`, else the name of a socket event."""
    done = calls(page)
    scripts = "\n".join(block.text for block in blocks(page) if block.kind == "js")

    def is_done(call: str) -> bool:
        if verb := VERB.fullmatch(call):
            return any(one.does(_call(*verb.groups())) for one in done)
        return any(f"{quote}{call}{quote}" in scripts for quote in "\"'")

    return [call for call in new if not is_done(call)]
