"""From Deribit's messages to the platform's records: pure functions, no state."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from operator import attrgetter
from typing import Final

from trade_platform.domain.model import (
    Candle,
    Channel,
    ExchangeState,
    ExchangeStatus,
    InstrumentState,
    Metric,
    Number,
    Trade,
    TradeFlag,
)
from trade_platform.exchanges.amounts import LEAST, MOST, checked, checked_optional, checked_unsigned
from trade_platform.exchanges.deribit import wire

MILLISECOND: Final = 1000
BLOCK, COMBO = int(TradeFlag.BLOCK), int(TradeFlag.COMBO)
LIQUIDATED: Final = {"M": int(TradeFlag.MAKER_LIQUIDATED), "T": int(TradeFlag.TAKER_LIQUIDATED)}

_QUOTE: Final = {
    "best_bid_price": Metric.BEST_BID,
    "best_bid_amount": Metric.BEST_BID_QUANTITY,
    "best_ask_price": Metric.BEST_ASK,
    "best_ask_amount": Metric.BEST_ASK_QUANTITY,
}
_TICKER: Final = {
    **_QUOTE,
    "last_price": Metric.LAST_PRICE,
    "mark_price": Metric.MARK_PRICE,
    "index_price": Metric.INDEX_PRICE,
    "settlement_price": Metric.SETTLE_PRICE,
    "underlying_price": Metric.UNDERLYING_PRICE,
    "open_interest": Metric.OPEN_INTEREST,
    "current_funding": Metric.FUNDING_RATE,
    "funding_8h": Metric.FUNDING_8H,
    "interest_rate": Metric.INTEREST_RATE,
    "mark_iv": Metric.MARK_IV,
    "bid_iv": Metric.BID_IV,
    "ask_iv": Metric.ASK_IV,
}
_STATS: Final = {"volume": Metric.VOLUME_24H, "high": Metric.HIGH_24H, "low": Metric.LOW_24H}
_GREEKS: Final = {name: Metric(name) for name in ("delta", "gamma", "rho", "theta", "vega")}
_quote, _ticker, _stats, _greeks = (attrgetter(*table) for table in (_QUOTE, _TICKER, _STATS, _GREEKS))
_QUOTE_METRICS: Final = tuple(_QUOTE.values())
_TICKER_METRICS: Final = (*_TICKER.values(), *_STATS.values(), Metric.QUOTE_VOLUME_24H, *_GREEKS.values())
_NO_STATS: Final = wire.Stats()
_NO_GREEKS: Final = wire.Greeks()


def trade_of(trade: wire.Trade, receive_time: int) -> Trade:
    """``direction`` is the taker's side; ``amount`` is taken as it is, its unit stands on the instrument."""
    price, quantity = trade.price, trade.amount
    if not (LEAST < price < MOST and LEAST < quantity < MOST):
        checked(price)  # that of a combo may be below zero
        checked_unsigned(quantity)
    flags = 0
    if trade.block_trade_id is not None:
        flags |= BLOCK
    if trade.combo_id is not None or trade.combo_trade_id is not None:
        flags |= COMBO
    if trade.liquidation is not None:
        for party in trade.liquidation:
            flags |= LIQUIDATED.get(party, 0)
    sequence = trade.trade_seq
    return Trade(
        trade.instrument_name,
        sequence,
        price,
        quantity,
        trade.direction,
        trade.timestamp * MILLISECOND,
        receive_time,
        sequence,
        sequence,
        flags,
        trade.trade_id,
        checked_optional(trade.mark_price),
        checked_optional(trade.index_price),
        checked_optional(trade.iv),
    )


def candle_of(bar: wire.Bar, symbol: str, interval: str, receive_time: int, *, closed: bool) -> Candle:
    """``volume`` is in base and ``cost`` in quote currency; trades and taker volumes are not told."""
    prices = (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.cost)
    for price in prices:
        checked(price)
    open_time = bar.tick * MILLISECOND
    nothing = (None,) * 5
    return Candle(symbol, interval, open_time, *prices, *nothing, closed, open_time, receive_time)


