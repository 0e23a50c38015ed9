"""Puts an exchange together for this data folder: market or replay, continued where an earlier life ended."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import structlog

from streamers.simulator.accounts.accounts_file import UnusableAccounts, read_accounts
from streamers.simulator.accounts.desk import Desk
from streamers.simulator.accounts.halves import open_desk
from streamers.simulator.binance_trades import DEFAULT_REACH_HOURS
from streamers.simulator.capture import Session, exchange_of, read_session
from streamers.simulator.deribit_floor import DeribitFloor
from streamers.simulator.exchange import SimulatedExchange
from streamers.simulator.faults import FaultScript, read_faults
from streamers.simulator.floor import Floor
from streamers.simulator.history import DEFAULT_RATE, History, HistoryAsked, NoSuchPast
from streamers.simulator.hub import Hub
from streamers.simulator.ledger import Ledger
from streamers.simulator.listing import BINANCE_SPOT, BINANCE_USDM, DERIBIT, EXCHANGES, listings
from streamers.simulator.replay import Replay
from streamers.simulator.restart import ClockBehind
from streamers.simulator.source import Source
from streamers.simulator.spot_floor import SpotFloor
from streamers.simulator.unheard import WholeLedger
from streamers.simulator.usdm_floor import UsdmFloor
from trade_platform.adapters.clock import Clock, ReplayClock
from trade_platform.adapters.process import CannotStart

log = structlog.get_logger()

FLOORS: dict[str, Callable[..., Floor]] = {
    BINANCE_SPOT: SpotFloor,
    BINANCE_USDM: UsdmFloor,
    DERIBIT: DeribitFloor,
}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks for."""

    exchanges: tuple[str, ...] = ()
    seed: int = 1
    rate: float = 1.0
    faults: Path | None = None
    captures: tuple[Path, ...] = ()
    scale: float = 1.0
    reach_hours: float = DEFAULT_REACH_HOURS
    history_days: int = 0
    """How long a past the market has; 0: as long as it had in its earlier life."""
    history_rate: int = 0
    """Trades in an average day of it; 0: as many as in its earlier life, or the usual number."""
    accounts: Path | None = None
    """The file that describes the accounts; None: nobody has any."""

    def chosen(self) -> tuple[str, ...]:
        """The exchanges to run: those named, else those of the captures, else all."""
        if self.exchanges:
            return self.exchanges
        if self.captures:
            return tuple(dict.fromkeys(exchange_of(path) for path in self.captures))
        return EXCHANGES


class EarlierLife(NamedTuple):
    """What the data folder knows of this market."""

    state: dict[str, Any]
    fresh: bool
    """Nothing: it begins now."""
    past: HistoryAsked | None


class Remembered:
    """An exchange and the two files that outlive it."""

    def __init__(self, exchange: SimulatedExchange, state_path: Path) -> None:
        self.exchange = exchange
        self._state_path = state_path
        self._unsaved = False

    def write(self) -> None:
        """Write the state beside the ledger, whole or not at all; raises OSError."""
        part = self._state_path.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(self.exchange.source.memory()))
        part.replace(self._state_path)

    def save(self) -> None:
        """Write the state, if it can be; that it cannot is said once."""
        if self.exchange.stalled:
            return  # it would tell of prints that are in no ledger
        try:
            self.write()
        except OSError as error:
            if not self._unsaved:
                log.error(  # noqa: TRY400 (a sentence, not a traceback)
                    "the state beside the ledger cannot be written: it is tried again every second",
                    path=str(self._state_path),
                    error=error.strerror,
                )
            self._unsaved = True
            return
        self._unsaved = False

    def close(self) -> None:
        try:
            self.exchange.ledger.close()
        except OSError as error:
            log.error(  # noqa: TRY400 (a sentence, not a traceback)
                "the ledger could not be written to its end: what it lacks was never said",
                path=str(self.exchange.ledger.path),
                error=error.strerror,
            )
            return
        self.save()


