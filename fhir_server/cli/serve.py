"""`fhir-server serve`: the database in this process's care, the application in uvicorn's."""

from __future__ import annotations

import os
import signal
import threading
from ipaddress import ip_address
from types import FrameType
from typing import Annotated

import typer

from fhir_server.cli.database import await_database
from fhir_server.cli.options import DataDir, refuse, settings_with
from fhir_server.cli.processes import listen, run
from fhir_server.cli.welcome import greet
from fhir_server.rest.logs import configure
from fhir_server.storage.embedded import database_uri


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.", show_default="8080")] = None,
    workers: Annotated[int | None, typer.Option(help="Server processes.", show_default="1")] = None,
    data_dir: DataDir = None,
    open_: Annotated[bool, typer.Option("--open", help="No sign-in, for local trials. Loopback only.")] = False,
    private_network: Annotated[
        bool,
        typer.Option(
            envvar="FHIR_PRIVATE_NETWORK",
            help="I vouch that only trusted machines reach --host, e.g. a container published on 127.0.0.1.",
        ),
    ] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Load the demo clinic when the database is empty.")] = False,
) -> None:
    """Serve FHIR R4, with a private MongoDB in the data directory unless MONGODB_URI names one."""
    settings = settings_with(host=host, port=port, workers=workers, data_dir=data_dir, open=open_ or None)
    if settings.open and not private_network and not is_loopback(settings.host):
        raise refuse(
            f"open mode has no sign-in, so it listens on loopback only, not on {settings.host}. "
            "Leave --host out, or pass --private-network if nobody else can reach that address."
        )
    configure(settings.log_level)
    _stop_in_order()
    with listen(settings) as listener, database_uri(settings) as uri:
        settings = settings.model_copy(update={"mongodb_uri": uri, "port": listener.getsockname()[1]})
        version = await_database(uri)
        ended = threading.Event()
        threading.Thread(target=greet, args=(settings, version, demo, ended), daemon=True).start()
        try:
            run(settings, listener)
        finally:
            ended.set()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _stop_in_order() -> None:
    """Let every signal that ends a process stop the private mongod first; uvicorn adds its own way while it serves."""

    def leave(_: int, __: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGTERM, leave)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