def quote_numbers(quote: wire.Quote, symbol: str, receive_time: int, update: int) -> list[Number]:
    """Best bid and ask; an empty side is told by its quantity 0, its price is null and left out."""
    values = zip(_QUOTE_METRICS, _quote(quote), strict=True)
    return _numbers(values, symbol, quote.timestamp, receive_time, Channel.QUOTE, update)


def ticker_numbers(ticker: wire.Ticker, symbol: str, receive_time: int, update: int) -> list[Number]:
    """All that a ticker measures."""
    stats = ticker.stats or _NO_STATS
    values = (
        *_ticker(ticker),
        *_stats(stats),
        _quote_volume(ticker, stats),
        *_greeks(ticker.greeks or _NO_GREEKS),
    )
    pairs = zip(_TICKER_METRICS, values, strict=True)
    return _numbers(pairs, symbol, ticker.timestamp, receive_time, Channel.TICKER, update)


def price_numbers(price: wire.Price, symbol: str, receive_time: int, update: int) -> list[Number]:
    """The price of an index."""
    pairs = ((Metric.INDEX_PRICE, price.price),)
    return _numbers(pairs, symbol, price.timestamp, receive_time, Channel.INDEX, update)


def volatility_numbers(
    volatility: wire.Volatility, symbol: str, receive_time: int, update: int
) -> list[Number]:
    """The volatility index (DVOL) of an index."""
    pairs = ((Metric.VOLATILITY_INDEX, volatility.volatility),)
    return _numbers(pairs, symbol, volatility.timestamp, receive_time, Channel.VOLATILITY, update)


def instrument_state_of(state: wire.State, receive_time: int) -> InstrumentState:
    """A step in an instrument's life, in Deribit's own word."""
    return InstrumentState(state.instrument_name, state.state, state.timestamp * MILLISECOND, receive_time)


def exchange_states(platform: wire.Platform, reason: str, receive_time: int) -> list[ExchangeState]:
    """What a platform message says; nothing where it says nothing that we know."""
    said: list[tuple[ExchangeStatus, str]] = []
    if platform.maintenance is not None:
        maintenance = _word(platform.maintenance) == "true"
        said.append((ExchangeStatus.MAINTENANCE if maintenance else ExchangeStatus.OPEN, ""))
    if platform.locked is not None:
        scope = platform.price_index or platform.currency or ""
        named = platform.locked_indices or platform.locked_currencies or []
        word = _word(platform.locked)
        if word == "partial" or (named and word != "true"):
            said.append((ExchangeStatus.PARTIAL, ",".join(named) or scope or "some"))
        elif word == "true":
            said.append((ExchangeStatus.PARTIAL if scope else ExchangeStatus.LOCKED, scope))
        else:
            said.append((ExchangeStatus.OPEN, scope))
    if platform.allow_unauthenticated_public_requests is not None:
        allowed = platform.allow_unauthenticated_public_requests
        said.append((ExchangeStatus.OPEN if allowed else ExchangeStatus.PARTIAL, "public_requests"))
    return [ExchangeState(status, scope, reason, receive_time, receive_time) for status, scope in said]


def _quote_volume(ticker: wire.Ticker, stats: wire.Stats) -> Decimal | None:
    """``volume_notional``; old messages have ``volume_usd`` alone, the same where the quote is USD."""
    if stats.volume_notional is not None or ticker.mark_iv is not None:
        return stats.volume_notional
    return stats.volume_usd


def _numbers(
    values: Iterable[tuple[Metric, Decimal | None]],
    symbol: str,
    timestamp: int,
    receive_time: int,
    channel: Channel,
    update: int,
) -> list[Number]:
    event_time = timestamp * MILLISECOND
    return [
        Number(symbol, metric, value, event_time, receive_time, channel, update)
        for metric, value in values
        if value is not None and value.is_finite() and (LEAST < value < MOST or checked(value) is value)
    ]


def _word(said: bool | str) -> str:
    return str(said).lower()
