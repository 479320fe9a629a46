"""Key sets that others publish, fetched and kept as long as they allow.

RFC 7517 · https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from fhir_server import json
from smart_auth.fetch import Fetched, Fetcher, FetchRefused

Json = dict[str, Any]

DEFAULT_AGE = 300.0  # seconds, when the answer has no Cache-Control
MAX_AGE = 3600.0  # seconds, whatever the answer says
PATIENCE = 10.0  # seconds between two fetches that an unknown kid, or a failure, asks for
MAX_SETS = 1000
MAX_KEYS = 100


def with_id(jwks: Json, kid: str) -> list[Json]:
    """The keys of a set that have this id: one, or one of each type."""
    return [key for key in jwks.get("keys", []) if key.get("kid") == kid]


def read(body: bytes) -> Json:
    """The key set of a JSON text. Raises FetchRefused for anything else."""
    try:
        value = json.decode(body)
    except json.InvalidJson:
        value = None
    keys = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(keys, list) or len(keys) > MAX_KEYS or not all(isinstance(key, dict) for key in keys):
        raise FetchRefused("what came is not a JSON Web Key Set.")
    return {"keys": keys}


@dataclass(slots=True)
class _Kept:
    """One remote set: what came last, until when it is good, and when it may be asked for out of turn."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    jwks: Json | None = None
    refusal: str = ""
    ended: float = float("-inf")  # the last fetch
    until: float = float("-inf")
    patient_until: float = float("-inf")


class KeySets:
    """Key sets at other addresses; callers of one address at the same time share one fetch."""

    def __init__(self, fetcher: Fetcher, now: Callable[[], float] = monotonic) -> None:
        self._fetcher = fetcher
        self._now = now
        self._sets: OrderedDict[str, _Kept] = OrderedDict()

    async def find(self, uri: str, kid: str) -> list[Json]:
        """The keys with this id at this address. Raises FetchRefused.

        A set that is too old, or lacks the id, is fetched anew; the latter only now and then.
        """
        arrived = self._now()
        kept = self._kept(uri)
        async with kept.lock:
            if kept.until <= arrived and kept.ended < arrived:
                await self._fetch(uri, kept)
            elif kept.jwks is not None and not with_id(kept.jwks, kid) and kept.patient_until <= arrived:
                kept.patient_until = arrived + PATIENCE
                await self._fetch(uri, kept)
            if kept.jwks is None:
                raise FetchRefused(kept.refusal)
            return with_id(kept.jwks, kid)

    async def _fetch(self, uri: str, kept: _Kept) -> None:
        begun = self._now()
        try:
            fetched = await self._fetcher.get(uri)
            kept.jwks, kept.until = read(fetched.body), begun + _age(fetched)
        except FetchRefused as refused:
            # A set that is still good outlives a failed look for a newer one.
            if kept.until <= begun:
                kept.jwks, kept.refusal, kept.until = None, str(refused), begun + PATIENCE
        kept.ended = self._now()

    def _kept(self, uri: str) -> _Kept:
        kept = self._sets.setdefault(uri, _Kept())
        self._sets.move_to_end(uri)
        if len(self._sets) > MAX_SETS:
            self._sets.popitem(last=False)
        return kept


def _age(fetched: Fetched) -> float:
    return DEFAULT_AGE if fetched.max_age is None else min(float(fetched.max_age), MAX_AGE)
