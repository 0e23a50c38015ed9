"""The queries behind ``verify``: what the tables hold, against a ledger and against their own coverage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import psycopg

from trade_platform.adapters.database.recorded_holes import HOLES
from trade_platform.adapters.ledger import LedgerCandle, LedgerTrade
from trade_platform.domain.model import MICROSECONDS


class TradeProof(msgspec.Struct, frozen=True, kw_only=True):
    """What is held of one instrument's trades, counted against what there should be."""

    exchange: str
    symbol: str
    channel: str
    expected: int
    rows: int
    missing: int
    duplicated: int
    altered: int
    extra: int


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One row that is wrong, named so that a person can look at it."""

    exchange: str
    symbol: str
    what: str
    """missing | duplicated | altered | extra | candle"""
    detail: str


class CandlePair(msgspec.Struct, frozen=True, kw_only=True):
    """A ledger's closed minute and ours beside it; None where we hold no complete one."""

    ledger: LedgerCandle
    ours: tuple[Decimal | int | None, ...] | None
    """open, high, low, close, volume, quote_volume, trades, taker_buy_volume, taker_buy_quote_volume."""
    theirs: tuple[Decimal | int | None, ...] | None
    """The exchange's own closed candle as we stored it; None where none came."""
    due: bool
    """The ledger has trades before and after the minute: there is no excuse for not holding it."""


_CREATE = """
create temporary table ledger_trade (
    symbol text not null, channel text not null, sequence bigint not null, price numeric not null,
    quantity numeric not null, side text not null, event_time timestamptz not null,
    first_id bigint not null, last_id bigint not null
) on commit drop
"""
_COPY = """
copy ledger_trade (symbol, channel, sequence, price, quantity, side, event_time, first_id, last_id) from stdin
"""
# flags & 1 marks aggregates (domain.model.TradeFlag): raw and aggregate numbers are two sequences.
_HELD = """
create temporary table held on commit drop as
with span as (
    select symbol, channel, min(sequence) as low, max(sequence) as high, min(event_time) as since,
           max(event_time) as until
    from ledger_trade group by symbol, channel
)
select span.symbol, span.channel, trade.sequence, trade.price, trade.quantity, trade.side::text as side,
       trade.event_time, trade.first_id, trade.last_id
from span
join instrument on instrument.exchange = %(exchange)s and instrument.symbol = span.symbol
join trade on trade.instrument_id = instrument.instrument_id
 and trade.event_time between span.since - interval '1 day' and span.until + interval '1 day'
 and trade.sequence between span.low and span.high
 and (trade.flags & 1 = 1) = (span.channel = 'aggregate_trade')
"""
_DIFFERENCES = """
create temporary table difference on commit drop as
select symbol, channel, sequence, 'missing' as what,
       'price ' || price || ' quantity ' || quantity || ' at ' || event_time as detail
from ledger_trade where not exists (
    select from held where (held.symbol, held.channel, held.sequence)
                         = (ledger_trade.symbol, ledger_trade.channel, ledger_trade.sequence))
union all
select symbol, channel, sequence, 'extra',
       'price ' || price || ' quantity ' || quantity || ' at ' || event_time
from held where not exists (
    select from ledger_trade where (held.symbol, held.channel, held.sequence)
                                 = (ledger_trade.symbol, ledger_trade.channel, ledger_trade.sequence))
union all
select symbol, channel, sequence, 'duplicated', count(*) || ' rows'
from held group by symbol, channel, sequence having count(*) > 1
union all
select symbol, channel, sequence, 'altered',
       'held price ' || held.price || ' quantity ' || held.quantity || ' ' || held.side
       || ' at ' || held.event_time
       || ', emitted price ' || ledger.price || ' quantity ' || ledger.quantity || ' ' || ledger.side
       || ' at ' || ledger.event_time
from held join ledger_trade ledger using (symbol, channel, sequence)
where (held.price, held.quantity, held.side, held.event_time, held.first_id, held.last_id)
   is distinct from
      (ledger.price, ledger.quantity, ledger.side, ledger.event_time, ledger.first_id, ledger.last_id)
"""
_SUMMARY = """
select ledger.symbol, ledger.channel, ledger.expected, coalesce(held.rows, 0),
       coalesce(missing, 0), coalesce(duplicated, 0), coalesce(altered, 0), coalesce(extra, 0)
from (select symbol, channel, count(*) as expected from ledger_trade group by 1, 2) ledger
left join (select symbol, channel, count(*) as rows from held group by 1, 2) held using (symbol, channel)
left join (
    select symbol, channel, count(*) filter (where what = 'missing') as missing,
           count(*) filter (where what = 'duplicated') as duplicated,
           count(*) filter (where what = 'altered') as altered,
           count(*) filter (where what = 'extra') as extra
    from difference group by 1, 2
) difference using (symbol, channel)
order by 1, 2
"""
_NAMED = """
select symbol, what, sequence, detail from difference order by symbol, sequence, what limit %(limit)s
"""
_CANDLES = """
select candle.source, instrument.symbol, (extract(epoch from candle.open_time) * 1000000)::bigint,
       open, high, low, close, volume, quote_volume, trades, taker_buy_volume, taker_buy_quote_volume
from candle join instrument using (instrument_id)
where instrument.exchange = %(exchange)s and candle.interval = '1m' and candle.complete
  and candle.open_time between %(since)s and %(until)s
"""
_COVERAGE = f"""
with {HOLES}, spans as (
    select instrument_id, channel, sum(high - low)::bigint as covered from ranges group by 1, 2
)
select exchange, symbol, channel, covered, coalesce(missing, 0)
from spans join instrument using (instrument_id) left join missed using (instrument_id, channel)
order by 1, 2, 3
"""  # noqa: S608 - a constant of our own
_ROWS = """
select instrument.exchange, instrument.symbol,
       case when trade.flags & 1 = 1 then 'aggregate_trade' else 'trade' end, count(*)
from trade join instrument using (instrument_id) group by 1, 2, 3
"""


