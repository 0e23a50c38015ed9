"""One transaction: a batch of entries becomes rows, coverage, candles, and the stream's new position."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from trade_platform.adapters.bus import REPAIR
from trade_platform.adapters.database import bars, candles, events, instruments, minutes, numbers, trades
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.coverage import extend_time_coverage
from trade_platform.adapters.database.dead_letters import DeadLetter, write_dead_letters
from trade_platform.adapters.database.positions import move_position, save_producers
from trade_platform.adapters.database.times import day_of
from trade_platform.domain.completeness import ClosedKline
from trade_platform.domain.defences import Defence
from trade_platform.domain.model import (
    Candle,
    Channel,
    ExchangeState,
    Gap,
    Instrument,
    InstrumentState,
    Liquidation,
    Number,
    Record,
    Trade,
)
from trade_platform.processors.lane import Lane
from trade_platform.processors.listening import Listening
from trade_platform.processors.producers import Accepted, screen
from trade_platform.processors.reading import Reading

R = TypeVar("R", Trade, Number, Candle, Liquidation, InstrumentState)


class Applied(msgspec.Struct, frozen=True):
    """What a transaction did."""

    rows: Counter[str]
    """New rows by table."""
    accepted: Sequence[Accepted]
    records: int
    duplicates: int
    """Trades and numbers that were held already."""
    repeated: int
    """Entries that came again."""
    jumped: int
    """Entries that never came."""
    gaps: int
    letters: Sequence[DeadLetter]


class Batch:
    """The accepted records of one exchange, by kind."""

    def __init__(self, accepted: Iterable[Accepted]) -> None:
        self.by_kind: dict[type[Record], list[Any]] = defaultdict(list)
        self.accepted: list[Accepted] = []
        for one in accepted:
            if one.reading.records:
                self.accepted.append(one)
                kind: Any = type(one.reading.records[0])  # a market's: others cannot be read from its stream
                self.by_kind[kind].extend(one.reading.records)

    def of(self, kind: type[R]) -> list[R]:
        return self.by_kind.get(kind, [])

    @property
    def symbols(self) -> set[str]:
        """Of all records that hang on an instrument."""
        return {
            record.symbol
            for kind in (Trade, Number, Candle, Liquidation, InstrumentState)
            for record in self.by_kind.get(kind, ())
        }


def apply(connection: Connection, lane: Lane, readings: Sequence[Reading], *, fold: bool = True) -> Applied:
    """Store the batch and move the position, in one transaction.

    What is new is known when it returns; when it raises, nothing is stored and the lane is to be loaded
    anew. ``fold`` keeps the running bars up to date trade by trade: not worth its time in a backlog.
    """
    repeats = Defence.REPEATS not in lane.without
    screened = screen(lane.stream, readings, lane.producers, repeats=repeats)
    batches = _by_exchange(screened.accepted)
    prepare(connection, lane, batches.values())
    letters = [letter for reading in readings for letter in reading.letters]
    rows: Counter[str] = Counter()
    with connection.transaction():
        for exchange, batch in batches.items():
            rows += store(connection, lane, exchange, batch, fold=fold)
        for exchange, gap in screened.gaps:
            rows["gap"] += events.write_gaps(connection, exchange, [gap])
        if letters:
            write_dead_letters(connection, lane.stream, letters)
        if screened.progress:
            save_producers(connection, lane.stream, screened.progress.items())
        move_position(connection, lane.stream, lane.position, readings[-1].entry_id)
    lane.position = readings[-1].entry_id
    lane.producers |= screened.progress
    lane.shrink()
    return Applied(
        rows,
        screened.accepted,
        sum(len(one.reading.records) for one in screened.accepted),
        rows.pop("duplicate", 0),
        screened.repeated,
        screened.jumped,
        rows["gap"],
        letters,
    )


def prepare(connection: Connection, lane: Lane, batches: Iterable[Batch]) -> None:
    """Before the transaction: the partitions that it writes to. Raises DayRefused."""
    for batch in batches:
        days = trades.days_of_trades(batch.of(Trade))
        # A closed kline makes us look at its minute's trades, which may be of a day that has none yet.
        days |= {day_of(kline.open_time) for kline in batch.of(Candle) if kline.closed}
        if days:
            lane.partitions.ensure(connection, "trade", days)
        if batch.of(Number):
            lane.partitions.ensure(connection, "number", numbers.days_of_numbers(batch.of(Number)))
        for listened in (batch.of(Number), batch.of(Candle)):
            lane.partitions.check({day_of(record.receive_time) for record in listened})


def store(connection: Connection, lane: Lane, exchange: str, batch: Batch, *, fold: bool) -> Counter[str]:
    """Everything of one exchange, in the caller's transaction; returns new rows by table."""
    rows: Counter[str] = Counter()
    changed = _store_instruments(connection, lane, exchange, batch.by_kind.get(Instrument, []))
    own = lane.directory.resolve(connection, exchange, batch.symbols)
    klines = _by_instrument(batch.of(Candle), own)
    if klines:
        rows["candle"] += candles.write_exchange_candles(connection, klines)
    if batch.of(Trade) or klines or changed:
        rows += _store_trades(connection, lane, exchange, batch, changed, fold=fold)
    if batch.of(Number):
        fresh = lane.updates.new(connection, lane.metrics, _by_instrument(batch.of(Number), own))
        new = numbers.write_numbers(connection, lane.metrics, fresh) if fresh else 0
        rows += Counter(number=new, duplicate=len(batch.of(Number)) - new)
    _note_listening(connection, lane, batch.accepted, own)
    if batch.of(Liquidation):
        liquidations = _by_instrument(batch.of(Liquidation), own)
        rows["liquidation"] += events.write_liquidations(connection, liquidations)
    if batch.of(InstrumentState):
        states = _by_instrument(batch.of(InstrumentState), own)
        rows["instrument_state"] += events.write_instrument_states(connection, states)
    if ExchangeState in batch.by_kind:
        states_of_exchange = batch.by_kind[ExchangeState]
        rows["exchange_state"] += events.write_exchange_states(connection, exchange, states_of_exchange)
    if Gap in batch.by_kind:
        rows["gap"] += events.write_gaps(connection, exchange, batch.by_kind[Gap])
    return rows


