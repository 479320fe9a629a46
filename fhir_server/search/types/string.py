"""https://hl7.org/fhir/R4/search.html#string: the beginning of a text, whatever its case, accents and punctuation."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from fhir_server.search.fields import Field
from fhir_server.search.keys import END, Criterion, Draft, Sink, any_of, beginning, digest
from fhir_server.search.paths import Leaf
from fhir_server.search.types.values import Indexer, Settings, Visit, refuse_modifier, unescape, wrong

# `equals` and `ends` are operators of _filter, and no modifiers of a URL: fhir_server/search/criteria.py
MODIFIERS = frozenset({"exact", "contains", "equals", "ends"})

MAX_TEXT = 65_536  # characters of a text in which :contains looks
INSIDE = 64  # from one piece of a long text to the next; what is searched inside is no longer than that
FOLDED = 128  # characters of a folded text that are in its key
_ORIGINAL = 64  # characters of the text as written; longer ones are there as a hash
# Between the folded text and the text as written; smaller than any character of a folded text.
_TAB = "\t"
# These part words; other punctuation is left out: "Smith-Jones" is "smith jones", "O'Brien" is "obrien".
_PARTING = "-/,;_"
_ASCII = str.maketrans(
    {
        character: " " if character in _PARTING or category == "Cc" else None
        for character, category in ((c, unicodedata.category(c)) for c in map(chr, range(128)))
        if category[0] == "P" or category == "Cc"
    }
)


def fold(text: str) -> str:
    """The text without case, accents, punctuation and needless blanks; if nothing were left, as written."""
    return _remembered(text) if len(text) <= FOLDED else _folded(text)


def _folded(text: str) -> str:
    plain = text
    if text.isascii():
        folded = text.lower().translate(_ASCII)
    else:
        plain = unicodedata.normalize("NFKD", text.casefold())
        folded = "".join(_plain(c) for c in plain)
    return " ".join(folded.split()) or " ".join(plain.lower().split())


# Texts come again and again, long ones hardly: they would only fill the memory.
_remembered = lru_cache(8192)(_folded)


# Letters with a stroke or joined, which Unicode does not take apart: Søren, Łukasz, Đorđe, Æthelred.
_JOINED = {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th"}


def _plain(character: str) -> str:
    if character in _JOINED:
        return _JOINED[character]
    category = unicodedata.category(character)
    if category == "Mn":
        return ""
    if category == "Cc":
        return " "
    if category[0] == "P":
        return " " if category == "Pd" or character in _PARTING else ""
    return character


def key(number: str, text: str, folded: str) -> str:
    """Folded for the default search, then as written for :exact; nothing is lost when either is long."""
    if text == folded and len(text) <= FOLDED:
        return f"{number}~{folded}{_TAB}"
    original = text if len(text) <= _ORIGINAL else "#" + digest(text)
    return f"{number}~{folded[:FOLDED]}{_TAB}{original}"


def _add(number: str, draft: Draft, text: Any) -> None:
    if isinstance(text, str) and text:
        folded = fold(text)
        draft.keys[key(number, text, folded)] = None
        if len(folded) >= FOLDED:
            _add_pieces(number, draft, folded)


def _add_pieces(number: str, draft: Draft, folded: str) -> None:
    """A long text in overlapping pieces, so that what is inside it, or at its end, is found: :contains, `ew`."""
    for start in range(0, min(len(folded), MAX_TEXT), INSIDE):
        piece = folded[start : start + FOLDED]
        last = start + FOLDED >= len(folded)
        draft.keys[f"{number}*{piece}{_TAB if last else ''}"] = None
        if last:
            break


def _add_words(number: str, draft: Draft, text: Any) -> None:
    """The text, and for each later word the text from there on: "Carreno Quinones" is found by either name."""
    _add(number, draft, text)
    if isinstance(text, str) and text:
        words = fold(text).split(" ")
        for start in range(1, min(len(words), 8)):
            draft.keys[f"{number}~{' '.join(words[start:])[:FOLDED]}{_TAB}{_TAB}"] = None


def _string(sink: Sink, leaf: Leaf) -> Visit:
    number = sink.number
    add = _add_words if [hop.name for hop in leaf.path[-2:]] == ["name", "family"] else _add

    def visit(value: Any, draft: Draft) -> None:
        add(number, draft, value)
        if sink.ascending:
            sink.sort(draft, fold(value)[:64])

    return visit


def _human_name(sink: Sink, leaf: Leaf) -> Visit:
    number = sink.number

    def visit(value: Any, draft: Draft) -> None:
        family, given = value.get("family"), value.get("given", ())
        _add_words(number, draft, family)
        for part in (*given, *value.get("prefix", ()), *value.get("suffix", ())):
            _add(number, draft, part)
        # A name that is only written out is searched by each of its words.
        (_add if family else _add_words)(number, draft, value.get("text"))
        if sink.ascending and (parts := [p for p in (family, *given) if p] or [value.get("text")])[0]:
            sink.sort(draft, fold(" ".join(parts))[:64])

    return visit


def _address(sink: Sink, leaf: Leaf) -> Visit:
    number = sink.number
    parts = ("text", "city", "district", "state", "postalCode", "country")

    def visit(value: Any, draft: Draft) -> None:
        for line in value.get("line", ()):
            _add(number, draft, line)
        for part in parts:
            _add(number, draft, value.get(part))
        if sink.ascending and (city := value.get("city") or value.get("text")):
            sink.sort(draft, fold(city)[:64])

    return visit


def phonetic(sink: Sink, leaf: Leaf) -> Visit:
    """For the `phonetic` parameters: each word of a name by its Soundex code."""

    def visit(value: Any, draft: Draft) -> None:
        texts = [value] if isinstance(value, str) else [value.get("family"), *value.get("given", ()), value.get("text")]
        for text in texts:
            for word in fold(text).split(" ") if text else ():
                draft.keys[f"{sink.number}~{soundex(word)}{_TAB}"] = None

    return visit


INDEXERS: Mapping[str, Indexer] = {
    "string": _string,
    "markdown": _string,
    "HumanName": _human_name,
    "Address": _address,
}

_SOUNDS = {c: d for d, letters in enumerate(("bfpv", "cgjkqsxz", "dt", "l", "mn", "r"), 1) for c in letters}


def soundex(word: str) -> str:
    """The American Soundex code of a folded word; a word of other scripts stands for itself."""
    if not word.isascii() or not word[:1].isalpha():
        return word[:FOLDED]
    code, last = word[0], _SOUNDS.get(word[0])
    for letter in word[1:]:
        sound = _SOUNDS.get(letter)
        if sound and sound != last:
            code += str(sound)
        if letter not in "hw":
            last = sound
    return f"{code}000"[:4]


def criterion(field: Field, modifier: str, value: str, settings: Settings) -> Criterion:
    """The stored texts that one search value finds."""
    text = unescape(value)
    if modifier and modifier not in MODIFIERS:
        raise refuse_modifier(field, modifier)
    folded = fold(text)
    numbers = [source.number for source in field.sources]
    if field.parameter.code == "phonetic":
        if modifier:
            raise refuse_modifier(field, modifier)
        return any_of(Criterion(keys=tuple(f"{n}~{soundex(w)}{_TAB}" for n in numbers)) for w in folded.split(" "))
    if modifier == "exact":
        return Criterion(keys=tuple(key(number, text, folded) for number in numbers))
    if not folded:
        raise wrong(field, "is blank")
    if len(folded) > FOLDED:
        raise wrong(field, f"is too long: texts are searched by up to {FOLDED} characters, or with :exact")
    if modifier == "contains":
        if len(folded) > INSIDE:
            raise wrong(field, f"is too long: :contains takes up to {INSIDE} characters")
        # Only what is folded counts, so the search stops at the tab.
        inside = re.escape(folded)
        return Criterion(patterns=tuple(f"^{number}[~*][^\\t]*{inside}" for number in numbers))
    if modifier == "ends":
        # The end of a long text is in its last piece; that of its first key is none.
        whole = f"~(?![^\\t]{{{FOLDED}}})[^\\t]*"
        ends = f"(?:{whole}|\\*[^\\t]*){re.escape(folded)}\\t"
        return Criterion(patterns=tuple(f"^{number}{ends}" for number in numbers))
    if modifier == "equals":
        keys = tuple(f"{number}~{folded}{_TAB}" for number in numbers)
        # As written otherwise, but not what begins at a later word: that has a second tab.
        return Criterion(keys=keys, between=tuple((f"{key}\n", f"{key}{END}") for key in keys))
    return Criterion(between=tuple(beginning(f"{number}~{folded}") for number in numbers))
