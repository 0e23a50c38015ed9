"""Deribit's REST side: requests as values and the answers' bodies read into records."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, TypeVar

import msgspec

from trade_platform.domain.model import (
    MINUTE,
    Candle,
    ExchangeState,
    ExchangeStatus,
    Instrument,
    InstrumentKind,
    QuantityUnit,
    Trade,
)
from trade_platform.exchanges.amounts import checked_optional, has_endless_number
from trade_platform.exchanges.deribit import records, wire
from trade_platform.exchanges.limits import CONNECTIONS, SUBSCRIBE, WEIGHT, Limit
from trade_platform.exchanges.page import Page, page_of
from trade_platform.exchanges.session import ProtocolViolation, Request, RestError, Search

T = TypeVar("T")

CREDITS: Final = 500
INSTRUMENTS: Final = "instruments"
LIMITS: Final = (
    Limit(WEIGHT, 50_000, 5.0, bucket=True),  # credits: 10,000 come back a second
    Limit(INSTRUMENTS, 50, 50.0, bucket=True),
    Limit(SUBSCRIBE, 10, 3.0, bucket=True),
    Limit(CONNECTIONS, 32, 60.0, bucket=True),
)
"""Of one address. Of attempts to connect nothing is published: as many in a minute as may stand at a time."""
QUIET_SECONDS: Final = 5.0
"""After too_many_requests: the longest that a bucket takes to be full again."""
TRADES_A_PAGE: Final = 1000
CANDLES_A_PAGE: Final = 1000
KINDS: Final = ("future", "option", "spot", "future_combo", "option_combo")
NEVER: Final = 32_503_680_000_000
"""Milliseconds of the year 3000, which stands for no expiry."""

TOO_MANY_REQUESTS, MAINTENANCE = 10028, 11051
RETRY: Final = frozenset(
    {TOO_MANY_REQUESTS, MAINTENANCE, 10040, 10041, 10047, 10050, 10066, 11056, 11094, 13028, 13503, 13888}
)
RETRY_STATUS: Final = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})


class TradeRows(msgspec.Struct):
    """``wire.Trades``, its rows still to be read one by one."""

    trades: list[msgspec.Raw]


class ChartColumns(msgspec.Struct):
    """``wire.Chart``, likewise; its columns are of equal length."""

    ticks: list[msgspec.Raw] = []
    open: list[msgspec.Raw] = []
    high: list[msgspec.Raw] = []
    low: list[msgspec.Raw] = []
    close: list[msgspec.Raw] = []
    volume: list[msgspec.Raw] = []
    cost: list[msgspec.Raw] = []


_read_trade: Final = msgspec.json.Decoder(wire.Trade).decode
_read_instrument: Final = msgspec.json.Decoder(wire.Instrument).decode
_read_tick: Final = msgspec.json.Decoder(wire.Milliseconds).decode
_read_decimal: Final = msgspec.json.Decoder(Decimal).decode


def request(method: str, **query: str | int) -> Request:
    """A GET of one public method."""
    return Request(path=f"/api/v2/public/{method}", query=query, weight=CREDITS)


def result(body: bytes, kind: type[T]) -> T:
    """The ``result`` of an answer; raises RestError where it is an error, ProtocolViolation if neither."""
    try:
        answer = msgspec.json.decode(body, type=wire.Answer[kind])  # type: ignore[valid-type]
    except wire.UNREADABLE as error:
        raise ProtocolViolation(f"an answer that cannot be read: {error}") from error
    if answer.error is not None:
        raise _error(answer.error)
    if answer.result is None:
        raise ProtocolViolation("an answer with neither a result nor an error")
    found: T = answer.result
    return found


def error_of(status: int, body: bytes) -> RestError | None:
    """The error that an HTTP answer carries: the exchange's own where there is one, else the status."""
    try:
        answer = msgspec.json.decode(body, type=wire.Answer[msgspec.Raw])
    except wire.UNREADABLE:
        answer = None
    if answer is not None and answer.error is not None:
        return _error(answer.error)
    if status < 400:
        return None
    return RestError(status, "HTTP status", retry=status in RETRY_STATUS, maintenance=status == 503)


def instruments_requests() -> list[Request]:
    """One list a kind, all currencies."""
    return [
        Request(
            path="/api/v2/public/get_instruments", query={"currency": "any", "kind": kind}, limit=INSTRUMENTS
        )
        for kind in KINDS
    ]


def parse_instruments(body: bytes) -> Page[Instrument]:
    """The list, and an entry for each price index that it names, so that indices can be selected too."""
    rows = page_of(result(body, list[msgspec.Raw]), _read_listed, wire.UNREADABLE)
    indices = {
        one.price_index: Instrument(
            symbol=one.price_index,
            kind=InstrumentKind.INDEX,
            base=one.base_currency,
            quote=one.counter_currency or one.quote_currency,
        )
        for one, _ in rows
        if one.price_index
    }
    return Page([*(instrument for _, instrument in rows), *indices.values()], rows.odd)


def trades_request(symbol: str, first: int, last: int) -> Request:
    """Both ends are inclusive; ascending, so that a page ends where the next begins."""
    return request(
        "get_last_trades_by_instrument",
        instrument_name=symbol,
        start_seq=first,
        end_seq=last,
        count=min(TRADES_A_PAGE, max(1, last - first + 1)),
        sorting="asc",
    )


