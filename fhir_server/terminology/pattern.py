"""Regular expressions of value set filters, matched in steps that can be counted.

Whoever may store a value set chooses the expression, and Python's own matcher needs exponential time for some. This
one follows all alternatives at once (Thompson's construction), so its time is the text times the expression.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from fhir_server.outcomes import FhirError, NotSupported
from fhir_server.terminology.effort import Effort

MAX_PATTERN = 500  # characters
MAX_STATES = 2000  # counted repetitions multiply what they repeat
_MAX_NESTING = 30
_QUANTIFIER = re.compile(r"([*+?])|\{([0-9]{1,4})(?:(,)([0-9]{1,4})?)?\}")
# One character: a class, an escape, any, or itself. What Python may come to read otherwise stays out.
_CLASS = re.compile(r"\[\^?(?:\\[dDwWsStnr\W_]|[^\\\[\]&~|])+\]")
_ATOM = re.compile(r"\\[dDwWsStnr\W_]|[^\\()\[\]{}|*+?^$]")


@dataclass(slots=True, eq=False)
class _State:
    """Takes one character that `fits` and goes on to `ways`; without `fits` it takes none."""

    fits: Callable[[str], object] | None = None
    ways: list[_State] = field(default_factory=list)


_Build = Callable[[_State], _State]  # where to go afterwards → where to begin


class Pattern:
    """A regular expression that the whole text has to match: characters, classes, groups, `|`, `*`, `+`, `?`, `{m,n}`.

    Raises NotSupported (400) for anything else.
    """

    def __init__(self, source: str) -> None:
        if len(source) > MAX_PATTERN:
            raise NotSupported(f"A filter 'regex' takes up to {MAX_PATTERN} characters.")
        self._source = source.removeprefix("^")
        if self._source.endswith("$") and not self._source.endswith("\\$"):
            self._source = self._source[:-1]
        self._at = 0
        self._states = 0
        build = self._alternatives(0)
        if self._at < len(self._source):
            raise _refused()
        self._end = _State()
        self._start = _closure([build(self._end)])

    def matches(self, text: str, effort: Effort) -> bool:
        """Whether the whole text fits; raises TooCostly when the effort is spent."""
        current = self._start
        for character in text:
            effort.spend(len(current))
            current = _closure([state.ways[0] for state in current if state.fits is not None and state.fits(character)])
            if not current:
                return False
        return self._end in current

    # ---- reading -----------------------------------------------------------------------------------

    def _alternatives(self, depth: int) -> _Build:
        if depth > _MAX_NESTING:
            raise _refused()
        choices = [self._sequence(depth)]
        while self._take("|"):
            choices.append(self._sequence(depth))
        if len(choices) == 1:
            return choices[0]
        return lambda after: self._state(ways=[choice(after) for choice in choices])

    def _sequence(self, depth: int) -> _Build:
        parts: list[_Build] = []
        while self._at < len(self._source) and self._source[self._at] not in "|)":
            parts.append(self._repeated(self._one(depth)))

        def build(after: _State) -> _State:
            for part in reversed(parts):
                after = part(after)
            return after

        return build

    def _one(self, depth: int) -> _Build:
        if self._take("("):
            if self._take("?") and not self._take(":"):
                raise _refused()
            group = self._alternatives(depth + 1)
            if not self._take(")"):
                raise _refused()
            return group
        found = _CLASS.match(self._source, self._at) or _ATOM.match(self._source, self._at)
        if found is None:
            raise _refused()
        self._at = found.end()
        try:
            fits = re.compile(found[0], re.ASCII).fullmatch
        except re.error:
            raise _refused() from None
        return lambda after: self._state(fits, [after])

    def _repeated(self, one: _Build) -> _Build:
        found = _QUANTIFIER.match(self._source, self._at)
        if found is None:
            return one
        self._at = found.end()
        self._take("?")  # reluctant: the whole text is matched, so it makes no difference
        if _QUANTIFIER.match(self._source, self._at):
            raise _refused()
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(found[1], (0, 0))
        if found[2]:
            least = int(found[2])
            most = least if not found[3] else int(found[4]) if found[4] else None
        if most is not None and most < least:
            raise _refused()
        return lambda after: self._repeat(one, least, most, after)

    def _repeat(self, one: _Build, least: int, most: int | None, after: _State) -> _State:
        if most is None:
            loop = self._state()
            loop.ways = [one(loop), after]
            after = loop
        else:
            end = after
            for _ in range(most - least):
                after = self._state(ways=[one(after), end])
        for _ in range(least):
            self._count()  # also where what is repeated is empty
            after = one(after)
        return after

    def _take(self, character: str) -> bool:
        if self._source[self._at : self._at + 1] != character:
            return False
        self._at += 1
        return True

    def _state(self, fits: Callable[[str], object] | None = None, ways: Iterable[_State] = ()) -> _State:
        self._count()
        return _State(fits, list(ways))

    def _count(self) -> None:
        self._states += 1
        if self._states > MAX_STATES:
            raise NotSupported("A filter 'regex' repeats too much.")


def _closure(states: Iterable[_State]) -> dict[_State, None]:
    """These states and all that they lead to without taking a character."""
    found: dict[_State, None] = {}
    waiting = list(states)
    while waiting:
        state = waiting.pop()
        if state not in found:
            found[state] = None
            if state.fits is None:
                waiting.extend(state.ways)
    return found


def _refused() -> FhirError:
    return NotSupported("A filter 'regex' is not an expression that this server takes.")
