"""Waiting for the stop and for something else."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def first(stop: asyncio.Event, work: Coroutine[Any, Any, object] | None, seconds: float) -> None:
    """Wait for the stop, the work, or the time, whichever comes first."""
    tasks: list[asyncio.Task[object]] = [asyncio.create_task(stop.wait())]
    if work is not None:
        tasks.append(asyncio.create_task(work))
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
