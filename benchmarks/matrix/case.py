"""What a fault is made of: to whom it is done and how, what proves it, and what stands against it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import msgspec

from benchmarks.platform import Platform
from benchmarks.signs import Look, nothing_grows
from trade_platform.domain.defences import Defence
from trade_platform.exchanges.registry import EXCHANGES

ALL: Final = tuple(sorted(EXCHANGES))
SPOT: Final = ("binance_spot",)
USDM: Final = ("binance_usdm",)
DERIBIT: Final = ("deribit",)
HALF_OPEN_REACH: Final = 20.0
SILENT_REACH: Final = 15.0
RESUME_REACH: Final = 10.0
MOST_CONNECTIONS: Final = 6
"""Of a whole exchange in the first minute, to a server that accepts and closes."""

Deed: TypeAlias = Callable[[Platform, Sequence[str]], None]


def nothing(_platform: Platform, _targets: Sequence[str]) -> None:
    """Heals by itself, or needs no preparation."""


class Bound(msgspec.Struct, frozen=True):
    """A count that may not grow by more than so much during the fault."""

    count: Look
    most: int
    what: str


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One fault, done to some exchanges at once; a row for each."""

    name: str
    kind: str = ""
    """Of what it is a fault; pairs are made of two kinds."""
    covers: tuple[str, ...] = ()
    """The names of the list of faults that this row stands for; empty: its own."""
    stage: str = "plain"
    """On which platform: its settings, see ``stages``."""
    targets: tuple[str, ...] = ALL
    shared: bool = False
    """It happens to a server that all share: nothing else may happen meanwhile."""
    inflict: Deed
    heal: Deed = nothing
    prepare: Deed = nothing
    clean_up: Deed = nothing
    hold: float = 0.1
    """Seconds until it is over, by itself or by ``heal``."""
    proof: Look
    """Grows when the fault really happened."""
    sign: Look | None = None
    """Grows when the platform noticed; None: there is nothing to notice."""
    detect_reach: float | None = None
    resume_reach: float | None = None
    bound: Bound | None = None
    expects_gap: bool = False
    expects_none: bool = False
    beyond: bool = False
    outage: bool = False
    """The exchange itself falls."""
    patience: float = 40.0
    """Seconds after its end."""
    defences: tuple[Defence, ...] = ()
    """The one that is meant, and those that would do its work in its place."""
    harmless: str = ""
    """Why there is no defence to switch off."""
    harm: Look = nothing_grows
    """Grows when the absence did harm that is neither a loss nor a stall."""
    patience_without: float = 12.0
    combines: bool = True
    """It may be one of two faults at once."""


# --- what is done ---


def told(fault: str, *more: str, **fields: object) -> Deed:
    """By the simulator's own hand; ``more`` without fields."""

    def inflict(platform: Platform, targets: Sequence[str]) -> None:
        for exchange in targets:
            platform.inflict(exchange, fault, **fields)
            for one in more:
                platform.inflict(exchange, one)

    return inflict


def signalled(name: str, number: signal.Signals) -> Deed:
    def inflict(platform: Platform, targets: Sequence[str]) -> None:
        for target in targets:
            os.kill(platform.pid_of(name.format(target)), number)

    return inflict


def both(*deeds: Deed) -> Deed:
    """One after the other."""

    def inflict(platform: Platform, targets: Sequence[str]) -> None:
        for deed in deeds:
            deed(platform, targets)

    return inflict
