"""A public key as a JWK (RFC 7517): one point of P-256, and its thumbprint (RFC 7638)."""

from __future__ import annotations

import re
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey

Json = dict[str, Any]
MEMBERS = {"kty", "crv", "x", "y"}
_COORDINATE = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 bytes


class Broken(Exception):
    """What is wrong, in a sentence that tells nothing of the content."""


def thumbprint(jwk: Any) -> str:
    """The thumbprint of a public key; raises Broken for anything else, and for one that has its private half."""
    if not isinstance(jwk, dict):
        raise Broken("The key is no JWK.")
    if "d" in jwk:
        raise Broken("The key has its private half, which is never to leave its browser: make a new one.")
    if jwk.keys() != MEMBERS or (jwk["kty"], jwk["crv"]) != ("EC", "P-256"):
        raise Broken("The key is no JWK of kty EC and crv P-256 with x, y and nothing else.")
    if not all(isinstance(jwk[one], str) and _COORDINATE.fullmatch(jwk[one]) for one in "xy"):
        raise Broken("The coordinates of the key are no 32 bytes in base64url.")
    try:
        key = ECKey.import_key(jwk)
        _ = key.public_key  # whether the point is on the curve
        return str(key.thumbprint())
    except (JoseError, ValueError):
        raise Broken("The key is no point of P-256.") from None