def close_due(connection: Connection, lane: Lane, due: set[bars.Key]) -> int:
    """Give the minutes that the clock has closed their rows, proven or not yet; a transaction of its own."""
    with connection.transaction():
        units, channels = lane.running.units(due), lane.running.channels(due)
        written = minutes.materialise(connection, due, set(), units, channels)
    lane.running.mark_written(due)
    return written


def refresh_running(connection: Connection, lane: Lane) -> set[bars.Key]:
    """Take the running bars that a backlog left behind from the table."""
    behind = lane.running.behind()
    if behind:
        units, channels = lane.running.units(behind), lane.running.channels(behind)
        lane.running.refresh(bars.compute_bars(connection, behind, units, channels))
    return behind


def _by_exchange(accepted: Iterable[Accepted]) -> dict[str, Batch]:
    parts: dict[str, list[Accepted]] = defaultdict(list)
    for one in accepted:
        parts[one.entry.exchange].append(one)
    return {exchange: Batch(parts[exchange]) for exchange in sorted(parts)}


def _by_instrument(records: Iterable[R], own: dict[str, instruments.Listed]) -> dict[int, list[R]]:
    by_symbol: dict[str, list[R]] = {}
    for record in records:
        of_symbol = by_symbol.get(record.symbol)
        if of_symbol is None:
            of_symbol = by_symbol[record.symbol] = []
        of_symbol.append(record)
    return {own[symbol].instrument_id: by_symbol[symbol] for symbol in by_symbol}


