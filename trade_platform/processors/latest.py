"""``latest:{exchange}:{symbol}``: the last numbers and the running candle, for who wants only the present.

A cache beside the truth: written after the commit, a few times a second at most, gone five minutes after
the last word of its instrument.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Final, TypeAlias

import msgspec
from redis import Redis

from trade_platform.adapters.bus import latest_key
from trade_platform.adapters.database.candles import INTERVAL
from trade_platform.adapters.holdings import Held
from trade_platform.domain.model import Candle, Number
from trade_platform.domain.ohlc import Bar
from trade_platform.processors.producers import Accepted
from trade_platform.processors.recent import Recent
from trade_platform.processors.running import RunningMinutes

EXPIRY_SECONDS: Final = 300
PACE_SECONDS: Final = 0.1
"""Between two writes: at most ten a second per instrument."""

REFUSED_SECONDS: Final = 1.0
MOST_PENDING: Final = 5_000
"""Instruments that wait to be shown: what is beyond waits for its next word."""
MOST_SEEN: Final = 200_000
"""Values of instruments; beyond it a late one may be shown for a moment."""

Name: TypeAlias = tuple[str, str]
"""(exchange, symbol)."""


class RunningCandle(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON of the field ``candle``; decimals are strings, times microseconds UTC."""

    source: str
    interval: str
    open_time: int
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    volume: Decimal
    quote_volume: Decimal
    trades: int | None
    taker_buy_volume: Decimal | None
    taker_buy_quote_volume: Decimal | None
    first_id: int | None
    last_id: int | None

    @classmethod
    def of(cls, source: str, interval: str, candle: Bar | Candle) -> RunningCandle:
        """Both kinds have these fields."""
        shared = {name: getattr(candle, name) for name in cls.__struct_fields__[2:]}
        return cls(source=source, interval=interval, **shared)

    def text(self) -> str:
        return msgspec.json.encode(self).decode()


class Latest:
    """Gathers what changed and writes it, at its own pace."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._pending: dict[Name, dict[str, str]] = {}
        self._seen: Recent[tuple[str, str, str], tuple[int, int]] = Recent(MOST_SEEN)
        """How new what is shown of each value is."""
        self._age_at = 0.0
        self._not_before = 0.0

    def note(self, accepted: Iterable[Accepted], running: RunningMinutes) -> None:
        """Numbers and candles that are stored; bars are taken from ``running`` when they are written."""
        for one in accepted:
            for record in one.reading.records:
                if isinstance(record, Number):
                    self._note_number(one.entry.exchange, record)
                elif isinstance(record, Candle):
                    if (one.entry.exchange, record.symbol) not in running.names:
                        self._note_candle(one.entry.exchange, record)
                else:
                    break  # an entry is of one kind

    def seconds_until_due(self, running: RunningMinutes, now: float) -> float | None:
        """None where nothing waits to be written."""
        return max(0.0, self._not_before - now) if self._pending or running.changed else None

    def flush(self, running: RunningMinutes, now: float, *, force: bool = False) -> int:
        """Write what waits, if its time has come; returns how many instruments. May raise RedisError."""
        if not (self._pending or running.changed) or (now < self._not_before and not force):
            return 0
        if now >= self._age_at:
            self._age_at = now + EXPIRY_SECONDS
            self._seen.age()
        self._take_bars(running)
        pipeline: Any = self._client.pipeline(transaction=False)
        for (exchange, symbol), fields in self._pending.items():
            key = latest_key(exchange, symbol)
            pipeline.hset(key, mapping=fields)
            pipeline.expire(key, EXPIRY_SECONDS)
        pipeline.execute()
        written = len(self._pending)
        self._pending = {}
        self._not_before = now + PACE_SECONDS
        return written

    def put_off(self, now: float) -> None:
        """Redis refused it (it is full): try again later."""
        self._not_before = now + REFUSED_SECONDS

    def holdings(self) -> Iterator[Held]:
        """What waits to be shown, and what was."""
        yield Held("latest_pending", len(self._pending), MOST_PENDING)
        yield Held("latest_seen", len(self._seen), self._seen.bound)

    def _take_bars(self, running: RunningMinutes) -> None:
        for one in running.take_changed():
            assert one.bar is not None, "a changed bar is there"
            self._put(one.exchange, one.symbol, "candle", RunningCandle.of("trade", INTERVAL, one.bar).text())

    def _note_number(self, exchange: str, number: Number) -> None:
        key = (exchange, number.symbol, number.metric.value)
        at = (number.event_time, number.update)
        if (self._seen.get(key) or at) <= at:
            self._seen.put(key, at)
            self._put(exchange, number.symbol, number.metric.value, str(number.value))

    def _note_candle(self, exchange: str, candle: Candle) -> None:
        key = (exchange, candle.symbol, "candle")
        at = (candle.open_time, candle.event_time)
        if candle.interval != INTERVAL or (self._seen.get(key) or at) > at:
            return
        self._seen.put(key, at)
        shown = RunningCandle.of("exchange", candle.interval, candle)
        self._put(exchange, candle.symbol, "candle", shown.text())

    def _put(self, exchange: str, symbol: str, field: str, value: str) -> None:
        self._pending.setdefault((exchange, symbol), {})[field] = value
        if len(self._pending) > MOST_PENDING:
            del self._pending[next(iter(self._pending))]
