"""The hot path: one closure per subscribed stream, from the event's text to outputs.

A message costs its route one typed decode, one increment, one reference and the records. Unknown fields
are looked for in the first message of a stream and in every thousandth: finding them means decoding twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from trade_platform.domain.model import Record
from trade_platform.exchanges import amounts
from trade_platform.exchanges.binance import records, wire
from trade_platform.exchanges.binance.known import note_unknown_fields
from trade_platform.exchanges.conflation import Latest
from trade_platform.exchanges.liveness import Subscription
from trade_platform.exchanges.session import Missing, Output, ProtocolViolation
from trade_platform.exchanges.tally import Tally

Route: TypeAlias = Callable[[msgspec.Raw, int], Sequence[Output]]

SAMPLE: Final = 1000
COIN_MARGINED: Final = wire.COIN_MARGINED
LEAST: Final = amounts.LEAST
MOST: Final = amounts.MOST


class Context(msgspec.Struct):
    """What the routes of one session share."""

    tally: Tally
    sequences: dict[str, int]
    """Last trade sequence by symbol: expected, or seen."""
    latest: dict[str, Latest[Record]]
    """Held quotes and tickers, by channel name."""
    quote_interval: int


def aggregate_trades(context: Context, subscription: Subscription) -> Route:
    """``<symbol>@aggTrade`` to Trade, with what is missing before it."""
    return _trades(
        context, subscription, "aggTrade", msgspec.json.Decoder(wire.AggregateTrade), records.aggregate_trade
    )


def raw_trades(context: Context, subscription: Subscription) -> Route:
    """``<symbol>@trade``, likewise."""
    return _trades(context, subscription, "trade", msgspec.json.Decoder(wire.RawTrade), records.raw_trade)


def _trades(
    context: Context, subscription: Subscription, kind: str, decoder: msgspec.json.Decoder[Any], build: Any
) -> Route:
    decode = decoder.decode
    sequences = context.sequences
    symbol, channel = subscription.wanted.symbol, subscription.wanted.channel

    def route(data: msgspec.Raw, receive_time: int) -> Sequence[Output]:
        message = decode(data)
        if message.symbol != symbol or message.family == COIN_MARGINED:
            return _stranger(context, subscription, kind, message)
        trade = build(message, symbol, receive_time)
        subscription.messages = count = subscription.messages + 1
        if count % SAMPLE == 1:
            note_unknown_fields(context.tally, kind, data)
        sequence = message.sequence
        last = sequences.get(symbol)
        if last is None or sequence == last + 1:
            sequences[symbol] = sequence
            return (trade,)
        if sequence <= last:  # repeated or late: whoever stores it knows what is held already
            return (trade,)
        sequences[symbol] = sequence
        return (Missing(symbol, channel, last + 1, sequence - 1), trade)

    return route


def candles(context: Context, subscription: Subscription) -> Route:
    """``<symbol>@kline_1m`` to Candle."""
    return _plain(context, subscription, "kline", wire.KlineEvent, _candle)


def _candle(message: wire.KlineEvent, receive_time: int) -> Sequence[Record]:
    if message.kline.interval != records.INTERVAL or message.kline.symbol != message.symbol:
        raise ProtocolViolation(f"a candle of {message.kline.symbol} {message.kline.interval[:20]}")
    return (records.candle(message, receive_time),)


def marks(context: Context, subscription: Subscription) -> Route:
    """``<symbol>@markPrice@1s`` to Numbers."""
    return _plain(context, subscription, "markPriceUpdate", wire.MarkPrice, records.mark)


def quotes(context: Context, subscription: Subscription) -> Route:
    """``<symbol>@bookTicker`` to Numbers, conflated."""
    check = amounts.checked_unsigned

    def checked(message: wire.Quote) -> None:
        for value in (message.bid, message.bid_quantity, message.ask, message.ask_quantity):
            if not LEAST < value < MOST:
                check(value)

    return _conflated(context, subscription, "bookTicker", wire.Quote, records.quote, checked)


def tickers(context: Context, subscription: Subscription) -> Route:
    """``<symbol>@ticker`` to Numbers, conflated."""

    def checked(message: wire.Ticker) -> None:
        for value in (message.last, message.high, message.low, message.volume, message.quote_volume):
            amounts.checked_unsigned(value)

    return _conflated(context, subscription, "24hrTicker", wire.Ticker, records.ticker, checked)


def _plain(
    context: Context,
    subscription: Subscription,
    kind: str,
    frame: type[Any],
    build: Callable[[Any, int], Sequence[Record]],
) -> Route:
    """Every message becomes its records."""
    decode = msgspec.json.Decoder(frame).decode
    symbol = subscription.wanted.symbol

    def route(data: msgspec.Raw, receive_time: int) -> Sequence[Output]:
        message = decode(data)
        if message.symbol != symbol or message.family == COIN_MARGINED:
            return _stranger(context, subscription, kind, message)
        outputs = build(message, receive_time)
        subscription.newest = message
        subscription.messages = count = subscription.messages + 1
        if count % SAMPLE == 1:
            note_unknown_fields(context.tally, kind, data)
        return outputs

    return route


def _conflated(
    context: Context,
    subscription: Subscription,
    kind: str,
    frame: type[Any],
    build: Callable[[Any, int], Sequence[Record]],
    check: Callable[[Any], None],
) -> Route:
    """The last message of each interval becomes its records; all of them where the interval is 0."""
    if not context.quote_interval:

        def build_checked(message: Any, receive_time: int) -> Sequence[Record]:
            check(message)
            return build(message, receive_time)

        return _plain(context, subscription, kind, frame, build_checked)

    latest = context.latest[subscription.name] = Latest(context.quote_interval, build)

    def offer(message: Any, receive_time: int) -> Sequence[Record]:
        check(message)
        return latest.offer(message, receive_time)

    return _plain(context, subscription, kind, frame, offer)


def liquidations(context: Context, subscription: Subscription) -> Route:
    """``<symbol>@forceOrder`` to Liquidation."""
    decode = msgspec.json.Decoder(wire.ForceOrderEvent).decode
    symbol = subscription.wanted.symbol

    def route(data: msgspec.Raw, receive_time: int) -> Sequence[Output]:
        event = decode(data)
        if event.order.symbol != symbol or event.family == COIN_MARGINED:
            return _stranger(context, subscription, "forceOrder", event)
        liquidation = records.liquidation(event.order, receive_time)
        subscription.messages = count = subscription.messages + 1
        if count % SAMPLE == 1:
            note_unknown_fields(context.tally, "forceOrder", data)
        if liquidation is None:
            context.tally.note(f"forceOrder side {event.order.side}")
            return ()
        return (liquidation,)

    return route


def contracts(context: Context, subscription: Subscription) -> Route:
    """All contracts of the exchange on one stream."""
    decode = msgspec.json.Decoder(wire.ContractInfo).decode

    def route(data: msgspec.Raw, receive_time: int) -> Sequence[Output]:
        message = decode(data)
        subscription.messages = count = subscription.messages + 1
        if count % SAMPLE == 1:
            note_unknown_fields(context.tally, "contractInfo", data)
        if message.family == COIN_MARGINED:
            context.tally.note("contractInfo (coin-margined)")
            return ()
        return (records.instrument_state(message, receive_time),)

    return route


def _stranger(context: Context, subscription: Subscription, kind: str, message: Any) -> Sequence[Output]:
    """A coin-margined contract is none of ours; another symbol than the stream's is wrong."""
    if message.family == COIN_MARGINED:
        context.tally.note(f"{kind} (coin-margined)")
        return ()
    raise ProtocolViolation(f"{subscription.name} carried another symbol")