def _store_instruments(
    connection: Connection, lane: Lane, exchange: str, listed: Sequence[Instrument]
) -> set[bars.Key]:
    """Returns the minutes that a changed quantity unit makes wrong."""
    if not listed:
        return set()
    changed = instruments.store_instruments(connection, lane.directory, exchange, listed)
    if not changed:
        return set()
    lane.reseed(connection, exchange)
    return candles.minutes_of(connection, changed)


def _store_trades(
    connection: Connection, lane: Lane, exchange: str, batch: Batch, changed: set[bars.Key], *, fold: bool
) -> Counter[str]:
    """Trades, their coverage, and the minutes that they, the klines or a changed unit touch."""
    lane.seed(connection, exchange)
    listed_anew = {one.symbol for one in batch.by_kind.get(Instrument, ())} if changed else set()
    own = lane.directory.resolve(connection, exchange, batch.symbols | listed_anew)
    # Not of the running minutes: an instrument whose newest day was dropped has none.
    unit_of = {listed.instrument_id: listed.unit for listed in own.values()}
    closed, begun = set(changed), set[bars.Key]()
    rows: Counter[str] = Counter()
    if batch.of(Trade):
        by_instrument = _by_instrument(batch.of(Trade), own)
        lane.recall(connection, exchange, by_instrument)
        subtract = Defence.COVERAGE not in lane.without
        written = trades.write_trades(connection, by_instrument, lane.coverage_begun, subtract=subtract)
        rows += Counter(trade=written.rows, duplicate=written.duplicates)
        for instrument_id, new in _merged(written).items():
            touched = lane.running.add(exchange, unit_of[instrument_id], instrument_id, new, fold=fold)
            closed |= touched.closed
            begun |= touched.begun
    closing = {
        (own[kline.symbol].instrument_id, kline.open_time): kline
        for kline in batch.of(Candle)
        if kline.closed and kline.interval == candles.INTERVAL
    }
    again, empty = lane.running.judge_klines(closing)
    if again:
        closed |= again - candles.proven(connection, again)
        lane.running.mark_written(again)
    if closed:
        channels = lane.running.channels(closed)
        rows["candle"] += minutes.materialise(connection, closed, begun - closed, unit_of, channels)
    if empty:
        rows["candle"] += minutes.fill_empty(connection, {key: _said(closing[key]) for key in empty})
    return rows


def _said(kline: Candle) -> tuple[ClosedKline, int]:
    return ClosedKline(kline.trades, kline.first_id, kline.last_id, kline.close), kline.receive_time


def _merged(written: trades.Written) -> dict[int, list[Trade]]:
    by_instrument: dict[int, list[Trade]] = defaultdict(list)
    for (instrument_id, _, _), new in written.new.items():
        by_instrument[instrument_id].extend(new)
    return by_instrument


def _note_listening(
    connection: Connection, lane: Lane, accepted: Iterable[Accepted], own: dict[str, instruments.Listed]
) -> None:
    """Time coverage of what has no sequence: candles and numbers."""
    noted: list[tuple[tuple[int, str], int, int, int]] = []
    for one in accepted:
        if one.entry.producer.startswith(REPAIR):
            continue
        spans: dict[tuple[int, str], tuple[int, int]] = {}
        for record in one.reading.records:
            if not isinstance(record, Number | Candle):
                break  # an entry is of one kind
            channel = record.channel if isinstance(record, Number) else Channel.CANDLE
            key = (own[record.symbol].instrument_id, str(channel))
            at = record.receive_time
            low, high = spans.get(key, (at, at))
            spans[key] = (min(low, at), max(high, at))
        noted += [(key, one.since, low, high) for key, (low, high) in spans.items()]
    if noted:
        listening = Listening(lane.uppers(connection, (key for key, *_ in noted)), lane.loose_ends)
        for entry in noted:
            listening.note(*entry)
        extend_time_coverage(connection, listening.spans)
        lane.listened |= listening.uppers
        lane.loose_ends |= listening.loose_ends
