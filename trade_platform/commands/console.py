"""What every verb shares: the terminal, its signals, and whose data it is about."""

from __future__ import annotations

import signal
import threading

import click
import msgspec
from rich.console import Console

from trade_platform.settings import Settings, settings_from

REPLAY = "replay"
"""Folder of replays below the data folder."""

console = Console(highlight=False)
of_replay = click.option("--replay", is_flag=True, help="Of the data that replays recorded.")


def settings_of(*, replay: bool) -> Settings:
    """The settings, or those of the replays' own data folder."""
    settings = settings_from()
    if not replay:
        return settings
    return msgspec.structs.replace(settings, data_folder=settings.data_folder / REPLAY)


def stop_on_signals() -> threading.Event:
    """Set by Ctrl-C and by SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop
