"""Where a text has left its trace: in any collection of the database, the oplog among them, and in the data folder."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pymongo import MongoClient


def forms(text: str) -> set[bytes]:
    """The text as it is, and as base64 and base64url have it wherever it begins in what they encode."""
    plain, found = text.encode(), {text.encode()}
    for before in range(3):
        for encode in (b64encode, urlsafe_b64encode):
            encoded = encode(b"\0" * before + plain).rstrip(b"=")
            # The first and the last character may depend on what stands beside the text.
            found.add(encoded[(0, 2, 3)[before] : -1])
    return found


def is_in(text: str, data: bytes) -> bool:
    return any(form in data for form in forms(text))


def traces(text: str, uri: str, folder: Path) -> set[str]:
    """The collections ("t_clinic.resource") and files that have the text in any form."""
    return {name for name, data in everything(uri, folder) if is_in(text, data)}


def everything(uri: str, folder: Path) -> Iterator[tuple[str, bytes]]:
    """What lies in the database and in the folder, by collection and file name."""
    with MongoClient[dict[str, Any]](uri) as client:
        for database in client.list_database_names():
            for collection in client[database].list_collection_names():
                if not collection.startswith("system."):
                    for batch in client[database][collection].find_raw_batches({}):
                        yield f"{database}.{collection}", bytes(batch)  # type: ignore[arg-type]
    for file in folder.rglob("*"):
        if file.is_file():
            yield file.name, file.read_bytes()
