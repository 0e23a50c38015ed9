"""What a message told last, in the form in which a look by REST tells it."""

from __future__ import annotations

from decimal import Decimal

from trade_platform.exchanges.binance import wire


def candle(message: wire.KlineEvent) -> tuple[int, int]:
    """The minute and its count of trades."""
    return message.kline.open_time, message.kline.trades


def quote(message: wire.Quote) -> tuple[Decimal, ...]:
    """Both sides."""
    return message.bid, message.bid_quantity, message.ask, message.ask_quantity


def ticker(message: wire.Ticker) -> int | None:
    """The last trade that it counts."""
    return message.last_id


def mark_price(message: wire.MarkPrice) -> int:
    """When it was made."""
    return message.time
