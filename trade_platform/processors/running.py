"""The running minute of each instrument: kept in memory, and which minutes are closed by what came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from trade_platform.adapters.database.bars import Computed, Key
from trade_platform.adapters.database.minutes import Newest
from trade_platform.adapters.database.trades import channel_of
from trade_platform.domain.model import MINUTE, Candle, Channel, QuantityUnit, Trade
from trade_platform.domain.ohlc import Bar, bars_of, merge, minute_of

MOST_RUNNING: Final = 50_000


class Running(msgspec.Struct, kw_only=True):
    """Where one instrument's trades end."""

    exchange: str
    symbol: str
    unit: QuantityUnit
    channel: Channel
    """Which sequence counts: that of the newest trade."""
    minute: int
    """Opening of the newest minute with a trade."""
    written: bool = False
    """Its row is in the table: the clock or the exchange closed it."""
    bar: Bar | None = None
    """None while it is behind the table (a backlog is not folded trade by trade)."""


class Touched(msgspec.Struct, frozen=True):
    """What a batch of trades means for the minutes."""

    closed: set[Key]
    """They changed or ended, and are to be made anew from the table."""
    begun: set[Key]
    """Running minutes of the same instruments: what they prove of the silence before them counts."""


class RunningMinutes:
    """All instruments of the exchanges that this stream carries."""

    def __init__(self) -> None:
        self._by_instrument: dict[int, Running] = {}
        self._soonest: int | None = None
        """Opening of the earliest minute without a row."""
        self.names: set[tuple[str, str]] = set()
        """(exchange, symbol) of all whose trades are recorded."""
        self.changed: set[int] = set()
        """Instruments whose bar is not what it was when last taken."""
        self.incomplete = False
        """Some were let go: who is not here may be in the table."""

    def __iter__(self) -> Iterator[tuple[int, Running]]:
        return iter(self._by_instrument.items())

    def __len__(self) -> int:
        return len(self._by_instrument)

    def __contains__(self, instrument_id: int) -> bool:
        return instrument_id in self._by_instrument

    def seed(self, exchange: str, newest: Iterable[Newest]) -> None:
        """As the database has them."""
        for one in newest:
            self.names.add((exchange, one.symbol))
            self._by_instrument[one.instrument_id] = Running(
                exchange=exchange,
                symbol=one.symbol,
                unit=one.unit,
                channel=one.channel,
                minute=one.minute,
                written=one.written,
            )
        self._find_soonest()

    def get(self, instrument_id: int) -> Running | None:
        return self._by_instrument.get(instrument_id)

    def units(self, keys: Iterable[Key]) -> dict[int, QuantityUnit]:
        """Of these minutes' instruments."""
        return {instrument_id: self._by_instrument[instrument_id].unit for instrument_id, _ in keys}

    def channels(self, keys: Iterable[Key]) -> dict[int, Channel]:
        """Of these minutes' instruments, as far as they have a running minute."""
        return {
            instrument_id: self._by_instrument[instrument_id].channel
            for instrument_id, _ in keys
            if instrument_id in self._by_instrument
        }

    def add(
        self, exchange: str, unit: QuantityUnit, instrument_id: int, trades: Sequence[Trade], *, fold: bool
    ) -> Touched:
        """New trades of one instrument are in the table. Without ``fold`` the bar is left behind."""
        minutes = {minute_of(trade.event_time) for trade in trades}
        newest = max(trades, key=lambda trade: (trade.event_time, trade.sequence))
        running = self._by_instrument.get(instrument_id)
        if running is None:
            running = self._by_instrument[instrument_id] = Running(
                exchange=exchange,
                symbol=newest.symbol,
                unit=unit,
                channel=channel_of(newest),
                minute=minute_of(newest.event_time),
                bar=Bar(open_time=minute_of(newest.event_time)),
            )
        elif minute_of(newest.event_time) > running.minute:
            minutes.add(running.minute)
            running.minute = minute_of(newest.event_time)
            running.written = False
            running.bar = Bar(open_time=running.minute)
        if not running.written and (self._soonest is None or running.minute < self._soonest):
            self._soonest = running.minute
        if minute_of(newest.event_time) == running.minute and running.channel is not channel_of(newest):
            running.channel, running.bar = channel_of(newest), None
        self._fold(running, trades, fold=fold)
        self.names.add((exchange, running.symbol))
        if running.bar is not None:
            self.changed.add(instrument_id)
        closed = {minute for minute in minutes if minute < running.minute or running.written}
        begun = {running.minute} - closed if closed else set()
        return Touched(
            {(instrument_id, minute) for minute in closed}, {(instrument_id, minute) for minute in begun}
        )

    def take_changed(self) -> list[Running]:
        """Those that changed since this was last asked."""
        taken = [self._by_instrument[instrument_id] for instrument_id in self.changed]
        self.changed = set()
        return [running for running in taken if running.bar is not None]

    def refresh(self, computed: Mapping[Key, Computed]) -> None:
        """The running bars as the table has them."""
        for instrument_id, running in self:
            one = computed.get((instrument_id, running.minute))
            if one is not None:
                running.bar = one.bar
                self.changed.add(instrument_id)

    def behind(self) -> set[Key]:
        """Running minutes whose bar is to be taken from the table."""
        return {
            (instrument_id, running.minute)
            for instrument_id, running in self
            if running.bar is None and not running.written
        }

    def due(self, market_time: int, lateness: int) -> set[Key]:
        """Running minutes that the clock has closed and that have no row yet."""
        return {
            (instrument_id, running.minute)
            for instrument_id, running in self
            if not running.written and running.minute + MINUTE + lateness <= market_time
        }

    def next_due(self, lateness: int) -> int | None:
        """When the clock closes the next one; may be early, never late."""
        return None if self._soonest is None else self._soonest + MINUTE + lateness

    def mark_written(self, keys: Iterable[Key]) -> None:
        for instrument_id, minute in keys:
            running = self._by_instrument.get(instrument_id)
            if running is not None and running.minute == minute:
                running.written = True
        self._find_soonest()

    def judge_klines(self, klines: Mapping[Key, Candle]) -> tuple[set[Key], set[Key]]:
        """Closed klines that came: (minutes of ours to judge again, empty minutes that they may prove)."""
        again: set[Key] = set()
        empty: set[Key] = set()
        for (instrument_id, minute), kline in klines.items():
            running = self._by_instrument.get(instrument_id)
            if running is None:
                continue
            if kline.trades == 0:
                empty.add((instrument_id, minute))
                if minute > running.minute and not running.written:
                    again.add((instrument_id, running.minute))
            elif minute < running.minute or (
                minute == running.minute and (running.written or _ends_with(running.bar, kline))
            ):
                again.add((instrument_id, minute))
        return again, empty

    def shrink(self) -> None:
        """Let go of those that have traded least recently; the table has all of them."""
        if len(self._by_instrument) <= MOST_RUNNING:
            return
        settled = [(one.minute, instrument_id) for instrument_id, one in self if one.written]
        for _, instrument_id in sorted(settled)[: MOST_RUNNING // 10]:
            one = self._by_instrument.pop(instrument_id)
            self.names.discard((one.exchange, one.symbol))
            self.changed.discard(instrument_id)
        self.incomplete = True

    def _find_soonest(self) -> None:
        self._soonest = min((running.minute for _, running in self if not running.written), default=None)

    @staticmethod
    def _fold(running: Running, trades: Sequence[Trade], *, fold: bool) -> None:
        if not fold:
            running.bar = None
        if running.bar is None:
            return
        current = [
            trade
            for trade in trades
            if minute_of(trade.event_time) == running.minute and channel_of(trade) is running.channel
        ]
        for bar in bars_of(current, running.unit):
            running.bar = merge(running.bar, bar)


def _ends_with(bar: Bar | None, kline: Candle) -> bool:
    """We hold the minute's first and last raw trade."""
    return bar is not None and (bar.first_id, bar.last_id) == (kline.first_id, kline.last_id)
