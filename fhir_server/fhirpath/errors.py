"""What goes wrong with an expression, and the limits that keep one from costing too much."""

from __future__ import annotations

MAX_LENGTH = 8000  # characters of an expression
MAX_DEPTH = 120  # levels of its syntax tree: evaluating takes a few Python frames for each
MAX_STEPS = 1_000_000  # of one evaluation: some seconds
MAX_TEXT = 1_000_000  # characters of a string that an expression makes


class FhirPathError(ValueError):
    """The expression is malformed, or cannot be evaluated; the message never tells an element's value."""


class TooManySteps(FhirPathError):
    """The evaluation took all the steps that it may take: what it would have found is not known."""
