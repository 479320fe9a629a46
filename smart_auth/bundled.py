"""The app that the server brings along: the views at /app, answered there and nowhere else.

It is in the list of apps like any other, so an operator can switch it off: `fhir-server client`.
"""

from __future__ import annotations

from fhir_server.storage.database import Database
from smart_auth.clients import Client

PATH = "/app/"
SCOPES = "openid fhirUser online_access user/*.cruds"
VIEWS = Client("fhir-server-views", "Views for clinicians", scopes=SCOPES, trusted=True)


async def prepare(database: Database) -> None:
    """Register the views, unless somebody has and has said more."""
    row = VIEWS.to_document()
    id_ = row.pop("_id")
    await database.system["auth_clients"].update_one({"_id": id_}, {"$setOnInsert": row}, upsert=True)


def own_address(client: Client, issuer: str) -> str:
    """Where the views of this server are answered; "" for every other app, which none of its addresses is for."""
    return issuer + PATH if client.id == VIEWS.id else ""
