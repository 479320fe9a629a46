"""Regular expressions, matched in time that grows with the text and not beyond: https://hl7.org/fhirpath/N1/#matches

Whoever may store a profile chooses its expressions, and Python's own matcher needs exponential time for some. This one
follows all alternatives at once, and remembers for each set of states where a character leads. What it cannot follow
(looking around, back references, word boundaries) and replacing are left to Python's, within narrow bounds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from fhir_server.fhirpath.errors import FhirPathError

MAX_PATTERN = 2000  # characters
MAX_STATES = 3000  # counted repetitions multiply what they repeat
MAX_SUBJECT = 1_000_000  # characters that are matched
_MAX_EFFORT = 3_000_000  # states visited for one match, beyond those remembered
_REMEMBERED = 10_000  # states in the sets of one pattern, and transitions between them
# Characters that Python's matcher may get, by how many repetitions the pattern has; none of them in another.
_BACKTRACKING = (100_000, 10_000, 400, 100, 40)

_QUANTIFIER = re.compile(r"([*+?])|\{([0-9]{1,4})(?:(,)([0-9]{1,4})?)?\}")
_CLASS = re.compile(r"\[\^?\]?(?:\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|\\[dDwWsStnrfv\W_]|[^\\\]])*\]")
_ATOM = re.compile(r"\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|\\[dDwWsStnrfv\W_]|[^\\()\[|*+?^$]")
_GROUP = re.compile(r"\?(?::|P?<[A-Za-z]\w*>)")
_AROUND = re.compile(r"\?<?[=!]")
_BEYOND = re.compile(r"\\[bB1-9]")
_ANCHORS = {"^": "start", "\\A": "start", "$": "end", "\\z": "end", "\\Z": "end"}
_REFERENCE = re.compile(r"\\(.)|\$(?:([0-9])|\{([A-Za-z]\w*)\})", re.DOTALL)


@dataclass(slots=True, eq=False)
class _State:
    """Takes one character that `fits`; without it takes none, but may want to stand at the "start" or "end"."""

    fits: Callable[[str], object] | None = None
    ways: list[_State] = field(default_factory=list)
    anchor: str = ""


_Build = Callable[[_State], _State]  # where to go afterwards → where to begin
_Set = tuple[_State, ...]


class Pattern:
    """A compiled regular expression; raises FhirPathError when it cannot be read."""

    def __init__(self, source: str) -> None:
        reader = _Reader(source)
        build = reader.whole()
        self.compiled = _python(source)
        self.repetitions = reader.repetitions if not reader.nested else len(_BACKTRACKING)
        self._end = _State()
        self._begin = build(self._end) if reader.regular else None
        self._sets: dict[frozenset[_State], _Set] = {}
        self._next: dict[tuple[_Set, str, bool], _Set] = {}
        self._remembered = 0

    def search(self, subject: str) -> bool:
        """Whether any part of the text matches."""
        if self._begin is None:
            self.check(subject)
            return self.compiled.search(subject) is not None
        return self._run(subject, anywhere=True)

    def fullmatch(self, subject: str) -> bool:
        """Whether the whole text matches."""
        if self._begin is None:
            self.check(subject)
            return self.compiled.fullmatch(subject) is not None
        return self._run(subject, anywhere=False)

    def check(self, subject: str) -> None:
        """Raise FhirPathError when Python's matcher might take too long for this text."""
        if self.repetitions >= len(_BACKTRACKING) or len(subject) > _BACKTRACKING[self.repetitions]:
            raise FhirPathError("A regular expression would take too long.")

    def _run(self, subject: str, *, anywhere: bool) -> bool:
        assert self._begin is not None
        current = self._closure([self._begin], {"start"})
        effort = 0
        for character in subject:
            if anywhere and self._end in current:
                return True
            key = (current, character, anywhere)
            following = self._next.get(key)
            if following is None:
                effort += len(current) + 1
                if effort > _MAX_EFFORT:
                    raise FhirPathError("A regular expression would take too long.")
                following = self._step(current, character, anywhere)
                if len(self._next) >= _REMEMBERED:
                    self._next.clear()
                self._next[key] = following
            if not following:
                return False
            current = following
        return self._end in self._closure(list(current), {"end"} if subject else {"start", "end"})

    def _step(self, current: _Set, character: str, anywhere: bool) -> _Set:
        states = [state.ways[0] for state in current if state.fits is not None and state.fits(character)]
        if anywhere and self._begin is not None:
            states.append(self._begin)
        return self._closure(states, set())

    def _closure(self, states: list[_State], anchors: set[str]) -> _Set:
        """These states and all that they lead to without taking a character."""
        found: set[_State] = set()
        waiting = list(states)
        while waiting:
            state = waiting.pop()
            if state not in found:
                found.add(state)
                if state.fits is None and (not state.anchor or state.anchor in anchors):
                    waiting.extend(state.ways)
        # One tuple for each set, so that it is quickly compared.
        key = frozenset(s for s in found if s.fits is not None or s.anchor or s is self._end)
        known = self._sets.get(key)
        if known is not None:
            return known
        self._remembered += len(key)
        if self._remembered > _REMEMBERED:
            self._sets.clear()
            self._next.clear()
            self._remembered = len(key)
        self._sets[key] = made = tuple(key)
        return made


