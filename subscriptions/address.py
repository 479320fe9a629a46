"""What an endpoint and the headers sent to it may look like, before anything is resolved or opened.

https://hl7.org/fhir/R4/subscription-definitions.html#Subscription.channel.endpoint
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

MAX_ENDPOINT = 2000  # characters
MAX_HEADERS = 20
MAX_HEADER = 4000  # characters, name and value

# By channel.type of R4: the schemes an endpoint may have, and whether there must be one.
SCHEMES: dict[str, tuple[frozenset[str], bool]] = {
    "rest-hook": (frozenset({"https", "http"}), True),
    "message": (frozenset({"https", "http"}), True),
    "email": (frozenset({"mailto"}), True),
    "websocket": (frozenset({"https", "http", "wss", "ws"}), False),
}
# What the server itself says of a request, and what opens doors inside a network.
_RESERVED = frozenset(
    {
        *("host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection"),
        *("keep-alive", "te", "trailer", "upgrade", "expect", "http2-settings", "via", "forwarded"),
        *("metadata", "metadata-flavor"),
    }
)
_RESERVED_BEGINNINGS = ("proxy-", "x-forwarded-", "x-aws-ec2-metadata-", "x-google-metadata-")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_URL = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.?)*|\[[0-9A-Fa-f:.]+\]")
_MAILBOX = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")


def endpoint_problem(endpoint: str, schemes: frozenset[str]) -> str:
    """What is wrong with an endpoint as text; "" when nothing is."""
    if len(endpoint) > MAX_ENDPOINT:
        return f"An endpoint has up to {MAX_ENDPOINT} characters."
    scheme = endpoint.partition(":")[0].lower()
    if scheme not in schemes:
        return f"The endpoint of this channel is an absolute URL: {' or '.join(sorted(schemes))}."
    if scheme == "mailto":
        return _mailbox_problem(endpoint[len("mailto:") :])
    if not _URL.fullmatch(endpoint) or _CONTROL.search(unquote(endpoint)):
        return "The endpoint has characters that a URL cannot have, or a fragment."
    return _url_problem(endpoint)


def _url_problem(endpoint: str) -> str:
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "The endpoint is not a URL."
    if not endpoint[len(parts.scheme) :].startswith("://") or not host:
        return "The endpoint names no host."
    if "@" in parts.netloc:
        return "Credentials do not belong into the endpoint's URL; send a header."
    bare = parts.netloc[: -len(f":{port}")] if port is not None else parts.netloc.removesuffix(":")
    if not _HOST.fullmatch(bare) or port == 0:
        return "The endpoint's host or port is malformed."
    return ""


def _mailbox_problem(address: str) -> str:
    if not _MAILBOX.fullmatch(unquote(address)) or ".." in address or "%" in address:
        return "The endpoint is mailto: with one plain address, without headers."
    return ""


def header_problem(header: str) -> str:
    """What is wrong with a header that is to be sent, "Name: value"; "" when nothing is."""
    name, colon, value = header.partition(":")
    if not colon or not _TOKEN.fullmatch(name):
        return "A header is 'Name: value'."
    if len(header) > MAX_HEADER:
        return f"A header has up to {MAX_HEADER} characters."
    if _CONTROL.search(value.replace("\t", " ")) or not value.isascii():
        return "A header's value has no line breaks, control characters, or letters beyond ASCII."
    lower = name.lower()
    if lower in _RESERVED or lower.startswith(_RESERVED_BEGINNINGS):
        return f"The header '{name[:64]}' cannot be chosen."
    return ""