def assemble(plan: Plan, key: str, data_folder: Path, clock: Clock) -> Remembered:
    """One exchange, ready to be served; raises CannotStart where its files cannot be used."""
    path = data_folder / "ledger" / f"{key}.jsonl"
    state_path = path.with_suffix(".state.json")
    ledger, hub = Ledger(path), Hub()
    try:
        earlier = _earlier(plan, state_path, ledger)
        if earlier.past is not None:
            ledger = WholeLedger(path, anew=earlier.fresh)
        ledger.open()
        faults = FaultScript(read_faults(plan.faults) if plan.faults else [])
        sessions = [read_session(path) for path in plan.captures if exchange_of(path) == key]
        source: Source = (
            _replay(key, sessions, hub, ledger, clock)
            if plan.captures
            else _market(plan, key, hub, ledger, earlier, clock.market())
        )
        ledger.flush()
        remembered = Remembered(
            SimulatedExchange(
                source,
                hub,
                ledger,
                faults=faults,
                scale=plan.scale,
                reach_hours=plan.reach_hours,
                desk=_desk(plan, source, data_folder / "accounts"),
            ),
            state_path,
        )
        remembered.write()
    except OSError as error:
        what = "there is no space left" if error.errno == errno.ENOSPC else error.strerror
        raise CannotStart(
            f"The ledger folder {ledger.path and ledger.path.parent} cannot be written ({what}): "
            "check the free space and the permissions of DATA_FOLDER."
        ) from error
    except msgspec.DecodeError as error:
        raise CannotStart(
            f"The ledger {ledger.path} was altered ({error}): move the data folder away."
        ) from error
    return remembered


def _earlier(plan: Plan, state_path: Path, ledger: Ledger) -> EarlierLife:
    state = {} if plan.captures else _state(state_path)
    fresh = not state and not ledger.holds_anything
    return EarlierLife(state, fresh, history_asked(plan, state, fresh=fresh))


def history_asked(plan: Plan, state: Mapping[str, Any], *, fresh: bool) -> HistoryAsked | None:
    """The past that this life serves, the same as every earlier one did; None for a market without."""
    known = msgspec.convert(state["history"], HistoryAsked) if "history" in state else None
    if plan.captures:
        if plan.history_days:
            raise CannotStart("A recorded session has no past: leave --history out, or --capture.")
        return None
    if known is None:
        if not plan.history_days:
            return None
        if not fresh:
            raise CannotStart(
                "The market of this data folder began without a past: leave --history out, "
                "or take a fresh data folder."
            )
        return HistoryAsked(days=plan.history_days, rate=plan.history_rate or DEFAULT_RATE, seed=plan.seed)
    if plan.seed != known.seed or plan.history_rate not in (0, known.rate):
        raise CannotStart(
            f"The past of this data folder was made with --seed {known.seed} --history-rate {known.rate}: "
            "say the same, or take a fresh data folder."
        )
    return HistoryAsked(days=plan.history_days or known.days, rate=known.rate, seed=known.seed)


def _market(plan: Plan, key: str, hub: Hub, ledger: Ledger, earlier: EarlierLife, now: int) -> Floor:
    listed_at = earlier.state.get("listed_at", now)
    floor = FLOORS[key](key, listings(key, listed_at), seed=plan.seed, hub=hub, ledger=ledger, rate=plan.rate)
    floor.listed_at = listed_at
    try:
        floor.history = History(floor, earlier.past) if earlier.past else None
        if earlier.fresh:
            floor.open(now)
            return floor
        floor.reopen(now, earlier.state, ledger.read())
    except (ClockBehind, NoSuchPast) as error:
        raise CannotStart(str(error)) from error
    return floor


def _desk(plan: Plan, source: Source, folder: Path) -> Desk | None:
    if plan.accounts is None:
        return None
    if not isinstance(source, Floor):
        raise CannotStart("A recorded session has no accounts: leave --accounts out, or --capture.")
    try:
        return open_desk(source, read_accounts(plan.accounts), folder)
    except UnusableAccounts as error:
        raise CannotStart(str(error)) from error
    except msgspec.DecodeError as error:
        raise CannotStart(
            f"A book of {source.exchange} in {folder} was altered ({error}): move the data folder away."
        ) from error


def _replay(key: str, sessions: list[Session], hub: Hub, ledger: Ledger, clock: Clock) -> Replay:
    for _ in ledger.read():
        pass  # what an earlier run of the same session wrote is not written twice
    speed = clock.market_clock.speed if isinstance(clock, ReplayClock) else 1.0
    return Replay(key, sessions, hub, ledger, speed)


def _state(path: Path) -> dict[str, Any]:
    try:
        state = msgspec.json.decode(path.read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):
        return {}
    return state if isinstance(state, dict) else {}
