"""``python -m trade_platform.processors --stream NAME``: composition root of a processor."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Sequence
from typing import Final

import structlog
from prometheus_client import REGISTRY

from trade_platform.adapters import logs
from trade_platform.adapters.bus import STATE_STREAM, account_stream, market_stream
from trade_platform.adapters.clock import clock_from_text
from trade_platform.adapters.database.books import NoSuchAccount
from trade_platform.adapters.database.connection import WrongUrl, libpq_url
from trade_platform.adapters.database.roles import CannotStepDown
from trade_platform.adapters.holdings import Holdings
from trade_platform.adapters.process import (
    CannotStart,
    PortTaken,
    RunFile,
    die_with_parent,
    serve_health,
    stop_event,
)
from trade_platform.adapters.redis_reader import WrongRedisUrl, connect_redis
from trade_platform.domain.model import MICROSECONDS
from trade_platform.processors.engine import Engine
from trade_platform.processors.meters import Meters
from trade_platform.processors.plan import Plan
from trade_platform.settings import Settings, SettingsError, settings_from

STOP_SECONDS: Final = 9.0
"""For the transaction in hand; what is not committed by then is read again by the next process."""
_STREAMS: Final = f"{market_stream('KEY')}, {account_stream('KEY', 'TENANT.NAME')}, {STATE_STREAM}"

log = structlog.get_logger()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM; 0: graceful stop, 1: it could not go on, 2: wrong usage or settings."""
    parser = argparse.ArgumentParser(
        prog="python -m trade_platform.processors", description="Stores one Redis stream in PostgreSQL."
    )
    parser.add_argument("--stream", required=True, type=_stream, help=_STREAMS)
    stream: str = parser.parse_args(arguments).stream
    try:
        settings = settings_from()
        plan = _plan(settings, stream)
    except (SettingsError, WrongUrl, WrongRedisUrl) as error:
        print(error, file=sys.stderr)  # noqa: T201 - logging is not there yet
        return 2
    logs.configure(settings.log_level, settings.log_format, plan.process_name)
    if settings.parent_pid:
        die_with_parent(settings.parent_pid)
    try:
        return asyncio.run(_run(settings, plan))
    except (CannotStart, PortTaken) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1


async def _run(settings: Settings, plan: Plan) -> int:
    stop = stop_event()
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    clock = clock_from_text(settings.market_clock)

    def get_ready() -> None:
        loop.call_soon_threadsafe(ready.set)

    engine = Engine(plan, clock, Meters(plan.stream, REGISTRY), get_ready)
    Holdings(REGISTRY).add(engine.holdings)
    if plan.without:
        log.warning("Defences are left out: a rehearsal, never for use.", without=sorted(plan.without))
    async with await serve_health(settings.metrics_port, engine.health, REGISTRY) as server:
        work = asyncio.create_task(asyncio.to_thread(engine.run))
        stopped = asyncio.create_task(stop.wait())
        started = asyncio.create_task(ready.wait())
        try:
            await asyncio.wait({work, stopped, started}, return_when=asyncio.FIRST_COMPLETED)
            if started.done():
                with RunFile(settings.data_folder, plan.process_name, metrics=server.url):
                    await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
                    return await _finish(engine, work)
            return await _finish(engine, work)
        finally:
            engine.stopping.set()
            stopped.cancel()
            started.cancel()


async def _finish(engine: Engine, work: asyncio.Task[None]) -> int:
    """Let the transaction in hand end; the process's one boundary for what nobody foresaw."""
    engine.stopping.set()
    done, _ = await asyncio.wait({work}, timeout=STOP_SECONDS)
    if not done:
        log.warning("The database does not answer; what is not committed is read again by the next process.")
        os._exit(0)
    error = work.exception()
    if isinstance(error, NoSuchAccount | CannotStepDown):
        log.error(str(error))
        return 1
    if error is not None:
        log.critical("The processor cannot go on.", exc_info=error)
        return 1
    log.info("The processor has stopped.")
    return 0


def _plan(settings: Settings, stream: str) -> Plan:
    if not settings.database_url:
        raise SettingsError("DATABASE_URL is not set: it names the database that takes the rows.")
    if not settings.redis_url:
        raise SettingsError("REDIS_URL is not set: it names the Redis that holds the stream.")
    connect_redis(settings.redis_url).close()
    return Plan(
        stream=stream,
        database_url=libpq_url(settings.database_url),
        redis_url=settings.redis_url,
        process_name=settings.process_name or f"processor-{stream.replace(':', '-')}",
        window_seconds=settings.stream_window_seconds,
        lateness=round(settings.candle_lateness_seconds * MICROSECONDS),
        without=settings.without,
    )


def _stream(text: str) -> str:
    account = account_stream("[a-z0-9_]+", r"[a-z0-9][a-z0-9-]{0,30}\.[a-z0-9][a-z0-9-]{0,30}")
    if text == STATE_STREAM or any(
        re.fullmatch(one, text) for one in (market_stream("[a-z0-9_:]+"), account)
    ):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is none of {_STREAMS}")


if __name__ == "__main__":
    raise SystemExit(main())
