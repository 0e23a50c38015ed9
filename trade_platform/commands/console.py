"""What every verb shares: the terminal, its signals, and whose data it is about."""

from __future__ import annotations

import signal
import threading
from typing import Final

import click
import msgspec
from rich.console import Console

from trade_platform.adapters.children import LEADER
from trade_platform.adapters.process import Run, read_run
from trade_platform.settings import Settings, settings_from

REPLAY = "replay"
"""Folder of replays below the data folder."""
SIMULATOR: Final = "simulator"
ARCHIVED: Final = "binance_usdm"
"""Its REST side tells the last day alone; what is older is in its files."""

console = Console(highlight=False)
of_replay = click.option("--replay", is_flag=True, help="Of the data that replays recorded.")


def settings_of(*, replay: bool) -> Settings:
    """The settings, or those of the replays' own data folder; beside a simulated market, those of it."""
    settings = settings_from()
    if replay:
        settings = msgspec.structs.replace(settings, data_folder=settings.data_folder / REPLAY)
    return beside_simulated(settings)


def beside_simulated(settings: Settings) -> Settings:
    """Where a simulated market of this data folder runs, it is asked and its clock counts.

    What the environment says has the last word, but nobody wants trades of the real exchange in a past that
    was made up. Who is told a clock is a process of the platform, and was told all the rest, too.
    """
    if settings.market_clock:
        return settings
    simulator, leader = _alive(settings, SIMULATOR), _alive(settings, LEADER)
    if simulator is None or leader is None:
        return settings
    urls = {
        f"{exchange.upper()}_{kind.upper()}_URL": url
        for exchange, kinds in simulator.urls.items()
        for kind, url in kinds.items()
    }
    archive = f"{simulator.urls[ARCHIVED]['rest']}/archive" if ARCHIVED in simulator.urls else ""
    return msgspec.structs.replace(
        settings,
        urls={**urls, **settings.urls},
        market_clock=leader.market_clock,
        archive=settings.archive or archive,
    )


def _alive(settings: Settings, name: str) -> Run | None:
    run = read_run(settings.data_folder / "run" / f"{name}.json")
    return run if run is not None and run.alive else None


def stop_on_signals() -> threading.Event:
    """Set by Ctrl-C and by SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop
