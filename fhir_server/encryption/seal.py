"""The text of one version, sealed: AES-256-GCM, bound to the version that it is the text of.

https://csrc.nist.gov/pubs/sp/800/38/d/final
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE = 12  # bytes; random, which one key bears for 2^32 texts


def seal(cipher: AESGCM, place: str, text: str) -> bytes:
    """Nonce and ciphertext of the text of the version "Type/id/n"."""
    nonce = secrets.token_bytes(NONCE)
    return nonce + cipher.encrypt(nonce, text.encode(), place.encode())


def unseal(cipher: AESGCM, place: str, sealed: bytes) -> str:
    """The text. Raises ValueError when it is another version's, under another key, or altered."""
    try:
        return cipher.decrypt(sealed[:NONCE], sealed[NONCE:], place.encode()).decode()
    except InvalidTag:
        raise ValueError(f"{place}: what was sealed is altered, or it is not what was sealed here") from None
