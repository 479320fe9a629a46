"""How packets are written and read: decimals keep their digits on the way out, and what comes in has its limits.

python-socketio takes a module with the two functions of the standard library's json.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fhir_server import json


def dumps(value: Any, **_: Any) -> str:
    """Compact JSON text."""
    return json.encode(value).decode()


def loads(text: str | bytes, **_: Any) -> Any:
    """The value of a JSON text; ValueError, without the content, when it is none or nested too deeply."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        raise ValueError("no JSON") from None
