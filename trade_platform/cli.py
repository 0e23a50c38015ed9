"""``trade-platform …``: the use-cases for a terminal.

Exit codes: 0 done and good, 1 done and something is wrong, 2 used wrongly or not possible.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import click
import msgspec
import psycopg
import redis
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from trade_platform.adapters.children import LEADER, stop_leftovers
from trade_platform.adapters.database import migrate
from trade_platform.adapters.database.catalogue import known_instruments, trades_a_day
from trade_platform.adapters.embedded import EmbeddedError, stop_left_over, url_of
from trade_platform.adapters.ledger import LedgerUnreadable, latest_market_time
from trade_platform.adapters.process import CannotStart, RunFile
from trade_platform.adapters.rest import RestUnavailable
from trade_platform.adapters.selection_file import UnusableSelection, read_selection
from trade_platform.domain.market_clock import MarketClock
from trade_platform.domain.model import Instrument
from trade_platform.exchanges.registry import EXCHANGES
from trade_platform.exchanges.session import Exchange, Request, RestError
from trade_platform.operations.capture import Capture, CaptureUnusable, describe, write_selection
from trade_platform.operations.doctor import Verdict
from trade_platform.operations.doctor import doctor as examine
from trade_platform.operations.instruments import RecordedInstrument, recorded_instruments
from trade_platform.operations.status import read_status
from trade_platform.operations.up import Options, Surroundings, UpError, replay_clock, simulated_clock
from trade_platform.operations.up import up as run_platform
from trade_platform.operations.verify import Verification
from trade_platform.operations.verify import verify as prove
from trade_platform.settings import Settings, SettingsError, settings_from
from trade_platform.surroundings import NotHere, connections, database, rest_client, servers
from trade_platform.terminal import (
    StatusScreen,
    draw_status,
    print_findings,
    print_instruments,
    print_verification,
)

SIMULATED_SPEED = 5.0
REPLAY = "replay"
"""Folder of replays below the data folder."""
REPLAY_LEAD_SECONDS = 8.0
"""Real seconds from the start of a replay's clock to its first frame: until all are connected."""

console = Console(highlight=False)

_SENTENCES = (
    CannotStart,
    CaptureUnusable,
    EmbeddedError,
    LedgerUnreadable,
    NotHere,
    RestError,
    RestUnavailable,
    SettingsError,
    UnusableSelection,
    UpError,
    migrate.MigrationFailed,
    psycopg.OperationalError,
    psycopg.errors.UndefinedTable,
    redis.RedisError,
)
"""Errors whose text is a sentence for a person."""


