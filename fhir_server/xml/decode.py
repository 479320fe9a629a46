"""FHIR XML → the JSON that says the same, as strict as the published schemas and closed to every trick of XML.

https://hl7.org/fhir/R4/xml.html · https://hl7.org/fhir/R4/json.html
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, NoReturn
from xml.parsers import expat

from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.json import MAX_DEPTH
from fhir_server.outcomes import Malformed
from fhir_server.xml.characters import shown
from fhir_server.xml.fields import FHIR, XHTML, Field, Kind, fields
from fhir_server.xml.narrative import SEPARATOR, Narrative, NotNarrative

Json = dict[str, Any]

MAX_NUMBER = 1000  # characters of a number
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
# Hints for schema tools, of no meaning to anyone else.
_HINTS = (f"{_XSI}{SEPARATOR}schemaLocation", f"{_XSI}{SEPARATOR}noNamespaceSchemaLocation")
_integer = re.compile(r"-?(?:0|[1-9][0-9]*)")
_decimal = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def decode(data: bytes) -> Json:
    """The resource of an XML document in UTF-8, as json.decode would give it; comments are dropped.

    Raises Malformed (400) with the line and the FHIRPath of what is wrong, never its value: no well-formed XML,
    a DOCTYPE, an element or attribute that R4 does not have or that is not where the schema wants it, text,
    an empty element, a boolean or number that is none, more than MAX_DEPTH levels of the JSON it becomes.
    """
    return _Reader(data).read()


class _Frame:
    """An element that is not closed yet."""

    __slots__ = ("depth", "field", "index", "last", "object", "parent", "rank", "sparse", "table", "type", "value")

    def __init__(self, parent: _Frame | None, type_: str, field: Field | None, index: int | None, depth: int) -> None:
        self.parent = parent
        self.type = type_
        self.field = field  # under which its value goes to the parent; None for a resource itself
        self.index = index  # its place among its repetitions
        self.depth = depth  # levels of JSON down to its object
        self.table: dict[str, Field] = {}  # the elements it may have
        self.object: Json = {}  # its value; of a primitive what stands beside the value; of a wrapper the resource
        self.value: Any = None  # of a primitive
        self.rank = 0  # of the last child element, and its name
        self.last = ""
        self.sparse: set[str] = set()  # lists that hold a null

    def path(self) -> str:
        """FHIRPath from the outermost resource: `Patient.contained[0].name[1]`."""
        if self.parent is None:
            return self.type
        above = self.parent.path()
        if self.field is None:
            return above
        index = "" if self.index is None else f"[{self.index}]"
        return f"{above}.{self.field.expression}{index}"


class _Reader:
    """One pass of expat over the document, from handler to handler."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._top: _Frame | None = None
        self._resource: Json = {}
        self._narrative: Narrative | None = None
        self._has_namespace = False
        parser = self._parser = expat.ParserCreate("utf-8", namespace_separator=SEPARATOR)
        parser.namespace_prefixes = True
        parser.ordered_attributes = True
        parser.buffer_text = True
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._doctype
        parser.StartNamespaceDeclHandler = self._namespace
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.ProcessingInstructionHandler = self._instruction

    def read(self) -> Json:
        try:
            self._data.decode()
            self._parser.Parse(self._data, True)
        except UnicodeDecodeError as error:
            self._refuse("The XML is not UTF-8.", line=self._data.count(b"\n", 0, error.start) + 1)
        except expat.ExpatError as error:
            self._refuse(f"The XML cannot be parsed: {expat.ErrorString(error.code)}.", line=error.lineno)
        except NotNarrative as error:
            self._refuse(str(error))
        return self._resource

    def _refuse(self, rule: str, line: int | None = None) -> NoReturn:
        path = [self._top.path()] if self._top else []
        raise Malformed(f"Line {line or self._parser.CurrentLineNumber}: {rule}", expression=path) from None

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "utf8", "us-ascii"):
            self._refuse("XML must be in UTF-8.")

    def _doctype(self, *_: Any) -> None:
        self._refuse("A DOCTYPE is not allowed.")

    def _namespace(self, prefix: str | None, uri: str) -> None:
        if prefix is None and uri == XHTML:
            self._has_namespace = True

    def _instruction(self, *_: str) -> None:
        if self._narrative:
            self._narrative.instruction()

    def _text(self, data: str) -> None:
        if self._narrative:
            self._narrative.text(data)
        elif data.strip(" \t\r\n"):
            self._refuse("Text is not allowed here; a value is written in the attribute value.")

    def _start(self, tag: str, attributes: list[str]) -> None:
        has_namespace, self._has_namespace = self._has_namespace, False
        if self._narrative:
            self._narrative.open(tag, attributes)
            return
        uri, _, name = tag.partition(SEPARATOR) if SEPARATOR in tag else ("", "", tag)
        name = name.partition(SEPARATOR)[0]
        top = self._top
        if top is None or (top.field and top.field.kind is Kind.RESOURCE):
            self._start_resource(top, uri, name, attributes)
            return
        field = self._expected(top, uri, name)
        if field.kind is Kind.XHTML:
            self._top = _Frame(top, field.type, field, None, top.depth)
            self._narrative = Narrative(self._parser.CurrentByteIndex, has_namespace)
            self._narrative.open(tag, attributes)
        else:
            self._start_element(top, field, attributes)

    def _start_resource(self, wrapper: _Frame | None, uri: str, name: str, attributes: list[str]) -> None:
        """The document's own element, or the one within `contained` or `resource`."""
        if uri != FHIR:
            self._refuse(f"The element of a resource must be in the namespace {FHIR}.")
        if name not in RESOURCE_TYPES:
            self._refuse(f"{shown(name)} is not a resource type of FHIR R4.")
        if wrapper is not None and wrapper.object:
            self._refuse("Only one resource can stand here.")
        frame = self._top = _Frame(wrapper, name, None, None, wrapper.depth if wrapper else 1)
        for attribute in attributes[::2]:
            if wrapper is not None or attribute.rpartition(SEPARATOR)[0] not in _HINTS:
                self._refuse("The element of a resource has no attributes.")
        frame.table = fields(name)
        frame.object["resourceType"] = name

    def _expected(self, top: _Frame, uri: str, name: str) -> Field:
        """The field of a child element that may stand here."""
        field = top.table.get(name)
        if field is None or field.kind in (Kind.ATTRIBUTE, Kind.NAME):
            self._refuse(f"{top.type} has no element {shown(name)} in FHIR R4.")
        namespace = XHTML if field.kind is Kind.XHTML else FHIR
        if uri != namespace:
            self._refuse(f"The element {name} must be in the namespace {namespace}.")
        if field.rank < top.rank:
            self._refuse(f"The elements of {top.type} have an order: {name} comes before {top.last}.")
        if field.rank == top.rank:
            if name != top.last:
                self._refuse(f"Only one type of {field.expression}[x] may be present.")
            if not field.repeats:
                self._refuse(f"The element {name} may be present only once.")
        top.rank, top.last = field.rank, name
        return field

    def _start_element(self, top: _Frame, field: Field, attributes: list[str]) -> None:
        index = len(top.object.get(field.name, ())) if field.repeats else None
        is_value = field.kind not in (Kind.COMPLEX, Kind.RESOURCE)
        frame = self._top = _Frame(top, field.type, field, index, top.depth + 1 + field.repeats)
        if field.kind is not Kind.RESOURCE:
            frame.table = fields("Element" if is_value else field.type)
        for name, value in zip(attributes[::2], attributes[1::2], strict=True):
            if not value:
                self._refuse("An attribute must not be empty.")
            if is_value and name == "value":
                frame.value = self._value(field, value)
            elif name in frame.table and frame.table[name].kind is Kind.ATTRIBUTE:
                frame.object[name] = value
            else:
                self._refuse(f"The element {field.name} has no attribute {shown(name)}.")
        # The object beside a value that has none of its own does not count.
        if frame.depth - (is_value and not frame.object) > MAX_DEPTH:
            self._refuse(f"The resource is nested deeper than {MAX_DEPTH} levels of JSON.")

    def _value(self, field: Field, text: str) -> Any:
        """The JSON value of the attribute `value`."""
        if field.kind is Kind.TEXT:
            return text
        if field.kind is Kind.BOOLEAN:
            if text not in ("true", "false"):
                self._refuse("A boolean is true or false.")
            return text == "true"
        pattern = _integer if field.kind is Kind.INTEGER else _decimal
        if len(text) > MAX_NUMBER or not pattern.fullmatch(text):
            self._refuse(f"This is not a number of the type {field.type}.")
        if _integer.fullmatch(text):
            return int(text)
        try:
            return Decimal(text)
        except ArithmeticError:
            self._refuse("This number cannot be represented.")

    def _end(self, tag: str) -> None:
        frame = self._top
        assert frame is not None
        if self._narrative:
            if not self._narrative.close(tag):
                return
            frame.value = self._narrative.string(self._data, self._parser.CurrentByteIndex)
            self._narrative = None
        for name in frame.sparse:
            if all(value is None for value in frame.object[name]):
                del frame.object[name]
        if not frame.object and frame.value is None:
            self._refuse("An element must have a value, elements or extensions.")
        parent = self._top = frame.parent
        if parent is None:
            self._resource = frame.object
        elif frame.field is None:
            parent.object = frame.object
        else:
            _place(parent, frame, frame.field)


def _place(parent: _Frame, frame: _Frame, field: Field) -> None:
    """Put what the closed element holds under its name into the object around it."""
    owner, name, beside = parent.object, field.name, f"_{field.name}"
    is_value = field.kind not in (Kind.COMPLEX, Kind.RESOURCE)
    value = frame.value if is_value else frame.object
    if not field.repeats:
        if value is not None:
            owner[name] = value
        if is_value and frame.object:
            owner[beside] = frame.object
        return
    values = owner.setdefault(name, [])
    values.append(value)
    if value is None:
        parent.sparse.add(name)
    if is_value and (frame.object or beside in owner):
        # Both lists have the same length, null where one of them has nothing to say.
        companions = owner.setdefault(beside, [None] * (len(values) - 1))
        companions.append(frame.object or None)