def last_trade_request(symbol: str) -> Request:
    """The newest trade alone."""
    return request("get_last_trades_by_instrument", instrument_name=symbol, count=1, sorting="desc")


def first_trade_search(symbol: str, since: int, until: int) -> Search:
    """Both ends are inclusive, in milliseconds."""
    first = -(-since // records.MILLISECOND)
    asked = request(
        "get_last_trades_by_instrument_and_time",
        instrument_name=symbol,
        start_timestamp=first,
        end_timestamp=max(first, -(-until // records.MILLISECOND) - 1),
        count=1,
        sorting="asc",
    )
    return Search(asked, until)


def parse_first_trade(body: bytes) -> int | None:
    """``trade_seq`` of the oldest that is told."""
    return min((trade.sequence for trade in parse_trades(body, 0)), default=None)


def parse_trades(body: bytes, receive_time: int) -> Page[Trade]:
    """Ascending, whatever the order of the answer."""
    rows = result(body, TradeRows).trades
    page = page_of(rows, lambda row: records.trade_of(_read_trade(row), receive_time), wire.UNREADABLE)
    page.sort(key=lambda trade: trade.sequence)
    return page


def candles_request(symbol: str, start: int, end: int) -> Request:
    """Both ends are openings; the answer has at most a page, from the start on."""
    end = min(end, start + (CANDLES_A_PAGE - 1) * MINUTE)
    return request(
        "get_tradingview_chart_data",
        instrument_name=symbol,
        start_timestamp=start // records.MILLISECOND,
        end_timestamp=end // records.MILLISECOND,
        resolution="1",
    )


def parse_candles(body: bytes, symbol: str, receive_time: int) -> Page[Candle]:
    """The running candle is among them, not closed."""
    chart = result(body, ChartColumns)
    columns = (chart.ticks, chart.open, chart.high, chart.low, chart.close, chart.volume, chart.cost)
    if len({len(column) for column in columns}) != 1:
        raise ProtocolViolation(f"candles of {symbol} in columns of unequal length")

    def read(row: tuple[msgspec.Raw, ...]) -> Candle:
        if any(has_endless_number(memoryview(one)) for one in row):
            raise ProtocolViolation("a number that goes on and on")
        bar = wire.Bar(_read_tick(row[0]), *map(_read_decimal, row[1:]))
        over = bar.tick * records.MILLISECOND + MINUTE <= receive_time
        return records.candle_of(bar, symbol, "1m", receive_time, closed=over)

    return page_of(zip(*columns, strict=True), read, wire.UNREADABLE)


def parse_time(body: bytes) -> int:
    """The exchange's clock, microseconds UTC."""
    return result(body, int) * records.MILLISECOND


def parse_status(body: bytes, receive_time: int) -> ExchangeState:
    """public/status; the answer 11051 is a state too."""
    try:
        states = records.exchange_states(result(body, wire.Platform), "public/status", receive_time)
    except RestError as error:
        if not error.maintenance:
            raise
        return ExchangeState(ExchangeStatus.MAINTENANCE, "", str(error.code), receive_time, receive_time)
    if not states:
        raise ProtocolViolation("a status that says nothing")
    return states[0]


def _error(error: wire.Error) -> RestError:
    return RestError(
        error.code,
        error.message,
        retry=error.code in RETRY,
        maintenance=error.code == MAINTENANCE,
        quiet_seconds=QUIET_SECONDS if error.code == TOO_MANY_REQUESTS else 0.0,
    )


def _read_listed(row: msgspec.Raw) -> tuple[wire.Instrument, Instrument]:
    one = _read_instrument(row)
    return one, _instrument(one)


def _instrument(one: wire.Instrument) -> Instrument:
    expires = one.expiration_timestamp is not None and one.expiration_timestamp < NEVER
    return Instrument(
        symbol=one.instrument_name,
        kind=_kind(one),
        status=one.state or ("open" if one.is_active else "inactive"),
        base=one.base_currency,
        quote=one.quote_currency,
        settlement=one.settlement_currency or ("" if one.kind == "spot" else one.base_currency),
        quantity_unit=QuantityUnit.QUOTE if _is_inverse(one) else QuantityUnit.BASE,
        tick_size=checked_optional(one.tick_size),
        quantity_step=checked_optional(one.min_trade_amount),
        contract_size=checked_optional(one.contract_size),
        expiry=(one.expiration_timestamp or 0) * records.MILLISECOND if expires else None,
        strike=checked_optional(one.strike),
        option_type=one.option_type,
        index=one.price_index or None,
    )


def _kind(one: wire.Instrument) -> InstrumentKind:
    if one.kind == "future":
        perpetual = one.settlement_period == "perpetual"
        return InstrumentKind.PERPETUAL if perpetual else InstrumentKind.FUTURE
    if one.kind in ("future_combo", "option_combo"):
        return InstrumentKind.COMBO
    return {"option": InstrumentKind.OPTION, "spot": InstrumentKind.SPOT}.get(
        one.kind, InstrumentKind.UNKNOWN
    )


def _is_inverse(one: wire.Instrument) -> bool:
    """Futures that are settled in their base count USD; options never do. Lists before 2022 say neither."""
    if not one.kind.startswith("future"):
        return False
    kind = one.instrument_type or one.future_type
    return kind == "reversed" or (not kind and one.quote_currency == "USD")
