"""``trade-platform up``."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import click
import msgspec

from trade_platform.adapters.children import LEADER
from trade_platform.adapters.database import migrate
from trade_platform.adapters.database.times import day_of
from trade_platform.adapters.ledger import latest_market_time
from trade_platform.adapters.process import RunFile
from trade_platform.adapters.selection_file import read_selection
from trade_platform.commands.console import REPLAY, console, stop_on_signals
from trade_platform.commands.up_accounts import accounts_to_hear
from trade_platform.domain.market_clock import MarketClock
from trade_platform.exchanges.registry import EXCHANGES
from trade_platform.operations.capture import Capture, describe, write_selection
from trade_platform.operations.up import Options, Surroundings, UpError, replay_clock, simulated_clock
from trade_platform.operations.up import up as run_platform
from trade_platform.settings import Settings, settings_from
from trade_platform.surroundings import dagster_environment, servers
from trade_platform.terminal import StatusScreen, print_verification

SIMULATED_SPEED = 5.0
REPLAY_LEAD_SECONDS = 8.0
"""Real seconds from the start of a replay's clock to its first frame: until all are connected."""


@click.command()
@click.option("--simulated", is_flag=True, help="Against the simulator (default).")
@click.option("--live", is_flag=True, help="Against the real exchanges' public data.")
@click.option(
    "--capture",
    "captures",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Replay a recorded session through the simulator; ends when it ends.",
)
@click.option("--speed", type=click.FloatRange(min=1), help="Market seconds in a real second, from 1.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Stop by itself after so long.")
@click.option("--exchange", "exchanges", multiple=True, type=click.Choice(sorted(EXCHANGES)))
@click.option("--seed", type=int, default=1, show_default=True, help="Of the simulated market.")
@click.option("--faults", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Fault script.")
@click.option("--history", type=click.FloatRange(min=0), help="Days of a past of the simulated market.")
@click.option(
    "--dagster/--no-dagster", "with_dagster", default=True, help="With its web page (default), or alone."
)
@click.option(
    "--accounts/--no-accounts",
    "with_accounts",
    default=False,
    help="Hear the accounts of the vault, too; simulated exchanges have accounts of their own.",
)
def up(
    *,
    simulated: bool,
    live: bool,
    captures: tuple[Path, ...],
    speed: float | None,
    seconds: float | None,
    exchanges: tuple[str, ...],
    seed: int,
    faults: Path | None,
    history: float | None,
    with_dagster: bool,
    with_accounts: bool,
) -> None:
    """Run the whole platform on this machine, in the foreground; at the end drain and verify."""
    if simulated + live + bool(captures) > 1:
        raise click.UsageError("--simulated, --live and --capture exclude each other.")
    if speed is not None and live:
        raise click.UsageError("--speed is for simulated markets and recorded sessions.")
    if with_accounts and captures:
        raise click.UsageError("--accounts are of a market: recorded sessions have none.")
    if history is not None and (live or captures):
        raise click.UsageError("--history is for simulated markets.")
    settings = settings_from()
    _check(settings)
    clock = None
    if captures:
        settings, clock, exchanges = _replay(settings, [describe(path) for path in captures], speed or 1.0)
    elif not live:
        clock = _simulated(settings, speed or SIMULATED_SPEED)
    options = Options(
        exchanges=exchanges or tuple(sorted(EXCHANGES)),
        simulated=not live,
        captures=tuple(path.absolute() for path in captures),
        seconds=seconds,
        seed=seed,
        faults=faults.absolute() if faults else None,
        history=history,
    )
    if settings.without:
        console.print(f"Defences are left out, for a rehearsal: {', '.join(sorted(settings.without))}.")
    stop = stop_on_signals()
    told = clock.to_text() if clock else settings.market_clock
    leader = RunFile(settings.data_folder, LEADER, market_clock=told)
    with servers(settings) as (database_url, redis_url, kept), leader:
        migrate.upgrade(database_url)
        if with_accounts:
            named = msgspec.structs.replace(settings, database_url=database_url)
            path, accounts = accounts_to_hear(named, options.exchanges, simulated=not live)
            options = msgspec.structs.replace(options, accounts_file=path, accounts=accounts)
        surroundings = Surroundings(
            data_folder=settings.data_folder.absolute(),
            database_url=database_url,
            redis_url=redis_url,
            clock=clock,
            servers=kept,
            environment=_environment(settings, database_url, redis_url, clock, history or 0.0),
            without=settings.without,
            dagster=dagster_environment(settings, database_url) if with_dagster else {},
        )
        with StatusScreen(console) as screen:
            outcome = run_platform(options, surroundings, screen, stop)
        print_verification(console, outcome.verification)
    if captures:
        console.print(f"The replay's data lie in {settings.data_folder}: add --replay to status and verify.")
    sys.exit(0 if outcome.good else 1)


def _check(settings: Settings) -> None:
    """What would only show in a child's log is better said here."""
    read_selection(settings.instruments_file, exchanges=EXCHANGES)
    try:
        settings.data_folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UpError(
            f"{settings.data_folder} cannot be made ({error.strerror}): set DATA_FOLDER to a folder of yours."
        ) from error


def _replay(
    settings: Settings, captures: list[Capture], speed: float
) -> tuple[Settings, MarketClock, tuple[str, ...]]:
    """A replay has a data folder and a selection of its own: old sessions do not mix with the live market."""
    folder = settings.data_folder / REPLAY
    selection = folder / "instruments.toml"
    write_selection(captures, selection)
    own = msgspec.structs.replace(settings, data_folder=folder, instruments_file=selection)
    start = min(capture.start for capture in captures)
    clock = replay_clock(start, speed, time.monotonic(), lead_seconds=REPLAY_LEAD_SECONDS)
    return own, clock, tuple(sorted({capture.exchange for capture in captures}))


def _simulated(settings: Settings, speed: float) -> MarketClock:
    latest = latest_market_time(settings.data_folder)
    return simulated_clock(speed, time.time_ns() // 1000, time.monotonic(), latest)


def _environment(
    settings: Settings, database_url: str, redis_url: str, clock: MarketClock | None, history: float
) -> Mapping[str, str]:
    """What every child process is told; anything else it has from our own environment.

    A market of our own has no days before its past: Dagster would show them as missing.
    """
    first_day = settings.first_day
    if clock is not None and first_day == Settings().first_day:
        first_day = day_of(clock.origin) - timedelta(days=math.ceil(history))
    return {
        "FIRST_DAY": first_day.isoformat(),
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "DATA_FOLDER": str(settings.data_folder.absolute()),
        "INSTRUMENTS_FILE": str(settings.instruments_file.absolute()),
        "MARKET_CLOCK": clock.to_text() if clock else settings.market_clock,
        "ARCHIVE": settings.archive,
        "METRICS_PORT": "0",  # one port cannot serve them all
    }
