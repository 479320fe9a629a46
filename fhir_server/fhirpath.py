"""FHIRPath over FHIR JSON, by the engine fhirpathpy.

http://hl7.org/fhirpath/N1/ · https://hl7.org/fhir/R4/fhirpath.html
"""
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from threading import RLock
from typing import Any

from antlr4 import CommonTokenStream, InputStream, ParseTreeWalker  # type: ignore[import-untyped]
from antlr4.error.ErrorListener import ErrorListener  # type: ignore[import-untyped]
from fhirpathpy import apply_parsed_path
from fhirpathpy.engine import do_eval
from fhirpathpy.engine.nodes import FP_Type, ResourceNode, TypeInfo
from fhirpathpy.models import models
from fhirpathpy.parser.ASTPathListener import ASTPathListener
from fhirpathpy.parser.generated.FHIRPathLexer import FHIRPathLexer
from fhirpathpy.parser.generated.FHIRPathParser import FHIRPathParser

Tree = dict[str, Any]  # {"type": "InvocationExpression", "children": [Tree, …], "text": …, "terminalNodeText": […]}

MAX_LENGTH = 4000
MODEL: dict[str, Any] = models["r4"]
# `div` is an operator, and Narrative.div is written like any element everywhere: read it as one after a point.
_TEXT_OR_DIV = re.compile(r"'(?:[^'\\]|\\.)*'|\.\s*div\b")
_lock = RLock()  # the engine keeps "now" and its model in globals


class FhirPathError(ValueError):
    """The expression is malformed, or cannot be evaluated; the message never tells an element's value."""


class Node(ResourceNode):
    """A value and its type, as the engine passes it from step to step: what only filters hands on the same Node."""

    def __init__(self, data: Any, type_: str) -> None:
        super().__init__(data, type_)

    def is_of(self, type_name: str) -> bool:
        """Whether this is of the type, or of one derived from it; "FHIR.Patient" is "Patient"."""
        return bool(TypeInfo.from_value(self).is_(TypeInfo(type_name.rpartition(".")[2], None)))


def evaluate(
    resource: Any, expression: str, *, variables: Mapping[str, Any] | None = None, base: str = ""
) -> list[Any]:
    """What the expression selects, as copies in plain JSON values; quantities, dates and times of its own as strings.

    `base` is the type of a `resource` that is only a part of one ("HumanName", "Patient.contact");
    `variables` are %name → value. The input stays as it is. Raises FhirPathError.
    """
    start = Node(resource, base) if base else resource
    known = {"resource": resource, "rootResource": resource, **(variables or {}), "context": start}
    known = {name: list(value) if isinstance(value, list) else value for name, value in known.items()}
    with engine():
        found = apply_parsed_path([start], {"children": [parse(expression)]}, known, MODEL)
    return [str(item) if isinstance(item, FP_Type) else item for item in found if item is not None]


def evaluate_step(tree: Tree, focus: list[Node], root: Node, index: int = 0) -> list[Any]:
    """One subtree on these nodes, within `engine()`; %resource and %context are `root`."""
    known = {"resource": root, "rootResource": root, "context": root, "ucum": "http://unitsofmeasure.org"}
    context = {
        "dataRoot": [root],
        "vars": known,
        "model": MODEL,
        "userInvocationTable": {},
        "$this": focus,
        "$index": index,
    }
    found = do_eval(context, focus, tree)
    return found if isinstance(found, list) else [found]


@contextmanager
def engine() -> Iterator[None]:
    """The engine to oneself; its failures become FhirPathError, without its words, which can quote the data."""
    with _lock:
        TypeInfo.model = MODEL  # type: ignore[assignment]
        try:
            yield
        except FhirPathError:
            raise
        except RecursionError:
            raise FhirPathError("The expression is nested too deeply.") from None
        except Exception as error:
            raise FhirPathError(f"The expression cannot be evaluated ({type(error).__name__}).") from None


@lru_cache(4096)
def parse(expression: str) -> Tree:
    """The syntax tree of a whole expression, from the cache; not to be changed. Raises FhirPathError."""
    if len(expression) > MAX_LENGTH:
        raise FhirPathError(f"The expression is longer than {MAX_LENGTH} characters.")
    readable = _TEXT_OR_DIV.sub(lambda found: ".`div`" if found[0][0] == "." else found[0], expression)
    with engine():
        tree: Tree = _syntax_tree(readable)["children"][0]["children"][0]
    return tree


def _syntax_tree(expression: str) -> Tree:
    # The library's own parse() skips what it cannot read at the end, and mends the rest.
    lexer = FHIRPathLexer(InputStream(expression))
    parser = FHIRPathParser(CommonTokenStream(lexer))
    for recognizer in (lexer, parser):
        recognizer.removeErrorListeners()
        recognizer.addErrorListener(_Refuse())
    listener = ASTPathListener()
    ParseTreeWalker().walk(listener, parser.entireExpression())
    return listener.parentStack[0]


class _Refuse(ErrorListener):  # type: ignore[misc]
    def syntaxError(self, recognizer: Any, symbol: Any, line: int, column: int, message: str, error: Any) -> None:
        raise FhirPathError(f"The expression is not FHIRPath, at position {column}.")
