"""Deribit's REST side: requests as values and the answers' bodies read into records."""

from __future__ import annotations

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
from trade_platform.exchanges.deribit import records, wire
from trade_platform.exchanges.session import ProtocolViolation, Request, RestError

T = TypeVar("T")

CREDITS: Final = 500
INSTRUMENTS_CREDITS: Final = 10_000
CREDITS_A_MINUTE: Final = 600_000
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


def request(method: str, weight: int = CREDITS, **query: str | int) -> Request:
    """A GET of one public method."""
    return Request(path=f"/api/v2/public/{method}", query=query, weight=weight)


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
    return [request("get_instruments", INSTRUMENTS_CREDITS, currency="any", kind=kind) for kind in KINDS]


def parse_instruments(body: bytes) -> list[Instrument]:
    """The list, and an entry for each price index that it names, so that indices can be selected too."""
    listed = result(body, list[wire.Instrument])
    indices = {
        one.price_index: Instrument(
            symbol=one.price_index,
            kind=InstrumentKind.INDEX,
            base=one.base_currency,
            quote=one.counter_currency or one.quote_currency,
        )
        for one in listed
        if one.price_index
    }
    return [*map(_instrument, listed), *indices.values()]


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


def parse_trades(body: bytes, receive_time: int) -> list[Trade]:
    """Ascending, whatever the order of the answer."""
    trades = [records.trade_of(trade, receive_time) for trade in result(body, wire.Trades).trades]
    return sorted(trades, key=lambda trade: trade.sequence)


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


def parse_candles(body: bytes, symbol: str, receive_time: int) -> list[Candle]:
    """The running candle is among them, not closed."""
    chart = result(body, wire.Chart)
    columns = (chart.ticks, chart.open, chart.high, chart.low, chart.close, chart.volume, chart.cost)
    if len({len(column) for column in columns}) != 1:
        raise ProtocolViolation(f"candles of {symbol} in columns of unequal length")
    return [
        records.candle_of(
            bar, symbol, "1m", receive_time, closed=bar.tick * records.MILLISECOND + MINUTE <= receive_time
        )
        for bar in (wire.Bar(*row) for row in zip(*columns, strict=True))
    ]


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
    maintenance = error.code == MAINTENANCE
    return RestError(error.code, error.message, retry=error.code in RETRY, maintenance=maintenance)


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
        tick_size=one.tick_size,
        quantity_step=one.min_trade_amount,
        contract_size=one.contract_size,
        expiry=(one.expiration_timestamp or 0) * records.MILLISECOND if expires else None,
        strike=one.strike,
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
