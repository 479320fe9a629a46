"""How many e-mails an address gets, whoever subscribed with it: a mailbox need not belong to whoever names it.

One document for each address in `sub_mail`, by its hash: until when what was sent is paid off. Half of an hour's
e-mails may be sent at once; each takes as long to be paid off as lets no hour have more than it may.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from pymongo import ReturnDocument

from fhir_server.storage.database import Collection, Database

Json = dict[str, Any]
# Milliseconds that are not paid off; null, which is less than any number, where there is nothing yet.
_AHEAD: Json = {"$subtract": ["$until", "$$NOW"]}


class Allowance:
    """The e-mails that may be sent, counted for all processes together, by the database's clock."""

    def __init__(self, database: Database, per_hour: int = 20) -> None:
        self._rows: Collection = database.system["sub_mail"]
        self.at_once = max(1, per_hour // 2)
        self.seconds = 3600 // self.at_once  # in which one more may follow
        self._ahead = (self.at_once - 1) * self.seconds  # that may be owed
        more: Json = {"$add": [{"$max": ["$until", "$$NOW"]}, self.seconds * 1000]}
        self._may: Json = {"may": {"$lte": [_AHEAD, self._ahead * 1000]}, "asked": "$$NOW"}
        self._paid: Json = {"until": {"$cond": ["$may", more, "$until"]}}

    async def take(self, address: str) -> float:
        """Seconds to wait before an e-mail to the address may be sent; 0.0: it may, and was counted."""
        id_ = hashlib.sha256(_mailbox(address).encode()).hexdigest()
        row = await self._rows.find_one_and_update(
            {"_id": id_}, [{"$set": self._may}, {"$set": self._paid}], upsert=True, return_document=ReturnDocument.AFTER
        )
        assert row is not None
        until: datetime = row["until"]
        left: float = (until - row["asked"]).total_seconds() - self._ahead
        return 0.0 if row["may"] else max(1.0, left)


def _mailbox(address: str) -> str:
    """The address without what makes no other mailbox of it: case, and a tag behind a plus."""
    name, _, host = address.strip().lower().rpartition("@")
    return f"{name.partition('+')[0]}@{host}"
