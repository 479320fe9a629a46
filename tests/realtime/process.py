"""A server process to kill: `python -m tests.realtime.process`, configured by the environment; prints its port."""

from __future__ import annotations

import socket

import uvicorn

from fhir_server.config import Settings
from fhir_server.main import create_app


class _Announcing(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        assert sockets is not None
        print(sockets[0].getsockname()[1], flush=True)


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = Settings().model_copy(update={"port": listener.getsockname()[1]})
        _Announcing(uvicorn.Config(create_app(settings), lifespan="on", log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    main()
