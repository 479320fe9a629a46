"""The collections of subscriptions, in the database of the server's own affairs, so that nothing follows itself.

- sub_active: one document per Subscription that counts events, and per hook ("hook:<name>"). Written by the engine in
  the transaction that moves its place in the change stream (`count`, what it was made from), by deliveries (`sent` …).
- sub_events: the numbered events, `_id` "<subscription>/<number, 12 digits>".
- sub_state: the engine's lease and place (`_id` "engine").
- sub_mail: how many e-mails an address has had.
- signals: capped; what processes tell each other in passing, never the only trace of anything.
- sio_signals: the same of sockets, apart, so that whatever clients relay pushes out nothing of the above.
"""

from __future__ import annotations

from typing import Any

from pymongo.errors import CollectionInvalid, OperationFailure

from fhir_server.storage.database import Database

_NAMESPACE_EXISTS = 48
SIGNALS_BYTES = 16 * 1024 * 1024
SIO_SIGNALS_BYTES = 32 * 1024 * 1024


async def prepare(database: Database, *, event_days: int) -> None:
    """Have the collections and their indexes; safe to run by several processes at once."""
    collections: dict[str, dict[str, Any]] = {
        "sub_active": {},
        "sub_events": {},
        "sub_state": {},
        "sub_mail": {},
        "signals": {"capped": True, "size": SIGNALS_BYTES},
        "sio_signals": {"capped": True, "size": SIO_SIGNALS_BYTES},
    }
    for name, options in collections.items():
        try:
            await database.system.create_collection(name, **options)
        except CollectionInvalid:
            pass
        except OperationFailure as error:
            if error.code != _NAMESPACE_EXISTS:
                raise
    await database.system["sub_active"].create_index([("channel", 1), ("due", 1)], name="channel_due")
    await database.system["sub_active"].create_index([("owner.client", 1)], name="client", sparse=True)
    await database.system["sub_mail"].create_index([("until", 1)], name="until", expireAfterSeconds=60)
    await database.system["sub_events"].create_index(
        [("stored", 1)], name="stored", expireAfterSeconds=event_days * 86_400
    )
