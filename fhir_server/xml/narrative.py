"""The div of a Narrative: XHTML within the XML, a string in JSON, the same characters in both.

https://hl7.org/fhir/R4/narrative.html · which elements and attributes it may have is for validation to say
"""

from __future__ import annotations

from io import StringIO
from typing import Any
from xml.parsers import expat

from fhir_server.json import MAX_DEPTH
from fhir_server.xml.characters import escape
from fhir_server.xml.fields import XHTML

# Between the parts of a name that expat hands over; no XML text can contain this character.
SEPARATOR = "\x01"
_VOID = frozenset({"area", "br", "col", "hr", "img"})  # only these may be written without an end tag in HTML
_XML = "http://www.w3.org/XML/1998/namespace"


class NotNarrative(Exception):
    """The XHTML cannot stand in a resource; the message names the rule."""


class Narrative:
    """One div while it is read.

    The document's own characters are kept where they can stand alone. Where they cannot, because a prefix is
    declared further out, the div is written anew.
    """

    def __init__(self, start: int, has_namespace: bool) -> None:
        self._start = start
        self._stands_alone = has_namespace
        self._depth = 0
        self._is_open = False  # the last start tag still lacks its end
        self._anew = StringIO()

    def open(self, tag: str, attributes: list[str]) -> None:
        """A start tag, the div's own the first. Raises NotNarrative for what is not XHTML, or too deep."""
        uri, _, name = tag.partition(SEPARATOR)
        name, _, prefix = name.partition(SEPARATOR)
        if uri != XHTML:
            raise NotNarrative(f"Every element of a narrative must be in the namespace {XHTML}.")
        if prefix:
            self._stands_alone = False
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise NotNarrative(f"The narrative is nested deeper than {MAX_DEPTH} levels.")
        self._complete()
        self._anew.write(f"<{name}")
        if self._depth == 1:
            self._anew.write(f' xmlns="{XHTML}"')
        for attribute, value in zip(attributes[::2], attributes[1::2], strict=True):
            self._anew.write(f' {_attribute(attribute)}="{escape(value)}"')
        self._is_open = True

    def text(self, data: str) -> None:
        self._complete()
        self._anew.write(escape(data))

    def instruction(self) -> None:
        """A processing instruction is no content, and goes."""
        self._stands_alone = False

    def close(self, tag: str) -> bool:
        """An end tag; True when it was that of the div itself."""
        name = tag.split(SEPARATOR)[1]
        if name in _VOID and self._is_open:
            self._anew.write("/>")
            self._is_open = False
        else:
            self._complete()
            self._anew.write(f"</{name}>")
        self._depth -= 1
        return self._depth == 0

    def string(self, data: bytes, end: int) -> str:
        """The div as JSON has it; its end tag, if it has one, begins at `end` of the document `data`."""
        if self._stands_alone and data.startswith(b"</div", end):
            return data[self._start : data.index(b">", end) + 1].decode()
        return self._anew.getvalue()

    def _complete(self) -> None:
        if self._is_open:
            self._anew.write(">")
            self._is_open = False


def _attribute(name: str) -> str:
    uri, separator, local = name.partition(SEPARATOR)
    if not separator:
        return name
    if uri != _XML:
        raise NotNarrative("A narrative has an attribute of a foreign namespace.")
    return f"xml:{local.partition(SEPARATOR)[0]}"


def check(div: str) -> None:
    """Raise NotNarrative unless this string is one div that can be put into an XML document as it is."""
    parser = expat.ParserCreate("utf-8", namespace_separator=SEPARATOR)
    names: list[str] = []

    def refuse(*_: Any) -> None:
        raise NotNarrative("The narrative must have no DOCTYPE and no XML declaration.")

    def start(name: str, _: Any) -> None:
        parser.StartElementHandler = None
        names.append(name)

    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = refuse
    parser.XmlDeclHandler = refuse
    try:
        parser.Parse(div.encode(), True)
    except (expat.ExpatError, UnicodeEncodeError):
        raise NotNarrative("The narrative must be well-formed XML.") from None
    if names != [f"{XHTML}{SEPARATOR}div"] or div.startswith("\ufeff"):
        raise NotNarrative(f"The narrative must be a div in the namespace {XHTML}.")