def compare_trades(
    connection: psycopg.Connection, exchange: str, trades: Iterable[LedgerTrade], *, limit: int = 20
) -> tuple[list[TradeProof], list[Finding]]:
    """Ledger against table, per instrument; at most ``limit`` findings are named. One transaction."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(_CREATE)
        with cursor.copy(_COPY) as copy:
            for trade in trades:
                copy.write_row(
                    (
                        trade.symbol,
                        trade.channel,
                        trade.sequence,
                        trade.price,
                        trade.quantity,
                        trade.side,
                        _utc(trade.event_time),
                        trade.first_id,
                        trade.last_id,
                    )
                )
        cursor.execute("analyze ledger_trade")
        cursor.execute(_HELD, {"exchange": exchange})
        cursor.execute("analyze held")
        cursor.execute(_DIFFERENCES)
        proofs = [
            TradeProof(
                exchange=exchange,
                symbol=symbol,
                channel=channel,
                expected=expected,
                rows=rows,
                missing=missing,
                duplicated=duplicated,
                altered=altered,
                extra=extra,
            )
            for symbol, channel, expected, rows, missing, duplicated, altered, extra in cursor.execute(
                _SUMMARY
            )
        ]
        findings = [
            Finding(exchange=exchange, symbol=symbol, what=what, detail=f"sequence {sequence}: {detail}")
            for symbol, what, sequence, detail in cursor.execute(_NAMED, {"limit": limit})
        ]
    return proofs, findings


def pair_candles(
    connection: psycopg.Connection,
    exchange: str,
    candles: list[LedgerCandle],
    spans: dict[str, tuple[int, int]],
) -> Iterator[CandlePair]:
    """Each closed minute of a ledger beside our complete one.

    ``spans``: event times, microseconds UTC, of the first and the last trade in the ledger by symbol.
    """
    if not candles:
        return
    since = _utc(min(candle.open_time for candle in candles))
    until = _utc(max(candle.open_time for candle in candles))
    rows = connection.execute(_CANDLES, {"exchange": exchange, "since": since, "until": until})
    held = {(source, symbol, open_time): tuple(values) for source, symbol, open_time, *values in rows}
    minute = 60 * MICROSECONDS
    for candle in candles:
        if candle.symbol not in spans:
            continue
        yield CandlePair(
            ledger=candle,
            ours=held.get(("trade", candle.symbol, candle.open_time)),
            theirs=held.get(("exchange", candle.symbol, candle.open_time)),
            due=spans[candle.symbol][0] < candle.open_time
            and candle.open_time + minute <= spans[candle.symbol][1],
        )


def prove_from_coverage(connection: psycopg.Connection) -> list[TradeProof]:
    """Where no ledger is: rows against coverage, and the holes inside what was recorded."""
    rows = {
        (exchange, symbol, channel): count for exchange, symbol, channel, count in connection.execute(_ROWS)
    }
    proofs = []
    for exchange, symbol, channel, covered, missing in connection.execute(_COVERAGE):
        held = rows.get((exchange, symbol, channel), 0)
        proofs.append(
            TradeProof(
                exchange=exchange,
                symbol=symbol,
                channel=channel,
                expected=covered + missing,
                rows=held,
                missing=missing,
                duplicated=max(held - covered, 0),
                altered=0,
                extra=0,
            )
        )
    return proofs


def _utc(microseconds: int) -> datetime:
    seconds, rest = divmod(microseconds, MICROSECONDS)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)
