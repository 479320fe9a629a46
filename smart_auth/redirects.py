"""Which redirect URIs may be registered, and that only the very same string is one.

https://www.rfc-editor.org/rfc/rfc8252 · https://www.rfc-editor.org/rfc/rfc9700#section-2.1
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

MAX_LENGTH = 2000  # characters
# RFC 3986's characters and no others: browsers read backslashes, tabs and the like in ways of their own.
_CHARACTERS = re.compile(r"[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:.+", re.DOTALL)
_HOST = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*|\[[0-9A-Fa-f:.]{2,45}\]")
_PORT = re.compile(r":[1-9][0-9]{0,4}")
# What a browser runs, shows or stores itself, and what is another protocol.
_SCHEMES_OF_OTHERS = """
    about blob chrome chrome-extension cid content data edge file filesystem ftp ftps gopher intent jar javascript
    ldap ldaps livescript mailto mid mocha moz-extension news nntp res resource sftp sms ssh tel telnet urn vbscript
    view-source ws wss
"""
_NOT_AN_APP = frozenset(_SCHEMES_OF_OTHERS.split())
_ANSWERS = frozenset({"code", "state", "iss", "error", "error_description", "error_uri"})


def problem(uri: str) -> str | None:
    """What is wrong with a redirect URI, as a sentence; None when it may be registered."""
    if len(uri) > MAX_LENGTH:
        return f"A redirect URI has at most {MAX_LENGTH} characters."
    if "#" in uri:
        return "A redirect URI has no fragment."
    if not _CHARACTERS.fullmatch(uri) or not _SCHEME.fullmatch(uri):
        return "A redirect URI is an absolute URI of RFC 3986's characters."
    try:
        parts = urlsplit(uri)
        names = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    except ValueError:
        return "A redirect URI is an absolute URI."
    if "@" in parts.netloc:
        return "A redirect URI has no user name."
    if names & _ANSWERS:
        return "A redirect URI's query has no parameter that the answer has."
    if parts.scheme in ("https", "http"):
        return _web_problem(parts)
    # A name of the app's maker, reversed: RFC 8252, sections 7.1 and 8.4. None without a period is anybody's own.
    if parts.scheme in _NOT_AN_APP or "." not in parts.scheme.strip("."):
        return "A redirect URI's scheme is https, or the app's own, with a period in it: com.example.app."
    return None


def _web_problem(parts: SplitResult) -> str | None:
    if not is_authority(parts.netloc):
        return "A redirect URI names a host."
    if parts.scheme == "http" and not is_loopback(parts.netloc):
        return "A redirect URI is https; http only leads to the user's own machine (127.0.0.1, [::1] or localhost)."
    return None


def is_authority(netloc: str) -> bool:
    """Whether this is a host with an optional port, and nothing else: no user name, no odd characters."""
    found = _HOST.match(netloc)
    if found is None:
        return False
    if netloc.startswith("["):
        try:
            IPv6Address(found.group()[1:-1])
        except ValueError:
            return False
    port = netloc[found.end() :]
    return not port or (_PORT.fullmatch(port) is not None and int(port[1:]) < 65536)


def is_loopback(netloc: str) -> bool:
    """Whether a host (with an optional port) is the machine itself: 127.0.0.0/8, [::1] or localhost."""
    found = _HOST.match(netloc)
    if found is None:
        return False
    host = found.group().strip("[]").lower()
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def origin_of(uri: str) -> str | None:
    """The web origin that a URI belongs to, as browsers write it; None for an app's own scheme."""
    parts = urlsplit(uri)
    if parts.scheme not in ("https", "http") or not is_authority(parts.netloc):
        return None
    host = parts.netloc.lower().removesuffix(":443" if parts.scheme == "https" else ":80")
    return f"{parts.scheme}://{host}"


def is_registered(uri: str, registered: Iterable[str]) -> bool:
    """Whether the URI is one of these, character by character, and one that may be registered at all."""
    return uri in tuple(registered) and problem(uri) is None


def with_parameters(uri: str, parameters: Iterable[tuple[str, str]]) -> str:
    """The URI with these parameters at the end of its query."""
    joint = "?" if "?" not in uri else "" if uri.endswith(("?", "&")) else "&"
    return f"{uri}{joint}{urlencode(list(parameters))}"
