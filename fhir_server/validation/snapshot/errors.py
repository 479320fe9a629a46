"""What a differential can have wrong."""

from __future__ import annotations


class SnapshotError(ValueError):
    """No snapshot can be made of this differential: `element` is the id or path (or URL) that is to blame."""

    def __init__(self, problem: str, element: str) -> None:
        super().__init__(f"{element}: {problem}" if element else problem)
        self.problem = problem
        self.element = element
