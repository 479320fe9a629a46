"""What the database must offer: a reachable replica set, its parameters, our indexes, and the same time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from fhir_server.cli.checks.encryption import patient_keys
from fhir_server.cli.checks.finding import Finding, fail, ok, warn
from fhir_server.cli.database import is_transactional
from fhir_server.config import Settings
from fhir_server.storage.data_directory import DataDirectory
from fhir_server.storage.database import INDEXES
from fhir_server.storage.embedded import TRANSACTION_SECONDS, database_uri
from fhir_server.storage.mongod import MongodUnavailable

_ANSWER_SECONDS = 5
_MAX_CLOCK_SECONDS = 2.0

Client = MongoClient[dict[str, Any]]


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding about the database; a private one that does not run is started for the examination."""
    if not settings.mongodb_uri and not DataDirectory(settings.data_dir).db.exists():
        yield ok("Database", "none yet; the first start makes a private one")
        return
    try:
        with database_uri(settings) as uri, Client(uri, serverSelectionTimeoutMS=_ANSWER_SECONDS * 1000) as client:
            yield from _reachable(client)
            yield lifetime(client)
            yield indexes(client, settings.database)
            yield clock(client)
            yield patient_keys(client, settings)
    except MongodUnavailable as problem:
        text, _, advice = str(problem).partition("\n")
        yield fail("Database", text, advice)
    except PyMongoError as error:
        text = f"does not answer within {_ANSWER_SECONDS} s ({type(error).__name__})"
        yield fail("Database", text, "Check MONGODB_URI: host, port, replica set name, sign-in, TLS.")


def _reachable(client: Client) -> Iterator[Finding]:
    hello = client.admin.command("hello")
    version = client.server_info()["version"]
    if int(version.partition(".")[0]) < 7:
        yield warn("Database", f"MongoDB {version}, out of its maker's support", "Upgrade: docs/running.md shows how.")
    else:
        yield ok("Database", f"MongoDB {version}")
    if is_transactional(hello):
        members = len(hello.get("hosts", []))
        yield ok("Replica set", f"{hello['setName']}, {members} member(s)" if "setName" in hello else "sharded cluster")
    else:
        yield fail("Replica set", "none", "Start mongod with --replSet and run rs.initiate(): transactions need it.")


def lifetime(client: Client) -> Finding:
    """How long a transaction of a killed process may block a writer of the same resource."""
    subject, parameter = "Transactions", "transactionLifetimeLimitSeconds"
    try:
        seconds = client.admin.command({"getParameter": 1, parameter: 1})[parameter]
    except OperationFailure:
        return warn(
            subject, f"{parameter} cannot be read", f"Ask whoever runs the cluster to set {TRANSACTION_SECONDS}."
        )
    if seconds > TRANSACTION_SECONDS:
        advice = f"Set it to {TRANSACTION_SECONDS}, so that a killed process delays no writer for longer."
        return warn(subject, f"{parameter} is {seconds}", advice)
    return ok(subject, f"end after {seconds} s at the latest")


def indexes(client: Client, prefix: str) -> Finding:
    """Whether every index that the server's queries count on is there."""
    database = client[f"{prefix}_fhir"]
    if not set(INDEXES) & set(database.list_collection_names()):
        return ok("Indexes", f"{prefix}_fhir is empty; the first start makes them")
    missing = [
        f"{collection}.{name}"
        for collection, wanted in INDEXES.items()
        for name, *_ in wanted
        if name not in database[collection].index_information()
    ]
    if missing:
        return fail("Indexes", f"missing: {', '.join(missing)}", "Start the server once: it makes what is missing.")
    return ok("Indexes", f"all {sum(map(len, INDEXES.values()))} there")


def clock(client: Client) -> Finding:
    """How far this machine's clock is from the database's, whose time stamps every version."""
    before = time.monotonic()
    theirs = client.admin.command("hello")["localTime"].replace(tzinfo=UTC)
    passing = time.monotonic() - before
    # When in the meantime it looked at its clock nobody knows: what that may explain is no difference.
    difference = max(0.0, abs((datetime.now(UTC) - theirs).total_seconds() - passing / 2) - passing / 2)
    if difference > _MAX_CLOCK_SECONDS:
        return warn(
            "Clock", f"{difference:.1f} s away from the database's", "Synchronize both (NTP): tokens depend on it."
        )
    return ok("Clock", f"within {max(difference, passing):.2f} s of the database's")
