"""Text as XML can carry it: https://www.w3.org/TR/xml/#charsets · https://www.w3.org/TR/xml/#AVNormalize"""

from __future__ import annotations

import re

_ESCAPES = {"&": "&amp;", "<": "&lt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
_special = re.compile('[&<"\t\n\r]|[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]')


def escape(text: str) -> str:
    """The text for an attribute in double quotes, or between tags.

    Line breaks and tabs are written as references, since a reader would turn them into spaces. What XML 1.0
    has no way to write (control characters, U+FFFE, U+FFFF) becomes U+FFFD.
    """
    if text.isprintable() and "&" not in text and "<" not in text and '"' not in text:
        return text
    return _special.sub(lambda match: _ESCAPES.get(match[0], "\ufffd"), text)


_plain = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}")


def shown(name: str) -> str:
    """The name of an element or attribute for a message; one that FHIR would never use is not repeated."""
    return name if _plain.fullmatch(name) else "(not a FHIR name)"
