"""The language of `_text` and `_content`, and the words that a resource is found by.

`(bone OR liver) and metastas*`: https://hl7.org/fhir/R4/search.html#content. Words beside one another are all wanted,
as are those of a "quoted phrase"; NOT binds closest, then AND, then OR, in capitals or not.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from fhir_server.definitions import RESOURCE_TYPES, is_primitive, type_definition
from fhir_server.outcomes import FhirError, Invalid
from fhir_server.search.types.string import fold

Json = dict[str, Any]

MAX_LENGTH = 1_000  # characters of an expression
MAX_DEPTH = 32  # parentheses and NOTs within one another
_SHORT = 80  # characters of a text whose words are remembered
MAX_WORD = 40  # characters of an index word; longer ones are cut off, on both sides


@dataclass(frozen=True, slots=True)
class Word:
    """The text has this index word."""

    word: str


@dataclass(frozen=True, slots=True)
class Prefix:
    """The text has an index word that begins so."""

    beginning: str


@dataclass(frozen=True, slots=True)
class And:
    """All of these hold."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of these holds."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """This does not hold."""

    part: Expression


Expression = Word | Prefix | And | Or | Not

# ---- words ---------------------------------------------------------------------------------------------

# What stands between words; apostrophes and what accents are made of do not.
_BETWEEN = re.compile(
    r"[\x00-&(-/:-@\[-`{-\x7f\xa0-\xa9\xab-\xb1\xb4\xb6-\xb8\xbb-\xbf\u2000-\u2018\u201a-\u206f\u3000-\u303f]+"
)


def words(text: str) -> frozenset[str]:
    """The index words of a text: without case, accents and punctuation; no word is too common or too short."""
    return _short(text) if len(text) <= _SHORT else frozenset(_words(text))


@lru_cache(8192)
def _short(text: str) -> frozenset[str]:
    """Names of codes and units come again and again."""
    return frozenset(_words(text))


def _words(text: str) -> Iterator[str]:
    for piece in _BETWEEN.split(text):
        # Most of what is left is one word; fold() remembers words, and should not remember texts.
        for word in fold(piece[:200]).split(" "):
            if word.isalnum() or any(map(str.isalnum, word)):
                yield word[:MAX_WORD]


# ---- the texts of a resource ---------------------------------------------------------------------------

_COMMENT = re.compile(r"<!--[^-]*(?:-(?!->)[^-]*)*(?:-->|\Z)")
# These may stand within a word.
_INLINE = re.compile(r"</?(?:a|abbr|acronym|b|big|code|em|font|i|small|span|strong|sub|sup|tt|u)(?=[\s/>])[^<>]*>")
_TAG = re.compile(r"<[^>]*>?")


def narrative(resource: Json) -> str:
    """The text of the resource's narrative, without its markup."""
    text = resource.get("text")
    div = text.get("div") if isinstance(text, dict) else None
    return _plain(div) if isinstance(div, str) else ""


def _plain(xhtml: str) -> str:
    """https://hl7.org/fhir/R4/narrative.html#xhtml, where there are no scripts."""
    text = _INLINE.sub("", _COMMENT.sub("", xhtml))
    return " ".join(html.unescape(_TAG.sub(" ", text)).split())


def content(resource: Json) -> Iterator[str]:
    """Every text that is for people to read, in the resource and in those within it.

    By the definitions: strings and markdown wherever they are, narratives without markup; never ids, codes, URLs,
    references, dates or data.
    """
    found: list[str] = []
    _gather("Resource", resource, found)
    return iter(found)


def _gather(kind: str, value: Any, found: list[str]) -> None:
    """Add the texts of a value of this data type."""
    if isinstance(value, str):
        found.append(_plain(value) if kind == "xhtml" else value)
    elif isinstance(value, dict):
        if kind == "Resource":
            kind = str(value.get("resourceType"))
            if kind not in RESOURCE_TYPES:
                return
        readable = _readable(kind)
        for name, inner in value.items():
            if name in readable:
                _gather(readable[name], inner, found)
    elif isinstance(value, list):
        for one in value:
            _gather(kind, one, found)


@cache
def _readable(type_name: str) -> dict[str, str]:
    """Property → data type, for what is or may contain a text."""
    return {
        element.name: element.type
        for element in type_definition(type_name).properties
        if not is_primitive(element.type) or element.type in ("string", "markdown", "xhtml")
        if element.name != "id" and (type_name, element.name) != ("Reference", "reference")
    }


# ---- expressions ---------------------------------------------------------------------------------------

_TOKEN = re.compile(r'\s*(?:(?P<phrase>"[^"]*")|(?P<mark>[()])|(?P<word>[^\s()"]+)|(?P<wrong>"))')


def parse(text: str, name: str = "_text") -> Expression:
    """The expression as a tree; raises Invalid (400), naming the parameter and the position of what is wrong."""
    if len(text) > MAX_LENGTH:
        raise Invalid(f"Parameter '{name}' takes up to {MAX_LENGTH} characters.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Invalid(f"Parameter '{name}' is not valid Unicode.") from None
    reader = _Reader(text, name)
    found = reader.any(0)
    if reader.kind:
        raise reader.wrong("a parenthesis is closed that was not opened")
    return found


class _Reader:
    """`kind` and `token` are what comes next; at the end `kind` is empty."""

    def __init__(self, text: str, name: str) -> None:
        self._text, self._name = text, name
        self._end = 0
        self.advance()

    def advance(self) -> None:
        match = _TOKEN.match(self._text, self._end)
        self.kind, self.token = (match.lastgroup or "", match[match.lastgroup or 0]) if match else ("", "")
        self._start, self._end = (match.end() - len(self.token), match.end()) if match else (len(self._text), self._end)
        if self.kind == "word" and self.token.lower() in ("and", "or", "not"):
            self.kind = self.token.lower()
        elif self.kind == "wrong":
            raise self.wrong("a quote is not closed")

    def wrong(self, problem: str) -> FhirError:
        return Invalid(f"Parameter '{self._name}' at position {self._start + 1}: {problem}.")

    def any(self, depth: int) -> Expression:
        parts = [self._all(depth)]
        while self.kind == "or":
            self.advance()
            parts.append(self._all(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _all(self, depth: int) -> Expression:
        parts = list(self._one(depth))
        while self.kind and self.kind != "or" and self.token != ")":
            if self.kind == "and":
                self.advance()
            parts += self._one(depth)
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _one(self, depth: int) -> list[Expression]:
        """One operand: several expressions when it has several words, all of which are wanted."""
        if depth > MAX_DEPTH:
            raise self.wrong(f"more than {MAX_DEPTH} parentheses within one another")
        if self.kind == "not":
            self.advance()
            parts = self._one(depth + 1)
            return [Not(parts[0] if len(parts) == 1 else And(tuple(parts)))]
        if self.token == "(":
            self.advance()
            found = self.any(depth + 1)
            if self.token != ")":
                raise self.wrong("a parenthesis is not closed")
            self.advance()
            return [found]
        if self.kind not in ("word", "phrase"):
            raise self.wrong("a word is expected")
        found_words = self._words()
        self.advance()
        return found_words

    def _words(self) -> list[Expression]:
        text = self.token.strip('"')
        is_prefix = self.kind == "word" and text.endswith("*")
        text = text[:-1] if is_prefix else text
        if "*" in text:
            raise self.wrong("'*' stands at the end of a word only")
        found = list(_words(text))
        if not found:
            raise self.wrong("there is no letter or digit to search for")
        exact: list[Expression] = [Word(word) for word in found]
        return [*exact[:-1], Prefix(found[-1])] if is_prefix else exact