def main() -> None:
    """Entry point of the program: whatever is wrong becomes one sentence."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except _SENTENCES as error:
        first, *_ = str(error).strip().splitlines() or [type(error).__name__]
        click.echo(f"trade-platform: {first}", err=True)
        sys.exit(2)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="trade-platform")
def cli() -> None:
    """Records exchanges completely, proves it, and looks after itself."""


@cli.command()
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
) -> None:
    """Run the whole platform on this machine, in the foreground; at the end drain and verify."""
    if simulated + live + bool(captures) > 1:
        raise click.UsageError("--simulated, --live and --capture exclude each other.")
    if speed is not None and live:
        raise click.UsageError("--speed is for simulated markets and recorded sessions.")
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
    )
    stop = _stop_on_signals()
    with servers(settings) as (database_url, redis_url, kept), RunFile(settings.data_folder, LEADER):
        migrate.upgrade(database_url)
        surroundings = Surroundings(
            data_folder=settings.data_folder.absolute(),
            database_url=database_url,
            redis_url=redis_url,
            clock=clock,
            servers=kept,
            environment=_environment(settings, database_url, redis_url, clock),
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
    settings: Settings, database_url: str, redis_url: str, clock: MarketClock | None
) -> Mapping[str, str]:
    """What every child process is told; anything else it has from our own environment."""
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "DATA_FOLDER": str(settings.data_folder.absolute()),
        "INSTRUMENTS_FILE": str(settings.instruments_file.absolute()),
        "MARKET_CLOCK": clock.to_text() if clock else settings.market_clock,
        "METRICS_PORT": "0",  # one port cannot serve them all
    }


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


_of_replay = click.option("--replay", is_flag=True, help="Of the data that replays recorded.")


def _settings(*, replay: bool) -> Settings:
    settings = settings_from()
    if not replay:
        return settings
    return msgspec.structs.replace(settings, data_folder=settings.data_folder / REPLAY)


@cli.command()
@click.option("--watch", is_flag=True, help="Redraw every second until Ctrl-C.")
@_of_replay
@click.option("--json", "as_json", is_flag=True)
def status(*, watch: bool, replay: bool, as_json: bool) -> None:
    """One screen: exchanges, instruments, streams, processes. Exit code 1 when something is unhealthy."""
    settings = _settings(replay=replay)
    with connections(settings) as (connection, bus):
        if watch:
            with StatusScreen(console) as screen:
                pause = _stop_on_signals()
                while not pause.wait(1.0):
                    screen.show(read_status(connection, bus, settings.data_folder))
            return
        seen = read_status(connection, bus, settings.data_folder)
        if as_json:
            click.echo(msgspec.json.encode(seen))
        else:
            console.print(draw_status(seen, {}))
    sys.exit(0 if seen.good else 1)


@cli.command()
@_of_replay
@click.option("--json", "as_json", is_flag=True)
def verify(*, replay: bool, as_json: bool) -> None:
    """Completeness as a proof; exit code 1 on anything missing, duplicated or altered."""
    settings = _settings(replay=replay)
    with database(settings) as connection:
        if as_json:
            verification = prove(connection, settings.data_folder)
            click.echo(msgspec.json.encode(verification))
        else:
            verification = _prove_with_progress(connection, settings.data_folder)
            print_verification(console, verification)
    sys.exit(0 if verification.good else 1)


def _prove_with_progress(connection: psycopg.Connection, folder: Path) -> Verification:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("verifying", total=None)

        def note(exchange: str, lines: int) -> None:
            progress.update(task, description=f"{exchange}: {lines:,} ledger lines")

        return prove(connection, folder, progress=note)


@cli.command()
@click.option("--refresh", is_flag=True, help="Ask the exchanges instead of the stored catalogue.")
@click.option("--exchange", "exchanges", multiple=True, type=click.Choice(sorted(EXCHANGES)))
@click.option("--json", "as_json", is_flag=True)
def instruments(*, refresh: bool, exchanges: tuple[str, ...], as_json: bool) -> None:
    """What config/instruments.toml comes to, and what it costs in rows a day."""
    settings = settings_from()
    selection = read_selection(settings.instruments_file, exchanges=EXCHANGES)
    recorded: list[RecordedInstrument] = []
    for key in exchanges or tuple(sorted(EXCHANGES)):
        known, rates = ([], {}) if refresh else _from_catalogue(settings, key)
        if not known:
            known = asyncio.run(_ask_instruments(EXCHANGES[key], settings))
        recorded += recorded_instruments(selection, EXCHANGES[key], known, rates)
    if as_json:
        click.echo(msgspec.json.encode(recorded))
    else:
        print_instruments(console, recorded)


def _from_catalogue(settings: Settings, key: str) -> tuple[list[Instrument], dict[tuple[str, str], int]]:
    try:
        with database(settings) as connection:
            return known_instruments(connection, key), trades_a_day(connection, key)
    except (NotHere, psycopg.Error):
        return [], {}


async def _ask_instruments(exchange: Exchange, settings: Settings) -> list[Instrument]:
    found: list[Instrument] = []
    async with rest_client(exchange, settings) as client:
        for request in exchange.instruments_requests():
            found += exchange.parse_instruments(await client.fetch(request))
    return found


@cli.command()
@click.option("--json", "as_json", is_flag=True)
def doctor(*, as_json: bool) -> None:
    """Check configuration, versions, permissions, servers and clocks; say what to do about each failure."""
    settings = settings_from()

    async def fetch(exchange: Exchange, request: Request) -> bytes:
        async with rest_client(exchange, settings) as client:
            return await client.fetch(request)

    findings = list(
        examine(
            data_folder=settings.data_folder,
            instruments_file=settings.instruments_file,
            database_url=settings.database_url or url_of(settings.data_folder / "postgres"),
            redis_url=settings.redis_url or url_of(settings.data_folder / "redis"),
            exchanges=EXCHANGES,
            ask=lambda exchange: asyncio.run(fetch(exchange, exchange.time_request())),
        )
    )
    if as_json:
        click.echo(msgspec.json.encode(findings))
    else:
        print_findings(console, findings)
    sys.exit(1 if any(finding.verdict is Verdict.BAD for finding in findings) else 0)


@cli.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def simulate(arguments: tuple[str, ...]) -> None:
    """The simulated exchanges alone; --help lists their options."""
    code = subprocess.call([sys.executable, "-m", "streamers.simulator", *arguments])
    sys.exit(code)


@cli.command()
def down() -> None:
    """Stop what runs in this data folder, or what a killed run left behind there."""
    data = settings_from().data_folder.absolute()
    stopped: list[str] = []
    for folder in (data, data / REPLAY):
        stopped += stop_leftovers(folder)
        stopped += [name for name in ("redis", "postgres") if stop_left_over(folder / name)]
    click.echo(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")


if __name__ == "__main__":
    main()
