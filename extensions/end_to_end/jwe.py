"""The one form of JWE that is stored: general JSON serialization (RFC 7516, 7.2.1), AES-256-GCM to keys of P-256.

No member is left in which something could stand in clear text. That the ciphertext is one, nobody can tell but who
has a key.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Any

from extensions.end_to_end.jwk import Broken, thumbprint
from fhir_server import json

Json = dict[str, Any]
MEDIA_TYPE = "application/jose+json"
MOST = 200  # recipients
_MEMBERS = {"protected", "recipients", "iv", "ciphertext", "tag"}
_SHARED = {"enc", "alg", "kid", "epk"}  # of the protected header; of one recipient's, all but enc
_BYTES = {"iv": 12, "tag": 16, "encrypted_key": 40}
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")


def recipients(text: bytes) -> list[str]:
    """To which keys it is encrypted, by their thumbprints; raises Broken when it is no such JWE."""
    jwe = _object(text, _MEMBERS, "The content")
    if jwe.keys() != _MEMBERS:
        raise Broken(f"The content lacks {', '.join(sorted(_MEMBERS - jwe.keys()))} of a JWE.")
    protected = _object(_decoded(jwe, "protected"), _SHARED, "The protected header")
    if protected.get("enc") != "A256GCM":
        raise Broken("The content is not encrypted with enc A256GCM.")
    for name in ("iv", "ciphertext", "tag"):
        _decoded(jwe, name)
    listed = jwe["recipients"]
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST:
        raise Broken(f"A JWE has one to {MOST} recipients.")
    kids = [_recipient(one, protected) for one in listed]
    if len(set(kids)) < len(kids):
        raise Broken("A JWE names each recipient once.")
    return kids


def _recipient(one: Any, protected: Json) -> str:
    if not isinstance(one, dict) or not one.keys() <= {"header", "encrypted_key"}:
        raise Broken("A recipient of a JWE has a header and an encrypted_key.")
    _decoded(one, "encrypted_key")
    own = one.get("header", {})
    if not isinstance(own, dict) or not own.keys() <= _SHARED - {"enc"} or own.keys() & protected.keys():
        raise Broken("The header of a recipient has alg, kid and epk, each where the protected header has it not.")
    header = protected | own
    if header.get("alg") != "ECDH-ES+A256KW":
        raise Broken("A recipient's key is not wrapped with alg ECDH-ES+A256KW.")
    thumbprint(header.get("epk"))
    kid = header.get("kid")
    if not isinstance(kid, str) or not _BASE64URL.fullmatch(kid):
        raise Broken("A recipient of a JWE is named by its kid.")
    return kid


def _object(text: bytes, names: set[str], what: str) -> Json:
    try:
        value = json.decode(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Broken(f"{what} is no JSON object.")
    if beside := value.keys() - names:
        raise Broken(f"{what} has what a JWE of this server has not: {len(beside)} members beside {sorted(names)}.")
    return value


def _decoded(members: Mapping[str, Any], name: str) -> bytes:
    text = members.get(name)
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text) or len(text) % 4 == 1:
        raise Broken(f"The member {name} is no base64url.")
    value = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if len(value) != _BYTES.get(name, len(value)):
        raise Broken(f"The member {name} has not {_BYTES[name]} bytes.")
    return value
