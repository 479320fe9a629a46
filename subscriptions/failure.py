"""Where something failed, for the log: an exception's text may hold what a resource says, so it is not written."""

from __future__ import annotations

from pathlib import Path
from traceback import extract_tb


def where(error: BaseException) -> dict[str, str]:
    """The class of an exception, and the file, line and function that raised it."""
    frames = extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno} {frames[-1].name}" if frames else ""
    return {"exception": type(error).__name__, "place": place}
