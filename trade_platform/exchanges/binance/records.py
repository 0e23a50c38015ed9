"""From Binance's frames and rows to records: one function a kind, no state."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from trade_platform.domain.model import (
    Candle,
    Channel,
    InstrumentState,
    Liquidation,
    Metric,
    Number,
    Side,
    Trade,
    TradeFlag,
)
from trade_platform.exchanges import amounts
from trade_platform.exchanges.binance import wire

AGGREGATE: Final = int(TradeFlag.AGGREGATE)
MILLISECOND: Final = 1000
"""In microseconds."""
INTERVAL: Final = "1m"

# Looked up once for every trade that ever comes: bound here, they cost least.
BUY: Final = Side.BUY
SELL: Final = Side.SELL
LEAST: Final = amounts.LEAST
MOST: Final = amounts.MOST


def aggregate_trade(message: wire.AggregateRow, symbol: str, receive_time: int) -> Trade:
    """An aggregate: its sequence counts aggregates, first and last id are of raw trades."""
    price, quantity = message.price, message.quantity
    # Comparing is the cheapest check there is, and it refuses NaN; zero and worse take the slow one.
    if not (LEAST < price < MOST and LEAST < quantity < MOST):
        amounts.checked_unsigned(price)
        amounts.checked_unsigned(quantity)
    return Trade(
        symbol,
        message.sequence,
        price,
        quantity,
        SELL if message.buyer_is_maker else BUY,
        message.time * MILLISECOND,
        receive_time,
        message.first_id,
        message.last_id,
        AGGREGATE,
    )


def raw_trade(message: wire.RawTrade | wire.RawTradeRow, symbol: str, receive_time: int) -> Trade:
    """A raw trade stands for itself alone."""
    price, quantity, sequence = message.price, message.quantity, message.sequence
    if not (LEAST < price < MOST and LEAST < quantity < MOST):
        amounts.checked_unsigned(price)
        amounts.checked_unsigned(quantity)
    return Trade(
        symbol,
        sequence,
        price,
        quantity,
        SELL if message.buyer_is_maker else BUY,
        message.time * MILLISECOND,
        receive_time,
        sequence,
        sequence,
    )


def candle(message: wire.KlineEvent, receive_time: int) -> Candle:
    """A running or closed minute; Binance writes -1 for the ids of a minute without trades."""
    kline = message.kline
    unsigned = amounts.checked_unsigned
    return Candle(
        symbol=message.symbol,
        interval=kline.interval,
        open_time=kline.open_time * MILLISECOND,
        open=unsigned(kline.open),
        high=unsigned(kline.high),
        low=unsigned(kline.low),
        close=unsigned(kline.close),
        volume=unsigned(kline.volume),
        quote_volume=unsigned(kline.quote_volume),
        trades=kline.trades,
        taker_buy_volume=unsigned(kline.taker_volume),
        taker_buy_quote_volume=unsigned(kline.taker_quote_volume),
        first_id=kline.first_id if kline.trades and kline.first_id >= 0 else None,
        last_id=kline.last_id if kline.trades and kline.last_id >= 0 else None,
        closed=kline.closed,
        event_time=message.time * MILLISECOND,
        receive_time=receive_time,
    )


def quote(message: wire.Quote, receive_time: int) -> tuple[Number, ...]:
    """Four numbers; the price of an empty side is a placeholder and left out, its quantity 0 is not."""
    event_time = receive_time if message.time is None else message.time * MILLISECOND
    values = {
        Metric.BEST_BID: message.bid if message.bid_quantity else None,
        Metric.BEST_BID_QUANTITY: message.bid_quantity,
        Metric.BEST_ASK: message.ask if message.ask_quantity else None,
        Metric.BEST_ASK_QUANTITY: message.ask_quantity,
    }
    return tuple(
        Number(message.symbol, metric, value, event_time, receive_time, Channel.QUOTE, message.update)
        for metric, value in values.items()
        if value is not None
    )


def ticker(message: wire.Ticker, receive_time: int) -> tuple[Number, ...]:
    """The last price and the rolling 24 hours."""
    event_time = message.time * MILLISECOND
    values = {
        Metric.LAST_PRICE: message.last,
        Metric.VOLUME_24H: message.volume,
        Metric.QUOTE_VOLUME_24H: message.quote_volume,
        Metric.HIGH_24H: message.high,
        Metric.LOW_24H: message.low,
    }
    return tuple(
        Number(message.symbol, metric, value, event_time, receive_time, Channel.TICKER)
        for metric, value in values.items()
    )


def mark(message: wire.MarkPrice, receive_time: int) -> tuple[Number, ...]:
    """Mark, index and settlement price and the funding rate, as far as the contract has them."""
    event_time = message.time * MILLISECOND
    # A dated contract has no funding; its rate is "" or, with no time of the next funding, a mere 0.
    funding = message.funding if message.next_funding else ""
    values = {
        Metric.MARK_PRICE: amounts.checked(message.mark),
        Metric.INDEX_PRICE: _optional(message.index),
        Metric.SETTLE_PRICE: _optional(message.settle),
        Metric.FUNDING_RATE: _optional(funding),
    }
    return tuple(
        Number(message.symbol, metric, value, event_time, receive_time, Channel.MARK)
        for metric, value in values.items()
        if value is not None
    )


def _optional(text: str) -> Decimal | None:
    return amounts.checked(Decimal(text)) if text else None


def liquidation(order: wire.ForceOrder, receive_time: int) -> Liquidation | None:
    """The forced order; None where its side is neither of the two that we know."""
    side = {"BUY": Side.BUY, "SELL": Side.SELL}.get(order.side)
    if side is None:
        return None
    return Liquidation(
        symbol=order.symbol,
        side=side,
        price=amounts.checked_unsigned(order.price),
        average_price=amounts.checked_unsigned(order.average_price),
        quantity=amounts.checked_unsigned(order.quantity),
        filled=amounts.checked_unsigned(order.filled),
        status=order.status,
        event_time=order.time * MILLISECOND,
        receive_time=receive_time,
    )


def instrument_state(message: wire.ContractInfo, receive_time: int) -> InstrumentState:
    """A contract's step in life, in Binance's own word."""
    return InstrumentState(message.symbol, message.status, message.time * MILLISECOND, receive_time)
