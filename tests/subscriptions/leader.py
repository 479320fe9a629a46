"""A process that leads until it is killed: `python -m tests.subscriptions.leader URI PREFIX`."""

from __future__ import annotations

import asyncio
import sys

from tests.subscriptions.plant import plant


async def lead(uri: str, prefix: str) -> None:
    """Say when it leads, and go on until it is killed."""
    async with plant(uri, prefix) as made:
        await made.leads()
        print("leads", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(lead(sys.argv[1], sys.argv[2]))
