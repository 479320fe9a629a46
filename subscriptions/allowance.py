"""How many e-mails an address gets, whoever subscribed with it: a mailbox need not belong to whoever names it.

One document for each address in `sub_mail`, by its hash: until when what was sent is paid off. Each e-mail takes
SECONDS, and they may be AT_ONCE ahead, so that no hour has more than 20.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from pymongo import ReturnDocument

from fhir_server.storage.database import Collection, Database

AT_ONCE = 10
SECONDS = 360  # in which one more may follow

Json = dict[str, Any]
# Milliseconds that are not paid off; null, which is less than any number, where there is nothing yet.
_AHEAD: Json = {"$subtract": ["$until", "$$NOW"]}
_MAY: Json = {"may": {"$lte": [_AHEAD, (AT_ONCE - 1) * SECONDS * 1000]}, "asked": "$$NOW"}
_MORE: Json = {"$add": [{"$max": ["$until", "$$NOW"]}, SECONDS * 1000]}
_PAID: Json = {"until": {"$cond": ["$may", _MORE, "$until"]}}


class Allowance:
    """The e-mails that may be sent, counted for all processes together, by the database's clock."""

    def __init__(self, database: Database) -> None:
        self._rows: Collection = database.system["sub_mail"]

    async def take(self, address: str) -> float:
        """Seconds to wait before an e-mail to the address may be sent; 0.0: it may, and was counted."""
        id_ = hashlib.sha256(_mailbox(address).encode()).hexdigest()
        row = await self._rows.find_one_and_update(
            {"_id": id_}, [{"$set": _MAY}, {"$set": _PAID}], upsert=True, return_document=ReturnDocument.AFTER
        )
        assert row is not None
        until: datetime = row["until"]
        left: float = (until - row["asked"]).total_seconds() - (AT_ONCE - 1) * SECONDS
        return 0.0 if row["may"] else max(1.0, left)


def _mailbox(address: str) -> str:
    """The address without what makes no other mailbox of it: case, and a tag behind a plus."""
    name, _, host = address.strip().lower().rpartition("@")
    return f"{name.partition('+')[0]}@{host}"
