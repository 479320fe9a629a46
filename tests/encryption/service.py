"""A key service, as a hospital's own could be: keys stay with it, and it is asked to wrap and to unwrap."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from fhir_server.config import Settings


class Service:
    """It has two keys, of which the second is in use, and notes what it was asked."""

    asked: list[str]

    def __init__(self, settings: Settings) -> None:
        self._keys = {b"a": b"A" * 32, b"b": b"B" * 32}
        self.current = b"b"
        self.asked = []

    async def wrap(self, key: bytes, context: str) -> bytes:
        self.asked.append(f"wrap {context}")
        return self.current + aes_key_wrap(self._keys[self.current], key)

    async def unwrap(self, wrapped: bytes, context: str) -> bytes:
        self.asked.append(f"unwrap {context}")
        try:
            return aes_key_unwrap(self._keys[wrapped[:1]], wrapped[1:])
        except (KeyError, InvalidUnwrap, InvalidTag):
            raise ValueError("not wrapped by this service") from None

    def is_current(self, wrapped: bytes) -> bool:
        return wrapped[:1] == self.current


def make(settings: Settings) -> Service:
    return Service(settings)
