"""Where the clinic's e-mails arrive: a real SMTP server on loopback that keeps the latest one to each address."""

from __future__ import annotations

import asyncio
import email
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP


class Keeper:
    """Writes the text of a message into the folder, under the address that it is for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        text = email.message_from_bytes(envelope.content).get_payload(decode=True)
        for address in envelope.rcpt_tos:
            part = self._folder / f".{address}"
            part.write_bytes(bytes(text))
            part.rename(self._folder / address)  # whole, or not there yet
        return "250 OK"


@contextmanager
def delivering(folder: Path) -> Iterator[str]:
    """Take in e-mail until the block ends; yields the `smtp_url` for the settings of a server."""
    folder.mkdir()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    keeper = Keeper(folder)
    opening = loop.create_server(lambda: SMTP(keeper, loop=loop), "127.0.0.1", 0)
    server = asyncio.run_coroutine_threadsafe(opening, loop).result(60)
    try:
        yield f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
