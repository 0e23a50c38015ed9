"""What is to run, where it runs, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from trade_platform.domain.defences import Defence
from trade_platform.domain.market_clock import MarketClock
from trade_platform.domain.model import MICROSECONDS
from trade_platform.operations.status import Status
from trade_platform.operations.verify import Verification


class UpError(Exception):
    """The platform cannot run; the sentence says why and what to do."""


class KeptAlive(Protocol):
    """Something that starts itself again when it is found dead."""

    def keep_alive(self) -> str | None: ...


class Display(Protocol):
    """Where a person follows what happens."""

    def say(self, sentence: str) -> None: ...

    def show(self, status: Status, note: str = "") -> None: ...


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What to run."""

    exchanges: tuple[str, ...]
    simulated: bool
    captures: tuple[Path, ...] = ()
    seconds: float | None = None
    """Real seconds from the moment when everything is live, or some seconds later where something does
    not become live (an exchange that cannot be reached); None: until stopped."""
    seed: int = 1
    faults: Path | None = None
    history: float | None = None
    """Days of a past that the simulated market has; None: as the simulator has it by itself."""
    accounts: tuple[tuple[str, str], ...] = ()
    """(exchange, account's key) of those that are heard; the vault runs only where there are any."""
    accounts_file: Path | None = None
    """Whose accounts the simulator has."""


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """Where it runs: servers that are up already, and what every child process is told."""

    data_folder: Path
    database_url: str
    redis_url: str
    environment: Mapping[str, str]
    clock: MarketClock | None = None
    """The market's, where it is not the wall clock."""
    servers: Sequence[KeptAlive] = ()
    """Servers of ours that are to be started again when they die."""
    without: frozenset[Defence] = frozenset()
    dagster: Mapping[str, str] = {}
    """What Dagster's processes are told besides; empty: it is not in this run."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    verification: Verification
    drained: bool
    """Everything that was read from the exchanges is stored."""
    clean: bool
    """Every process that carries data ended by itself, with exit code 0."""

    @property
    def good(self) -> bool:
        return self.verification.good and self.drained and self.clean


def simulated_clock(speed: float, now: int, monotonic: float, latest: int | None) -> MarketClock:
    """A market at ``speed`` that goes on from now, or from where an earlier, faster one had come to."""
    return MarketClock(origin=max(now, latest or 0), anchor=monotonic, speed=speed)


def replay_clock(start: int, speed: float, monotonic: float, *, lead_seconds: float) -> MarketClock:
    """A replay that begins ``lead_seconds`` of real time from now: what it takes until all are connected."""
    return MarketClock(
        origin=start - round(lead_seconds * speed * MICROSECONDS), anchor=monotonic, speed=speed
    )
