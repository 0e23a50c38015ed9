"""Composition root: ``python -m streamers.simulator``."""

from __future__ import annotations

import argparse
import asyncio
import errno
import math
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec
import structlog

from streamers.simulator.assembly import Plan, Remembered, assemble
from streamers.simulator.binance_trades import DEFAULT_REACH_HOURS
from streamers.simulator.capture import UnusableCapture, describe
from streamers.simulator.faults import UnusableScript
from streamers.simulator.history import DEFAULT_RATE
from streamers.simulator.listing import EXCHANGES
from streamers.simulator.ports import keep_ports, read_ports
from streamers.simulator.server import ExchangeServer, pass_time
from trade_platform.adapters.clock import clock_from_text
from trade_platform.adapters.logs import configure
from trade_platform.adapters.process import (
    CannotStart,
    Health,
    PortTaken,
    RunFile,
    die_with_parent,
    serve_health,
    stop_event,
)
from trade_platform.settings import Settings, SettingsError, settings_from

PROCESS_NAME = "simulator"
MOST_DAYS = 3660
MOST_RATE = 500_000
log = structlog.get_logger()


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m streamers.simulator", description="Simulated exchanges.")
    parser.add_argument(
        "--exchange",
        action="extend",
        nargs="+",
        choices=EXCHANGES,
        metavar="KEY",
        help=f"which exchanges: {', '.join(EXCHANGES)} (default: all, or those of the captures)",
    )
    parser.add_argument("--seed", type=int, default=1, help="the market's seed")
    parser.add_argument("--rate", type=float, default=1.0, help="times the usual rate of orders")
    parser.add_argument("--faults", type=Path, help="fault script (.toml or .jsonl)")
    parser.add_argument(
        "--capture",
        action="extend",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="replay recorded sessions instead of a market",
    )
    parser.add_argument(
        "--describe", type=Path, metavar="FILE", help="say what a recorded session holds, and exit"
    )
    parser.add_argument(
        "--port-base", type=int, default=0, help="first port; one more per exchange (default: any free)"
    )
    parser.add_argument(
        "--tls", action="store_true", help="serve wss and https with a certificate of our own"
    )
    parser.add_argument(
        "--time-scale",
        type=float,
        default=1.0,
        help="times the protocols' own intervals (pings, deadlines, life of a connection)",
    )
    parser.add_argument(
        "--reach",
        type=float,
        default=DEFAULT_REACH_HOURS,
        metavar="HOURS",
        help="how far back USD-M serves aggregate trades (default: %(default)s)",
    )
    parser.add_argument(
        "--history",
        type=_days,
        default=0,
        metavar="DAYS",
        help="a past of so many whole days before the market's start, served by REST and archive",
    )
    parser.add_argument(
        "--history-rate",
        type=_rate,
        default=0,
        metavar="TRADES",
        help=f"trades in an average day of a busy instrument's past (default: {DEFAULT_RATE})",
    )
    parser.add_argument(
        "--accounts", type=Path, metavar="FILE", help="accounts that trade on the simulated exchanges (JSON)"
    )
    return parser.parse_args(given)  # fmt: skip


def _days(text: str) -> int:
    """Whole days: what was begun is served wholly."""
    try:
        days = math.ceil(float(text))
    except (ValueError, OverflowError):
        days = -1
    if not 0 <= days <= MOST_DAYS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days from 0 to {MOST_DAYS}")
    return days


def _rate(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_RATE:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {MOST_RATE}")
    return int(text)


def main() -> int:
    """Exit code: 0 done, 2 used wrongly or impossible here."""
    options = arguments()
    try:
        if options.describe:
            sys.stdout.write(msgspec.json.encode(describe(options.describe)).decode() + "\n")
            return 0
        settings = settings_from()
        configure(settings.log_level, settings.log_format, settings.process_name or PROCESS_NAME)
        asyncio.run(_serve(options, settings))
    except (SettingsError, UnusableCapture, UnusableScript, CannotStart, PortTaken) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


async def _serve(options: argparse.Namespace, settings: Settings) -> None:
    if settings.parent_pid:
        die_with_parent(settings.parent_pid)
    stop = stop_event()
    clock = clock_from_text(settings.market_clock)
    plan = Plan(
        exchanges=tuple(dict.fromkeys(options.exchange or ())),
        seed=options.seed,
        rate=options.rate,
        faults=options.faults,
        captures=tuple(options.capture),
        scale=options.time_scale,
        reach_hours=options.reach,
        history_days=options.history,
        history_rate=options.history_rate,
        accounts=options.accounts,
    )
    name = settings.process_name or PROCESS_NAME
    earlier = read_ports(settings.data_folder)
    remembered = [assemble(plan, exchange, settings.data_folder, clock) for exchange in plan.chosen()]
    tls = None
    if options.tls:
        from streamers.simulator.certificate import server_context  # noqa: PLC0415 (needs openssl, only on demand)

        tls = server_context(settings.data_folder / "tls")
    servers = [ExchangeServer(one.exchange, clock, tls) for one in remembered]
    with ExitStack() as stack:
        for one in remembered:
            stack.callback(one.close)
        for place, server in enumerate(servers):
            port = options.port_base + place if options.port_base else earlier.get(server.exchange.key, 0)
            await _open(server, port, fixed=bool(options.port_base))
        keep_ports(settings.data_folder, {server.exchange.key: server.port for server in servers})
        async with await serve_health(settings.metrics_port, lambda: Health(ok=True)) as health:
            urls = {server.exchange.key: server.urls() for server in servers}
            with RunFile(settings.data_folder, name, metrics=health.url, urls=urls):
                await pass_time(servers, stop, lambda: _remember(remembered))
                for server in servers:
                    await server.close()


def _remember(remembered: Sequence[Remembered]) -> None:
    for one in remembered:
        one.save()


async def _open(server: ExchangeServer, port: int, *, fixed: bool) -> None:
    try:
        await server.open(port)
    except OSError as error:
        if not fixed and port:
            await server.close()
            await server.open(0)
            log.warning(
                "the port of the earlier life is not free: another one was taken",
                exchange=server.exchange.key,
                earlier=port,
                port=server.port,
            )
            return
        why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be opened ({error.strerror})"
        raise CannotStart(
            f"Port {port} on 127.0.0.1 {why}: choose another --port-base, or leave it out."
        ) from error


if __name__ == "__main__":
    sys.exit(main())
