"""Waiting for the database, with a clear word about why it does not come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
from pymongo import MongoClient
from pymongo.errors import ConfigurationError, InvalidURI, PyMongoError, ServerSelectionTimeoutError

from fhir_server.cli.options import refuse

log = structlog.get_logger(__name__)

_WAIT_SECONDS = 60.0
_SAY_AFTER_SECONDS = 2.0
_LOOK_SECONDS = 0.5  # between two looks at whether the user has had enough


def await_database(uri: str, seconds: float = _WAIT_SECONDS, *, interrupted: Callable[[], bool] = bool) -> str:
    """The version of the MongoDB at `uri` once it answers, e.g. "8.0.4"; ends the command in words when it cannot.

    Raises KeyboardInterrupt soon after `interrupted` says so.
    """
    notice = threading.Timer(_SAY_AFTER_SECONDS, log.info, ["waiting for the database"])
    notice.start()
    try:
        with MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=int(_LOOK_SECONDS * 1000)) as client:
            hello = _hello(client, time.monotonic() + seconds, interrupted)
            version = str(client.server_info()["version"])
    except (InvalidURI, ConfigurationError) as error:
        raise refuse(f"MONGODB_URI is wrong: {error}") from None
    except PyMongoError as error:
        raise refuse(
            f"the database did not answer within {seconds:.0f} s ({type(error).__name__}). Check MONGODB_URI, "
            "the network and the sign-in to MongoDB; `fhir-server doctor` looks closer."
        ) from None
    finally:
        notice.cancel()
    if not is_transactional(hello):
        raise refuse(
            "MONGODB_URI names a mongod that is no replica set, and the server needs transactions. "
            "One member is enough: start it with --replSet and run rs.initiate()."
        )
    return version


def _hello(client: MongoClient[dict[str, Any]], deadline: float, interrupted: Callable[[], bool]) -> dict[str, Any]:
    while True:
        try:
            return client.admin.command("hello")
        except ServerSelectionTimeoutError:
            if interrupted():
                raise KeyboardInterrupt from None
            if time.monotonic() > deadline:
                raise


def is_transactional(hello: dict[str, Any]) -> bool:
    """Whether the answer to `hello` came from a replica set or a sharded cluster."""
    return "setName" in hello or hello.get("msg") == "isdbgrid"
