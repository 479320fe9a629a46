"""Imports that leave out what a library would import on top, were it installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Within the block these modules are not to be found, but for those that were imported before it."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: Python looks no further
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
