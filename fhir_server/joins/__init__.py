"""What a search has to look up before it can be asked of the database: one look-up per step of a chain.

Each is a repository call with the caller's own filter, so a chain tells nobody of a resource they may not see.
"""

from fhir_server.joins.resolve import Joins, resolved

__all__ = ["Joins", "resolved"]
