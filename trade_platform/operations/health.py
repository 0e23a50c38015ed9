"""How the live platform is, exchange by exchange and stream by stream: asked, never cached.

What ``status`` prints for a person is judged here for whoever acts on it. Data decide; where processes
of this machine can be seen, they say why nothing comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from redis import Redis, RedisError

from trade_platform.adapters.bus import STATE_STREAM, market_stream
from trade_platform.adapters.children import running
from trade_platform.adapters.database.catalogue import known_instruments
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.freshness import (
    Heard,
    Letters,
    OpenGaps,
    RecordedTrades,
    dead_letters,
    heard_numbers,
    lost_today,
    open_gap_counts,
    recorded_trades,
)
from trade_platform.adapters.database.overview import exchange_states, stream_positions
from trade_platform.adapters.database.positions import BEGINNING
from trade_platform.adapters.selection_file import UnusableSelection, read_selection
from trade_platform.adapters.stream_health import StreamHealth, stream_health
from trade_platform.domain.delivery import CLOSED, TRADING, Delivery, is_late, judge_delivery, patience
from trade_platform.domain.model import MICROSECONDS, ExchangeStatus
from trade_platform.domain.selection import resolve
from trade_platform.domain.slots import lane_of
from trade_platform.exchanges.registry import EXCHANGES

LAG_SECONDS: Final = 10.0
"""A processor that keeps up stores within a second; in its slowest hand-over within some."""


class ExchangeHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange of which something is recorded."""

    exchange: str
    delivery: Delivery
    status: ExchangeStatus
    reason: str
    """Which signal said so."""
    age_seconds: float | None
    """Real seconds since its streamer's newest entry in Redis."""
    patience_seconds: float
    batches_a_second: float
    trades: Sequence[RecordedTrades] = ()
    late: Sequence[RecordedTrades] = ()
    """Of these: whose trades should have come long ago, by their own rhythm."""
    heard: Sequence[Heard] = ()

    @property
    def trades_a_minute(self) -> int:
        """Stored ones of the last market minute."""
        return sum(one.minute for one in self.trades)

    @property
    def held(self) -> int:
        """Trades of today and yesterday."""
        return sum(one.held for one in self.trades)

    @property
    def missing(self) -> int:
        """Trades missing between the first and the last held of each instrument."""
        return sum(one.missing for one in self.trades)


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Everything at one moment."""

    market_time: int
    exchanges: Sequence[ExchangeHealth]
    streams: Sequence[StreamHealth]
    gaps: Sequence[OpenGaps]
    lost_today: int
    letters: Sequence[Letters]
    redis_error: str = ""
    """Why Redis did not answer: then no stream is known, and nothing of delivery."""

    @property
    def trades(self) -> list[RecordedTrades]:
        """Of every exchange."""
        return [one for exchange in self.exchanges for one in exchange.trades]


def read_health(
    connection: Connection, bus: Redis, data_folder: Path, instruments_file: Path, market_time: int
) -> Health:
    """Raises psycopg.Error; Redis' absence is part of the answer."""
    streams, error = _streams(connection, bus)
    by_name = {one.stream: one for one in streams}
    trades, heard = recorded_trades(connection, market_time), heard_numbers(connection, market_time)
    states = _states(connection)
    alive = _streamers(data_folder)
    keys = [key for key in EXCHANGES if market_stream(key) in by_name]
    return Health(
        market_time=market_time,
        exchanges=[
            _exchange(
                by_name[market_stream(key)],
                states.get(key, (ExchangeStatus.OPEN, "")),
                None if alive is None else key in alive,
                [one for one in trades if one.exchange == key],
                [one for one in heard if one.exchange == key],
                _Expected(connection, instruments_file, market_time),
            )
            for key in keys
        ],
        streams=streams,
        gaps=open_gap_counts(connection),
        lost_today=lost_today(connection),
        letters=dead_letters(connection),
        redis_error=error,
    )


def _streams(connection: Connection, bus: Redis) -> tuple[list[StreamHealth], str]:
    stored = {one.stream: one.entry_id for one in stream_positions(connection)}
    names = [*(market_stream(key) for key in EXCHANGES), STATE_STREAM]
    try:
        found = [stream_health(bus, name, stored.get(name, BEGINNING)) for name in names]
    except (RedisError, OSError) as error:
        return [], f"Redis does not answer ({error})"
    return [one for one in found if one is not None], ""


def _states(connection: Connection) -> dict[str, tuple[ExchangeStatus, str]]:
    """What each exchange said last of itself as a whole."""
    return {
        one.exchange: (ExchangeStatus(one.status), one.reason)
        for one in exchange_states(connection)
        if not one.scope
    }


def _streamers(data_folder: Path) -> set[str] | None:
    """Exchanges of which a streamer lives; None where no process of the platform is seen from here."""
    lanes = {lane_of(run.name) for run in running(data_folder)}
    if not lanes:
        return None
    return {lane.removeprefix("streamer-") for lane in lanes if lane.startswith("streamer-")}


def _exchange(
    stream: StreamHealth,
    state: tuple[ExchangeStatus, str],
    alive: bool | None,
    trades: Sequence[RecordedTrades],
    heard: Sequence[Heard],
    expected: _Expected,
) -> ExchangeHealth:
    status, reason = state
    patience_seconds = patience(stream.arrivals)
    return ExchangeHealth(
        exchange=stream.stream.partition(":")[2],
        delivery=judge_delivery(stream.age_seconds, patience_seconds, status, alive=alive),
        status=status,
        reason=reason,
        age_seconds=stream.age_seconds,
        patience_seconds=patience_seconds,
        batches_a_second=stream.batches_a_second,
        trades=trades,
        late=[] if status in CLOSED else expected.late(trades),
        heard=heard,
    )


class _Expected:
    """Which instruments owe a trade."""

    def __init__(self, connection: Connection, instruments_file: Path, market_time: int) -> None:
        self._connection = connection
        self._file = instruments_file
        self._now = market_time

    def late(self, trades: Sequence[RecordedTrades]) -> list[RecordedTrades]:
        """The longest silent first; nothing that is not selected any more, has expired or is halted."""
        found = [one for one in trades if self._is_late(one)]
        if found:
            wanted = self._wanted(found[0].exchange)
            found = [one for one in found if wanted is None or (one.symbol, one.channel) in wanted]
        return sorted(found, key=lambda one: (one.told or 0, one.symbol))

    def _is_late(self, one: RecordedTrades) -> bool:
        if one.told is None or one.expired or one.status not in TRADING:
            return False
        return is_late((self._now - one.told) / MICROSECONDS, one.held, one.span_seconds)

    def _wanted(self, exchange: str) -> set[tuple[str, str]] | None:
        """(symbol, channel) as selected now; None where the selection cannot be read: all counts."""
        try:
            selection = read_selection(self._file, exchanges=EXCHANGES)
        except UnusableSelection:
            return None
        known = known_instruments(self._connection, exchange)
        wanted = resolve(selection, exchange, known, deliverable=EXCHANGES[exchange].channels)
        return {(one.symbol, one.channel.value) for one in wanted}
