"""The server processes: uvicorn on one listening socket, in this process or in several."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from fhir_server import config
from fhir_server.cli.options import refuse
from fhir_server.config import Settings
from fhir_server.rest import metrics
from fhir_server.rest.logs import configure

GRACE_SECONDS = 10
_HEALTH_SECONDS = 30
# Compressed, each socket would keep 64 KB or more; no message to us is as long as a MiB.
WEBSOCKETS: dict[str, Any] = {"ws_per_message_deflate": False, "ws_max_size": 1024 * 1024}


def application() -> Any:
    """The ASGI application of one server process, configured by the environment."""
    from fhir_server.main import create_app

    settings = config.settings()
    configure(settings.log_level)
    _end_with_parent()
    return create_app(settings)


def run(settings: Settings, listener: socket.socket) -> None:
    """Serve on `listener` until a signal ends it; requests in flight get ten seconds to finish."""
    _export(settings)
    options = uvicorn.Config(
        f"{__name__}:application",
        factory=True,
        workers=settings.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # fhir_server.rest decides whose headers it believes
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_worker_healthcheck=_HEALTH_SECONDS,
        **WEBSOCKETS,
    )
    if settings.workers > 1:
        metrics.prepare_directory(settings.data_dir / "metrics")  # so that any worker answers for all
        Multiprocess(options, sockets=[listener]).run()
        return
    server = uvicorn.Server(options)
    server.run(sockets=[listener])
    if not server.started:
        raise refuse("the server did not start; the log above says why.")


def listen(settings: Settings) -> socket.socket:
    """The bound, not yet listening socket; a taken port is refused in words before anything is started."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        other = settings.port + 10 if settings.port else 8090
        raise refuse(
            f"cannot listen on port {settings.port} of {settings.host}: {error.strerror}. Choose another with "
            f"`fhir-server serve --port {other}` or `make run PORT={other}`; 0 takes a free one."
        ) from None
    return listener


def _export(settings: Settings) -> None:
    """Hand the settings to the server processes by the environment."""
    for name, value in settings.model_dump().items():
        if value is not None:
            os.environ[f"FHIR_{name.upper()}"] = str(value)
    config.settings.cache_clear()


def _end_with_parent() -> None:
    """Let a worker end when its parent was killed: nobody would supervise it, and it would keep the port."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
