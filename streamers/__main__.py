"""``python -m streamers --exchange KEY``: composition root of the process that holds exchange sockets."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import structlog
import uvloop
from prometheus_client import REGISTRY

from streamers.adoption import Adoption
from streamers.bus_link import BusLink
from streamers.predecessor import Succession, delivering
from streamers.publisher import Publisher
from streamers.spool import Spool, SpoolUnusable
from streamers.supervisor import Supervisor
from streamers.telemetry import Telemetry
from trade_platform.adapters import logs
from trade_platform.adapters.budget import Budget
from trade_platform.adapters.clock import Clock, WallClock, clock_from_text
from trade_platform.adapters.holdings import Holdings
from trade_platform.adapters.process import (
    CannotStart,
    PortTaken,
    RunFile,
    die_with_parent,
    keep_standard_streams,
    serve_health,
    stop_event,
)
from trade_platform.adapters.rest import RestClient
from trade_platform.adapters.selection_file import SelectionFile
from trade_platform.adapters.trust import trust
from trade_platform.domain.defences import Defence
from trade_platform.domain.slots import other_slot
from trade_platform.exchanges.registry import EXCHANGES
from trade_platform.exchanges.session import Exchange
from trade_platform.settings import Settings, SettingsError, settings_from

FLUSH_SECONDS = 4.0
"""For what is left when the process stops; the spool keeps the rest."""

SPOOL_SECONDS = 15.0
"""For the other slot to let go of our spool."""
SPOOL_POLL_SECONDS = 0.25

log = structlog.get_logger()


def main(arguments: list[str] | None = None, exchanges: Mapping[str, Exchange] = EXCHANGES) -> int:
    """Run until SIGTERM; 0 after a graceful stop, 1 where it could not start, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m streamers", description="Feeds Redis from one exchange.")
    parser.add_argument("--exchange", required=True, choices=sorted(exchanges), help="which one")
    keep_standard_streams()
    exchange = exchanges[parser.parse_args(arguments).exchange]
    try:
        settings = settings_from()
        name = settings.process_name or f"streamer-{exchange.key}"
        logs.configure(settings.log_level, settings.log_format, name)
        if settings.parent_pid:
            die_with_parent(settings.parent_pid)
        uvloop.run(_run(settings, exchange, name, frozenset(exchanges)))
    except (SettingsError, CannotStart, PortTaken, SpoolUnusable) as error:
        print(error, file=sys.stderr)  # noqa: T201 - logging may not be there yet
        return 1
    return 0


async def _run(settings: Settings, exchange: Exchange, name: str, keys: frozenset[str]) -> None:
    stop = stop_event()
    clock = _clock(settings)
    websocket_url, rest_url = settings.hosts(exchange.key)
    tls = trust(settings.tls_ca_file)
    publisher = Publisher(
        _bus_link(settings),
        Spool(settings.data_folder / "spool" / name, settings.spool_megabytes << 20),
        exchange=exchange.key,
        producer=f"{name}:{WallClock().market()}",  # a replay's time may come twice
        clock=clock,
        buffer_records=settings.buffer_records,
        without=settings.without,
    )
    holdings = Holdings(REGISTRY)
    holdings.add(publisher.holdings)
    if settings.without:
        log.warning("Defences are left out: a rehearsal, never for use.", without=sorted(settings.without))
    await _open(publisher, settings.data_folder / "run" / f"{other_slot(name)}.json")
    adoption = Adoption(
        settings.data_folder / "spool" / other_slot(name),
        settings.spool_megabytes << 20,
        lambda: _bus_link(settings),
        clock,
    )
    budget = Budget(
        exchange.key,
        exchange.limits,
        redis_url=settings.redis_url,
        share=settings.budget_share,
        unlimited=Defence.BUDGETS in settings.without,
    )
    rest = RestClient(
        rest_url or exchange.rest_url,
        name=exchange.key,
        error_of=exchange.error_of,
        budget=budget,
        ssl_context=tls,
    )
    supervisor = Supervisor(
        exchange,
        publisher,
        rest,
        clock,
        SelectionFile(settings.instruments_file, exchanges=keys),
        websocket_url=websocket_url or exchange.websocket_url,
        tls=tls,
        maximum_age_seconds=settings.connection_maximum_age_seconds or None,
        succession=_succession(settings, exchange, publisher, clock),
        without=settings.without,
    )
    holdings.add(supervisor.holdings)
    telemetry = Telemetry(supervisor, clock, REGISTRY)
    server = await serve_health(settings.metrics_port, telemetry.health)
    async with budget, rest, server:
        with RunFile(settings.data_folder, name, metrics=server.url):
            log.info("The streamer is up.", exchange=exchange.key)
            await _carry(supervisor, publisher, adoption, stop)
            log.info("The streamer has stopped.", records=publisher.sender.sent_records)


async def _carry(
    supervisor: Supervisor, publisher: Publisher, adoption: Adoption, stop: asyncio.Event
) -> None:
    """All until the stop; the publisher last, when nothing comes in any more."""
    async with asyncio.TaskGroup() as group:
        group.create_task(publisher.run())
        adopting = group.create_task(adoption.run())
        await supervisor.run(stop)
        adopting.cancel()
        publisher.finish(FLUSH_SECONDS)


async def _open(publisher: Publisher, other: Path) -> None:
    """Take the spool; the process of the other slot may just be sending it. Raises SpoolUnusable."""
    other_works = delivering(other)
    for _ in range(round(SPOOL_SECONDS / SPOOL_POLL_SECONDS)):
        if not other_works():
            break
        with suppress(SpoolUnusable):
            publisher.open()
            return
        await asyncio.sleep(SPOOL_POLL_SECONDS)
    publisher.open()


def _succession(
    settings: Settings, exchange: Exchange, publisher: Publisher, clock: Clock
) -> Succession | None:
    """Where this process is to take over from another one."""
    if not settings.predecessor:
        return None
    link = _bus_link(settings)

    async def ask() -> Mapping[str, int]:
        if not link.connected:
            await link.connect()
        return await link.sequences(exchange.key)

    run_file = settings.data_folder / "run" / f"{settings.predecessor}.json"
    return Succession(delivering(run_file), ask, publisher, clock)


def _bus_link(settings: Settings) -> BusLink:
    if not settings.redis_url:
        raise CannotStart("REDIS_URL is not set: it names the Redis that takes the entries.")
    try:
        return BusLink(settings.redis_url)
    except (ValueError, TypeError) as error:
        # Without the URL itself: it may hold a password.
        raise CannotStart(f"REDIS_URL is not usable ({error}): correct it.") from error


def _clock(settings: Settings) -> Clock:
    try:
        return clock_from_text(settings.market_clock)
    except ValueError as error:
        raise CannotStart(
            f"MARKET_CLOCK={settings.market_clock!r} is not usable ({error}): unset it for the wall clock."
        ) from error


if __name__ == "__main__":
    sys.exit(main())
