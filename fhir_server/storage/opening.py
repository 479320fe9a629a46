"""Documents that were sealed, opened again: every read passes here, and those without sealed ones pass by.

A sealed document has `e` (nonce and ciphertext) and `ek` (the id of the key) where others have the text `j`. One whose
key is destroyed reads as deleted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fhir_server.encryption.seal import unseal
from fhir_server.outcomes import Unavailable
from fhir_server.storage.database import Database

Document = dict[str, Any]
_ROUNDS = 5


def is_any_sealed(documents: Iterable[Document]) -> bool:
    """Whether `open_all` is needed."""
    return any("ek" in one for one in documents)


async def open_all(database: Database, documents: Iterable[Document]) -> None:
    """Put the text into the sealed ones of these documents, by one query for all their keys.

    Raises ValueError when one was altered, Unavailable (503) when its key cannot be opened now.
    """
    left = [one for one in documents if "ek" in one]
    for _ in range(_ROUNDS):
        ciphers, retired = await database.keyring.ciphers({one["ek"] for one in left})
        again: list[Document] = []
        for one in left:
            cipher = ciphers.get(one["ek"])
            if cipher is not None:
                if "e" in one:
                    one["j"] = unseal(cipher, place(one), one.pop("e"))
            elif one["ek"] not in retired:
                _close(one)
            elif "e" in one:
                again.append(one)
        if not again:
            return
        # They were sealed anew between our reading them and asking for the key.
        await _read_again(database, again)
        left = [one for one in again if "ek" in one]
    raise Unavailable("What is sensitive is being sealed anew; try again.", headers={"Retry-After": "1"})


async def _read_again(database: Database, documents: list[Document]) -> None:
    """What these versions are sealed as now; the insert-only collection has each of them."""
    places = [place(one) for one in documents]
    found = {one["_id"]: one async for one in database.version.find({"_id": {"$in": places}}, {"e": 1, "ek": 1})}
    for one in documents:
        now = found.get(place(one), {})
        if "e" in now:
            one["e"], one["ek"] = now["e"], now["ek"]
        else:
            _close(one)


def _close(document: Document) -> None:
    """Nobody can read it any more."""
    document.pop("e", None)
    document.pop("ek", None)
    document["d"] = True


def place(document: Document) -> str:
    """The version that its text is bound to: "Type/id/n"."""
    if isinstance(document.get("r"), str):
        return str(document["_id"])  # of a version; a resource has the keys of its ranges there
    return f"{document['_id']}/{document['v']}"
