"""Narrative XHTML: well-formed, in its namespace, allowed elements and attributes only, nothing active.

https://hl7.org/fhir/R4/narrative.html#Narrative (txt-1, txt-2): chapters 7-11 (but 9.4) and 15 of HTML 4.0,
`<a>`, images and style attributes; no scripts, forms, frames, objects, event attributes or entities.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

XHTML = "http://www.w3.org/1999/xhtml"
_XML = "http://www.w3.org/XML/1998/namespace"

# Elements by chapter of HTML 4.0.
_ELEMENTS = """
7, 8:  div p br h1 h2 h3 h4 h5 h6 span address bdo
9:     em strong dfn code samp kbd var cite abbr acronym blockquote q sub sup pre
10:    ul ol li dl dt dd
11:    table caption thead tfoot tbody colgroup col tr th td
12:    a map area
13:    img
15:    tt i b big small strike s u hr
"""
# Attributes that some elements have besides those that all have.
_ATTRIBUTES = """
a: href name rel rev type hreflang charset target accesskey tabindex shape coords
area: href alt shape coords nohref target accesskey tabindex
img: src alt width height longdesc usemap ismap border align hspace vspace name
map: name
table: align width bgcolor summary border frame rules cellspacing cellpadding
thead tfoot tbody tr: align valign char charoff bgcolor
th td: align valign char charoff width height bgcolor nowrap abbr axis headers scope rowspan colspan
col colgroup: align valign char charoff width span
ul ol li dl: type start value compact
div p h1 h2 h3 h4 h5 h6 caption: align
hr: align noshade size width
br: clear
q blockquote: cite
pre: width
"""


def _rows(table: str) -> Iterator[tuple[list[str], frozenset[str]]]:
    for line in table.strip().splitlines():
        names, _, words = line.partition(":")
        yield names.split(), frozenset(words.split())


_ALLOWED = frozenset().union(*(words for _, words in _rows(_ELEMENTS)))
_COMMON = frozenset(["id", "class", "style", "title", "lang", "dir", f"{_XML} lang", f"{_XML} space"])
_OWN = {name: words for names, words in _rows(_ATTRIBUTES) for name in names}
_URLS = frozenset(["href", "src", "cite", "longdesc", "usemap"])
_ACTIVE_URL = re.compile(r"(javascript|vbscript|livescript|data(?!:image/(png|gif|jpe?g|webp|bmp)[;,])|file)\s*:", re.I)
_ACTIVE_STYLE = re.compile(r"\\|expression\s*\(|javascript:|vbscript:|behaviou?r\s*:|-moz-binding|@import", re.I)
_INVISIBLE = re.compile(r"[\x00-\x20\x7f-\xa0\u200b-\u200f\u2028-\u202f\ufeff]")


class _Refused(Exception):
    """The narrative breaks a rule; the message names the rule."""


def narrative_problem(div: str) -> str | None:
    """The rule that this XHTML breaks, or None."""
    try:
        _Reader().read(div)
    except _Refused as refused:
        return str(refused)
    except (expat.ExpatError, UnicodeEncodeError):
        return "The narrative must be well-formed XML with one div as its root and no HTML entities (txt-1)."
    return None


def is_narrative(value: Any) -> bool:
    """Whether this is acceptable XHTML."""
    return type(value) is str and narrative_problem(value) is None


class _Reader:
    """One pass of expat, which reads no external entities, and none at all here since a DOCTYPE is refused."""

    def __init__(self) -> None:
        self.depth = 0
        self.has_content = False

    def read(self, div: str) -> None:
        parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        parser.ordered_attributes = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._forbidden
        parser.EntityDeclHandler = self._forbidden
        parser.ProcessingInstructionHandler = self._forbidden
        parser.XmlDeclHandler = self._forbidden
        parser.Parse(div.encode(), True)
        if not self.has_content:
            raise _Refused("The narrative must have some content that is not whitespace (txt-2).")

    def _start(self, name: str, attributes: list[str]) -> None:
        namespace, _, local = name.rpartition(" ")
        if namespace != XHTML:
            raise _Refused(f"The narrative must be in the namespace {XHTML} (txt-1).")
        if self.depth == 0 and local != "div":
            raise _Refused("The root of the narrative must be a div (txt-1).")
        if local not in _ALLOWED:
            raise _Refused("The narrative has an element that is not allowed, such as script, form or object (txt-1).")
        own = _OWN.get(local, frozenset())
        for attribute, value in zip(attributes[::2], attributes[1::2], strict=True):
            if attribute not in _COMMON and attribute not in own:
                raise _Refused("The narrative has an attribute that is not allowed, such as an event handler (txt-1).")
            if attribute in _URLS and _ACTIVE_URL.match(_INVISIBLE.sub("", value)):
                raise _Refused("The narrative has a link or image with an active URL (txt-1).")
            if attribute == "style" and _ACTIVE_STYLE.search(_INVISIBLE.sub("", value)):
                raise _Refused("The narrative has a style that is not plain formatting (txt-1).")
        self.depth += 1
        self.has_content = self.has_content or local == "img"

    def _end(self, _name: str) -> None:
        self.depth -= 1

    def _text(self, data: str) -> None:
        self.has_content = self.has_content or not data.isspace()

    def _forbidden(self, *_declaration: Any) -> None:
        raise _Refused("The narrative must have no DOCTYPE, entity, XML declaration or processing instruction (txt-1).")