class _Reader:
    """A regular expression, read into what builds its states."""

    def __init__(self, source: str) -> None:
        if len(source) > MAX_PATTERN:
            raise FhirPathError(f"A regular expression has at most {MAX_PATTERN} characters.")
        self.flags = re.DOTALL
        if source.startswith("(?i)"):
            self.flags, source = self.flags | re.IGNORECASE, source[4:]
        self.source = source
        self.at = 0
        self.states = 0
        self.repetitions = 0
        self.nested = False  # a repetition within another
        self.regular = True  # without what needs Python's matcher

    def whole(self) -> _Build:
        build = self.alternatives(0)
        if self.at < len(self.source):
            raise _unreadable()
        return build

    def alternatives(self, depth: int) -> _Build:
        if depth > 50:
            raise _unreadable()
        choices = [self.sequence(depth)]
        while self.take("|"):
            choices.append(self.sequence(depth))
        if len(choices) == 1:
            return choices[0]
        return lambda after: self.state(ways=[choice(after) for choice in choices])

    def sequence(self, depth: int) -> _Build:
        parts: list[_Build] = []
        while self.at < len(self.source) and self.source[self.at] not in "|)":
            before = self.repetitions
            part = self.one(depth)
            parts.append(self.repeated(part, contains=self.repetitions > before))

        def build(after: _State) -> _State:
            for part in reversed(parts):
                after = part(after)
            return after

        return build

    def one(self, depth: int) -> _Build:
        if self.take("("):
            return self.group(depth)
        for text, anchor in _ANCHORS.items():
            if self.take(text):
                return self.anchored(anchor)
        if beyond := _BEYOND.match(self.source, self.at):
            self.at = beyond.end()
            self.regular = False
            return lambda after: after
        found = _CLASS.match(self.source, self.at) or _ATOM.match(self.source, self.at)
        if found is None or "&&" in found[0] or found[0].startswith("[["):
            raise _unreadable()
        self.at = found.end()
        fits = _python(found[0], self.flags).fullmatch
        return lambda after: self.state(fits, [after])

    def anchored(self, anchor: str) -> _Build:
        def build(after: _State) -> _State:
            state = self.state(ways=[after])
            state.anchor = anchor
            return state

        return build

    def group(self, depth: int) -> _Build:
        if around := _AROUND.match(self.source, self.at):
            self.at = around.end()
            self.regular = False
        elif plain := _GROUP.match(self.source, self.at):
            self.at = plain.end()
        elif self.source.startswith("?", self.at):
            raise _unreadable()
        build = self.alternatives(depth + 1)
        if not self.take(")"):
            raise _unreadable()
        return build

    def repeated(self, one: _Build, *, contains: bool) -> _Build:
        found = _QUANTIFIER.match(self.source, self.at)
        if found is None:
            return one
        self.at = found.end()
        self.take("?")  # reluctant: whether there is a match is the same
        if _QUANTIFIER.match(self.source, self.at):
            raise _unreadable()
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(found[1], (0, 0))
        if found[2]:
            least = int(found[2])
            most = least if not found[3] else int(found[4]) if found[4] else None
        if most is not None and most < least:
            raise _unreadable()
        if most != 1:
            self.nested = self.nested or contains
            self.repetitions += most is None or most != least
        return lambda after: self.repeat(one, least, most, after)

    def repeat(self, one: _Build, least: int, most: int | None, after: _State) -> _State:
        if most is None:
            loop = self.state()
            loop.ways = [one(loop), after]
            after = loop
        else:
            end = after
            for _ in range(most - least):
                after = self.state(ways=[one(after), end])
        for _ in range(least):
            self.states += 1  # also where what is repeated is empty
            after = one(after)
        return after

    def take(self, text: str) -> bool:
        if not self.source.startswith(text, self.at):
            return False
        self.at += len(text)
        return True

    def state(self, fits: Callable[[str], object] | None = None, ways: list[_State] | None = None) -> _State:
        self.states += 1
        if self.states > MAX_STATES:
            raise FhirPathError("A regular expression repeats too much.")
        return _State(fits, ways or [])


def _python(source: str, flags: int = re.DOTALL) -> re.Pattern[str]:
    try:
        # \z and named groups are written otherwise in Python.
        return re.compile(
            source.replace("\\z", "\\Z").replace("(?<", "(?P<").replace("(?P<=", "(?<=").replace("(?P<!", "(?<!"), flags
        )
    except (re.error, OverflowError, RecursionError):
        raise _unreadable() from None


def _unreadable() -> FhirPathError:
    return FhirPathError("The expression has a regular expression that cannot be read.")


@lru_cache(128)
def compile(source: str) -> Pattern:
    """The pattern, from a cache."""
    return Pattern(source)


def replace(source: str, subject: str, substitution: str) -> str:
    """The text with all matches replaced; `$1` and `${name}` in the substitution are what a group matched.

    Raises FhirPathError when it might take too long.
    """
    pattern = compile(source)
    pattern.check(subject)

    def replaced(found: re.Match[str]) -> str:
        def part(reference: re.Match[str]) -> str:
            escaped, number, name = reference.groups()
            try:
                return str(escaped or found[int(number) if number else name] or "")
            except IndexError:
                raise FhirPathError("A substitution names a group that there is not.") from None

        return _REFERENCE.sub(part, substitution)

    return pattern.compiled.sub(replaced, subject)
