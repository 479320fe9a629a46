"""Strings as searches compare them: https://hl7.org/fhir/R4/search.html#string

House rule: NFKD without combining marks, casefold, no punctuation, but - / , ; _ part words.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from tests.oracle.expressions import Node, children

PARTING = set("-/,;_")
NAME_PARTS = ("text", "family", "given", "prefix", "suffix")
ADDRESS_PARTS = ("text", "line", "city", "district", "state", "postalCode", "country")


# House rule: strokes and joined letters count as accents.
JOINED = {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th"}


class Text(NamedTuple):
    """One string of a resource; `later` is a family name from each of its later words on."""

    raw: str
    folded: str
    later: tuple[str, ...] = ()


@lru_cache(65536)
def fold(text: str) -> str:
    """The base letters of a text, words parted by one blank."""
    kept = []
    for character in unicodedata.normalize("NFKD", text):
        category = unicodedata.category(character)
        character = JOINED.get(character.casefold(), character)
        if character in PARTING:
            kept.append(" ")
        elif category[0] not in "MP":
            kept.append(character)
    return " ".join("".join(kept).casefold().split())


def strings(node: Node) -> Iterator[Text]:
    """The strings of a node: of a HumanName or Address every part that is a string."""
    parts = {"HumanName": NAME_PARTS, "Address": ADDRESS_PARTS}.get(node.type)
    if parts:
        # House rule: a name that is only written out is found by each of its words, like a family name.
        written = node.type == "HumanName" and not any(children(node, "family"))
        for name in parts:
            for child in children(node, name):
                yield from map(_by_words, strings(child)) if written and name == "text" else strings(child)
    elif isinstance(node.value, str):
        folded = fold(node.value)
        family = node.element is not None and node.element.path == "HumanName.family"
        text = Text(node.value, folded)
        yield _by_words(text) if family else text


def _by_words(text: Text) -> Text:
    words = text.folded.split()
    return text._replace(later=tuple(" ".join(words[first:]) for first in range(1, len(words))))


def spoken(node: Node) -> Iterator[Text]:
    """What `phonetic` searches: "either family or given name", apart or in the text, or a whole string."""
    parts = ("family", "given", "text")
    spoken_parts = [child for name in parts for child in children(node, name)] if node.type == "HumanName" else [node]
    for child in spoken_parts:
        yield from strings(child)


def starts(value: Text, wanted: str) -> bool:
    """Whether a string begins with the folded text; a family name's later words count too."""
    return value.folded.startswith(wanted) or any(word.startswith(wanted) for word in value.later)


_SOUNDEX = {
    letter: digit for digit, letters in enumerate(("bfpv", "cgjkqsxz", "dt", "l", "mn", "r"), 1) for letter in letters
}


@lru_cache(65536)
def soundex(word: str) -> str:
    """American Soundex of a folded word, "" when it has no letters a–z: h and w don't part equal codes, vowels do."""
    letters = [letter for letter in word if "a" <= letter <= "z"]
    if not letters:
        return ""
    code, last = letters[0].upper(), _SOUNDEX.get(letters[0])
    for letter in letters[1:]:
        digit = _SOUNDEX.get(letter)
        if digit is not None and digit != last:
            code += str(digit)
        if letter not in "hw":
            last = digit
    return (code + "000")[:4]
